//===- ExpressionNodes.cpp - Building a node list -------------------------===//
//
// Part of moe-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "ExpressionNodes.h"

using namespace moe;

using Op = Expression::Op;
using Nodes = std::vector<Expression::Node>;

int32_t moe::appendConstant(Nodes &nodes, double value) {
  Expression::Node node{Op::constant};
  node.value = value;
  nodes.push_back(node);
  return static_cast<int32_t>(nodes.size() - 1);
}

int32_t moe::appendOp(Nodes &nodes, Op op, int32_t lhs, int32_t rhs) {
  Expression::Node node{op};
  node.lhs = lhs;
  node.rhs = rhs;
  nodes.push_back(node);
  return static_cast<int32_t>(nodes.size() - 1);
}

template <Op op> static int32_t unary(Nodes &nodes, const int32_t *args) {
  return appendOp(nodes, op, args[0]);
}

template <Op op> static int32_t binary(Nodes &nodes, const int32_t *args) {
  return appendOp(nodes, op, args[0], args[1]);
}

static int32_t times(Nodes &nodes, double factor, int32_t x) {
  int32_t constant = appendConstant(nodes, factor);
  return appendOp(nodes, Op::mul, constant, x);
}

static int32_t plusOne(Nodes &nodes, int32_t x) {
  int32_t one = appendConstant(nodes, 1.0);
  return appendOp(nodes, Op::add, one, x);
}

static int32_t relu(Nodes &nodes, const int32_t *args) {
  return appendOp(nodes, Op::max, args[0], appendConstant(nodes, 0.0));
}

static int32_t sigmoid(Nodes &nodes, const int32_t *args) {
  int32_t negative = appendOp(nodes, Op::neg, args[0]);
  int32_t sum = plusOne(nodes, appendOp(nodes, Op::exp, negative));
  int32_t one = appendConstant(nodes, 1.0);
  return appendOp(nodes, Op::div, one, sum);
}

static int32_t softplus(Nodes &nodes, const int32_t *args) {
  int32_t positive = relu(nodes, args);
  int32_t size = appendOp(nodes, Op::abs, args[0]);
  int32_t negative = appendOp(nodes, Op::neg, size);
  int32_t rest = appendOp(nodes, Op::log1p, appendOp(nodes, Op::exp, negative));
  return appendOp(nodes, Op::add, positive, rest);
}

static int32_t silu(Nodes &nodes, const int32_t *args) {
  return appendOp(nodes, Op::mul, args[0], sigmoid(nodes, args));
}

static int32_t gelu(Nodes &nodes, const int32_t *args) {
  int32_t half = times(nodes, 0.5, args[0]);
  int32_t factor = appendConstant(nodes, 0.7071067811865476);
  int32_t scaled = appendOp(nodes, Op::mul, args[0], factor);
  int32_t sum = plusOne(nodes, appendOp(nodes, Op::erf, scaled));
  return appendOp(nodes, Op::mul, half, sum);
}

static int32_t geluTanh(Nodes &nodes, const int32_t *args) {
  int32_t x = args[0];
  int32_t half = times(nodes, 0.5, x);
  int32_t cube = times(nodes, 0.044715, x);
  cube = appendOp(nodes, Op::mul, cube, x);
  cube = appendOp(nodes, Op::mul, cube, x);
  int32_t inner =
      times(nodes, 0.7978845608028654, appendOp(nodes, Op::add, x, cube));
  int32_t sum = plusOne(nodes, appendOp(nodes, Op::tanh, inner));
  return appendOp(nodes, Op::mul, half, sum);
}

static int32_t clamp(Nodes &nodes, const int32_t *args) {
  int32_t low = appendOp(nodes, Op::max, args[0], args[1]);
  return appendOp(nodes, Op::min, low, args[2]);
}

static constexpr FormulaFunction functions[] = {
    {"exp", 1, unary<Op::exp>},
    {"log", 1, unary<Op::log>},
    {"log1p", 1, unary<Op::log1p>},
    {"sqrt", 1, unary<Op::sqrt>},
    {"tanh", 1, unary<Op::tanh>},
    {"erf", 1, unary<Op::erf>},
    {"abs", 1, unary<Op::abs>},
    {"min", 2, binary<Op::min>},
    {"max", 2, binary<Op::max>},
    {"pow", 2, binary<Op::pow>},
    {"sigmoid", 1, sigmoid},
    {"softplus", 1, softplus},
    {"relu", 1, relu},
    {"silu", 1, silu},
    {"gelu", 1, gelu},
    {"gelu_tanh", 1, geluTanh},
    {"clamp", 3, clamp},
};

const FormulaFunction *moe::findFunction(std::string_view name) {
  for (const FormulaFunction &function : functions)
    if (function.name == name)
      return &function;
  return nullptr;
}

std::vector<std::string_view> moe::functionNames() {
  std::vector<std::string_view> names;
  for (const FormulaFunction &function : functions)
    names.push_back(function.name);
  return names;
}
