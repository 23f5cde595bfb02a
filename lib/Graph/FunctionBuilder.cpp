//===- FunctionBuilder.cpp - A function that grows its own signature ------===//
//
// Part of moe-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "FunctionBuilder.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Math/IR/Math.h"

using namespace mlir;
using namespace moe;

FunctionBuilder::FunctionBuilder(ModuleOp module, StringRef name)
    : ImplicitLocOpBuilder(module.getLoc(), module.getContext()) {
  setInsertionPointToEnd(module.getBody());
  func = func::FuncOp::create(*this, name, getFunctionType({}, {}));
  setInsertionPointToStart(func.addEntryBlock());
}

RankedTensorType FunctionBuilder::tensor(ArrayRef<int64_t> shape, Type type) {
  return RankedTensorType::get(shape, type);
}
RankedTensorType FunctionBuilder::f32(ArrayRef<int64_t> shape) {
  return tensor(shape, getF32Type());
}
RankedTensorType FunctionBuilder::i32(ArrayRef<int64_t> shape) {
  return tensor(shape, getI32Type());
}
RankedTensorType FunctionBuilder::i64(ArrayRef<int64_t> shape) {
  return tensor(shape, getI64Type());
}

Value FunctionBuilder::argument(StringRef name, StringRef role,
                                RankedTensorType type,
                                ArrayRef<std::string> sizes, bool isUnsigned) {
  argumentAttrs.push_back(describe(
      name, role, sizes, isUnsigned ? StringRef(boundary::kUnsigned) : ""));
  return func.getBody().front().addArgument(type, getLoc());
}

Value FunctionBuilder::encoded(StringRef name, RankedTensorType type,
                               int64_t fanIn, bool isUnsigned) {
  Value value = argument(name, "weight", type, {}, isUnsigned);
  NamedAttrList attrs(argumentAttrs.back());
  attrs.set(boundary::kFanIn, getI64IntegerAttr(fanIn));
  argumentAttrs.back() = attrs.getDictionary(getContext());
  return value;
}

Value FunctionBuilder::state(StringRef name, RankedTensorType type,
                             bool fromWeight) {
  argumentAttrs.push_back(describe(
      name, "state", {}, fromWeight ? StringRef(boundary::kInitial) : ""));
  return func.getBody().front().addArgument(type, getLoc());
}

void FunctionBuilder::result(StringRef name, StringRef role, Value value,
                             ArrayRef<std::string> sizes, bool isUnsigned) {
  resultAttrs.push_back(describe(
      name, role, sizes, isUnsigned ? StringRef(boundary::kUnsigned) : ""));
  results.push_back(value);
}

DictionaryAttr FunctionBuilder::describe(StringRef name, StringRef role,
                                         ArrayRef<std::string> sizes,
                                         StringRef flag) {
  SmallVector<NamedAttribute> attrs = {
      {getStringAttr(boundary::kName), getStringAttr(name)},
      {getStringAttr(boundary::kRole), getStringAttr(role)}};
  if (!sizes.empty()) {
    SmallVector<StringRef> refs(sizes.begin(), sizes.end());
    attrs.emplace_back(getStringAttr(boundary::kSizes), getStrArrayAttr(refs));
  }
  if (!flag.empty())
    attrs.emplace_back(getStringAttr(flag), getUnitAttr());
  return getDictionaryAttr(attrs);
}

static Value buildNode(ImplicitLocOpBuilder &b, const Expression::Node &node,
                       Value lhs, Value rhs, ValueRange variables) {
  switch (node.op) {
  case Expression::Op::constant:
    return arith::ConstantOp::create(b, b.getF32FloatAttr(node.value));
  case Expression::Op::variable:
    return variables[node.variable];
  case Expression::Op::neg:
    return arith::NegFOp::create(b, lhs);
  case Expression::Op::add:
    return arith::AddFOp::create(b, lhs, rhs);
  case Expression::Op::sub:
    return arith::SubFOp::create(b, lhs, rhs);
  case Expression::Op::mul:
    return arith::MulFOp::create(b, lhs, rhs);
  case Expression::Op::div:
    return arith::DivFOp::create(b, lhs, rhs);
  case Expression::Op::min:
    return arith::MinimumFOp::create(b, lhs, rhs);
  case Expression::Op::max:
    return arith::MaximumFOp::create(b, lhs, rhs);
  case Expression::Op::exp:
    return math::ExpOp::create(b, lhs);
  case Expression::Op::log:
    return math::LogOp::create(b, lhs);
  case Expression::Op::log1p:
    return math::Log1pOp::create(b, lhs);
  case Expression::Op::sqrt:
    return math::SqrtOp::create(b, lhs);
  case Expression::Op::tanh:
    return math::TanhOp::create(b, lhs);
  case Expression::Op::erf:
    return math::ErfOp::create(b, lhs);
  case Expression::Op::abs:
    return math::AbsFOp::create(b, lhs);
  case Expression::Op::pow:
    return math::PowFOp::create(b, lhs, rhs);
  }
  llvm_unreachable("every formula node is one of the above");
}

void FunctionBuilder::formula(Region &region, const Expression &expression,
                              unsigned variables) {
  OpBuilder::InsertionGuard guard(*this);
  Block *block = createBlock(&region, region.end(),
                             SmallVector<Type>(variables, getF32Type()),
                             SmallVector<Location>(variables, getLoc()));
  SmallVector<Value> values;
  for (const Expression::Node &node : expression.nodes) {
    Value lhs = node.lhs < 0 ? Value() : values[node.lhs];
    Value rhs = node.rhs < 0 ? Value() : values[node.rhs];
    values.push_back(buildNode(*this, node, lhs, rhs, block->getArguments()));
  }
  YieldOp::create(*this, values.back());
}

void FunctionBuilder::finish() {
  func::ReturnOp::create(*this, results);
  SmallVector<Type> resultTypes;
  for (Value result : results)
    resultTypes.push_back(result.getType());
  func.setFunctionType(
      getFunctionType(func.getBody().front().getArgumentTypes(), resultTypes));
  func.setAllArgAttrs(argumentAttrs);
  func.setAllResultAttrs(resultAttrs);
}
