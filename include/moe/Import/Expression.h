//===- Expression.h - Formulas in a spec ------------------------*- C++ -*-===//
//
// Part of moe-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// An activation or a score is a name or a formula. A name is only a short way
// to write a formula, so both end as the same tree.
//
//===----------------------------------------------------------------------===//

#ifndef MOE_IMPORT_EXPRESSION_H
#define MOE_IMPORT_EXPRESSION_H

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace moe {

/// A formula as a postfix-ordered node list: operands come before their user,
/// the last node is the result. A node can be the operand of several. Flat, so
/// that no walk over it recurses.
struct Expression {
  enum class Op {
    constant, // value
    variable, // index into the variables it was parsed with
    neg,
    add,
    sub,
    mul,
    div,
    min,
    max,
    exp,
    log,
    log1p,
    sqrt,
    tanh,
    erf,
    abs,
    pow
  };
  struct Node {
    Op op;
    double value = 0.0;   // constant
    int32_t variable = 0; // variable
    int32_t lhs = -1;     // first operand
    int32_t rhs = -1;     // second operand of a binary op
  };
  std::vector<Node> nodes;
  /// The text it was made from: a name or a formula.
  std::string text;

  bool empty() const { return nodes.empty(); }
};

/// Why a formula was refused, and where in its text.
struct ExpressionError {
  std::string message;
  size_t offset = 0;
};

/// Parses `text` over `variables`. Beyond the operators `+ - * /`, unary minus
/// and the functions of Expression::Op, it knows `sigmoid`, `softplus`,
/// `clamp(x, lo, hi)`, `relu`, `silu`, `gelu` and `gelu_tanh`, written out as
/// they are parsed. Returns false, fills `error` and leaves `result` alone if
/// it is not a formula.
bool parseExpression(std::string_view text,
                     const std::vector<std::string> &variables,
                     Expression &result, ExpressionError &error);

/// The formula that a named activation stands for, or an empty view.
/// Of `g` for mlp experts; for glu experts it is multiplied by `u` unless the
/// name defines both (`swigluoai`, `situ`).
std::string_view activationFormula(std::string_view name, bool glu);
/// The formula that a named elementwise score stands for, or an empty view.
std::string_view scoreFormula(std::string_view name);
/// All names, for messages.
std::vector<std::string> activationNames();
std::vector<std::string> scoreNames();

} // namespace moe

#endif // MOE_IMPORT_EXPRESSION_H
