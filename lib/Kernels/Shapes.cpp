//===- Shapes.cpp - Shapes that can be lowered ----------------------------===//
//
// Part of moe-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Lowering.h"

#include "llvm/ADT/TypeSwitch.h"

using namespace mlir;
using namespace moe;

/// What is not rows of tokens or values: weights, and figures of the experts.
static SmallVector<Value> fixedTensors(Operation *op) {
  SmallVector<Value> fixed;
  llvm::TypeSwitch<Operation *>(op)
      .Case([&](RouterOp op) { fixed = {op.getWeight(), op.getBias()}; })
      .Case([&](SelectOp op) {
        fixed = {op.getBias(), op.getExpertScale(), op.getLoads()};
      })
      .Case([&](GroupOp op) { fixed = {op.getOffsets(), op.getCounts()}; })
      .Case([&](GroupedMatmulOp op) {
        llvm::append_range(fixed, op.getWeights());
        llvm::append_range(fixed, op.getBiases());
        fixed.push_back(op.getOffsets());
      })
      .Case<ImbalanceOp, RebalanceOp>(
          [&](auto op) { llvm::append_range(fixed, op->getOperands()); })
      .Case([&](ClockOp op) { fixed = {op.getEarlier(), op.getTimes()}; });
  return fixed;
}

LogicalResult moe::checkShapes(Operation *op) {
  auto isDynamic = [](int64_t dim) { return ShapedType::isDynamic(dim); };
  auto shape = [](Value value) {
    return cast<RankedTensorType>(value.getType()).getShape();
  };
  auto refuse = [&](StringRef sizes, Value value) {
    return op->emitOpError("expected static ")
           << sizes << " to lower it to loops, found " << value.getType();
  };
  for (Value value : fixedTensors(op))
    if (value && llvm::any_of(shape(value), isDynamic))
      return refuse("sizes of weights and of what is counted per expert",
                    value);
  if (isa<AverageOp>(op))
    return success(); // sets of values: both sizes may vary
  SmallVector<Value> values(op->getOperands());
  llvm::append_range(values, op->getResults());
  for (Value value : values)
    if (llvm::any_of(shape(value).drop_front(!shape(value).empty()), isDynamic))
      return refuse("sizes after the first", value);
  return success();
}
