//===- ExpressionFuzzer.cpp - Any text as a formula -----------------------===//
//
// Part of moe-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// No text crashes the parser, and what it accepts is a list of nodes that use
// only earlier ones.
//
//===----------------------------------------------------------------------===//

#include "moe/Import/Expression.h"

#include <cstdint>
#include <cstdio>
#include <cstdlib>

using namespace moe;

static void require(bool condition, const char *what) {
  if (condition)
    return;
  std::fprintf(stderr, "property violated: %s\n", what);
  std::abort();
}

static bool isLeaf(Expression::Op op) {
  return op == Expression::Op::constant || op == Expression::Op::variable;
}

static bool isBinary(Expression::Op op) {
  switch (op) {
  case Expression::Op::add:
  case Expression::Op::sub:
  case Expression::Op::mul:
  case Expression::Op::div:
  case Expression::Op::min:
  case Expression::Op::max:
  case Expression::Op::pow:
    return true;
  default:
    return false;
  }
}

extern "C" int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  std::string_view text(reinterpret_cast<const char *>(data), size);
  Expression expression;
  ExpressionError error;
  if (!parseExpression(text, {"g", "u"}, expression, error)) {
    require(error.offset <= size, "an error inside the text");
    require(!error.message.empty(), "a message");
    require(expression.empty(), "no result beside an error");
    return 0;
  }

  require(!expression.empty(), "a result");
  require(expression.text == text, "the text is kept");
  // The longest function is written out as a dozen nodes.
  require(expression.nodes.size() <= 4 * size + 16, "no blow-up");
  int32_t index = 0;
  for (const Expression::Node &node : expression.nodes) {
    bool leaf = isLeaf(node.op), binary = isBinary(node.op);
    require(leaf ? node.lhs == -1 : node.lhs >= 0 && node.lhs < index, "lhs");
    require(binary ? node.rhs >= 0 && node.rhs < index : node.rhs == -1, "rhs");
    require(node.variable >= 0 && node.variable < 2, "a known variable");
    ++index;
  }
  return 0;
}
