//===- ExpressionNodes.h - Building a node list -----------------*- C++ -*-===//
//
// Part of moe-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// The functions a formula can call, and what each is written out as.
//
//===----------------------------------------------------------------------===//

#ifndef MOE_LIB_IMPORT_FORMULA_EXPRESSIONNODES_H
#define MOE_LIB_IMPORT_FORMULA_EXPRESSIONNODES_H

#include "moe/Import/Expression.h"

namespace moe {

/// A function of section 2 of docs/Spec.md.
struct FormulaFunction {
  std::string_view name;
  size_t arguments;
  /// Appends the call to the nodes and returns the result's index. A node may
  /// be the operand of many: a nested formula grows by its text, not by powers.
  int32_t (*build)(std::vector<Expression::Node> &nodes, const int32_t *args);
};

const FormulaFunction *findFunction(std::string_view name);
std::vector<std::string_view> functionNames();

int32_t appendConstant(std::vector<Expression::Node> &nodes, double value);
int32_t appendOp(std::vector<Expression::Node> &nodes, Expression::Op op,
                 int32_t lhs, int32_t rhs = -1);

} // namespace moe

#endif // MOE_LIB_IMPORT_FORMULA_EXPRESSIONNODES_H
