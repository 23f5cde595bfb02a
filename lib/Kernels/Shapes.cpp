//===- Shapes.cpp - What must fit together to be lowered ------------------===//
//
// Part of moe-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// A verifier compares sizes that are static. Here every size has a name, so
// that "T" and "n" are seen to differ before a loop runs over one and reads the
// other.
//
//===----------------------------------------------------------------------===//

#include "Lowering.h"

#include "llvm/ADT/TypeSwitch.h"

using namespace mlir;
using namespace moe;

namespace {

/// The tensors of one operation whose first dimension may vary.
struct Rows {
  /// One row per token, and per slot of a token. Results have no extent yet:
  /// they get that of the operands.
  SmallVector<Value, 6> tokens, slots;
  int64_t slotsPerToken = 1;
  /// Sized by something else; any extent will do.
  SmallVector<Value, 2> free;
};

int64_t slotsOf(Value indices) {
  return cast<RankedTensorType>(indices.getType()).getDimSize(1);
}

Rows operandRows(Operation *op) {
  Rows rows;
  llvm::TypeSwitch<Operation *>(op)
      .Case<RouterOp>([&](RouterOp op) { rows.tokens = {op.getX()}; })
      .Case<SelectOp>(
          [&](SelectOp op) { rows.tokens = {op.getInput(), op.getTokenIds()}; })
      .Case<AddScaledOp>(
          [&](AddScaledOp op) { rows.tokens = {op.getX(), op.getY()}; })
      .Case<CheckFiniteOp>([&](CheckFiniteOp op) {
        rows.tokens = {op.getValues(), op.getIndices()};
      })
      .Case<GroupOp>(
          [&](GroupOp op) { rows.tokens = {op.getIndices(), op.getWeights()}; })
      .Case<DispatchOp>([&](DispatchOp op) {
        rows.tokens = {op.getX(), op.getWeights()};
        rows.slots = {op.getRows()};
        rows.slotsPerToken = op.getSlots();
      })
      .Case<GroupedMatmulOp>([&](GroupedMatmulOp op) {
        rows.tokens = {op.getXs()};
        rows.slots = {op.getGather()};
        rows.slotsPerToken = op.getSlots();
      })
      .Case<GroupedOuterOp>(
          [&](GroupedOuterOp op) { rows.tokens = {op.getXs(), op.getYs()}; })
      .Case<FeedForwardOp>([&](FeedForwardOp op) {
        rows.tokens = {op.getXs(), op.getWeights()};
        rows.slots = {op.getRows()};
        rows.slotsPerToken = op.getSlots();
      })
      .Case<ActivateOp>([&](ActivateOp op) {
        llvm::append_range(rows.tokens, op.getInputs());
      })
      .Case<CombineOp>([&](CombineOp op) {
        rows.tokens = {op.getPositions(), op.getIndices(), op.getWeights(),
                       op.getX()};
        rows.slots = {op.getYs()};
        rows.slotsPerToken = slotsOf(op.getPositions());
      })
      .Case<RMSNormOp>([&](RMSNormOp op) { rows.tokens = {op.getX()}; })
      .Case<MixOp>([&](MixOp op) {
        rows.tokens = {op.getRouted(), op.getShared(), op.getLogits()};
      })
      .Case<LossOp>(
          [&](LossOp op) { rows.tokens = {op.getLogits(), op.getIndices()}; })
      .Case<QuantizeOp>([&](QuantizeOp op) { rows.tokens = {op.getValues()}; })
      .Case<DequantizeOp>(
          [&](DequantizeOp op) { rows.free = {op.getData(), op.getScales()}; })
      .Case<AccumulateOp>(
          [&](AccumulateOp op) { rows.tokens = {op.getSum(), op.getValues()}; })
      .Case<AverageOp>([&](AverageOp op) { rows.free = {op.getSets()}; })
      .Case<ResizeOp>([&](ResizeOp op) { rows.free = {op.getValues()}; })
      .Case<SliceMeanOp>([&](SliceMeanOp op) { rows.free = {op.getSlices()}; })
      .Case<ResidualOp>([&](ResidualOp op) {
        rows.tokens = {op.getValues(), op.getSent(), op.getGiven()};
        rows.free = {op.getMean()};
      })
      .Case<ClockOp>(
          [&](ClockOp op) { llvm::append_range(rows.free, op.getAfter()); })
      .Case<PlaceOp>([&](PlaceOp op) { rows.tokens = {op.getIndices()}; })
      .Case<PackRowsOp>([&](PackRowsOp op) { rows.tokens = {op.getRows()}; })
      .Case<UnpackRowsOp>(
          [&](UnpackRowsOp op) { rows.tokens = {op.getPacked()}; })
      .Case<TakeRowsOp>([&](TakeRowsOp op) { rows.free = {op.getX()}; })
      .Case<KeepPlacedOp>([&](KeepPlacedOp op) {
        rows.tokens = {op.getIndices(), op.getPositions()};
      })
      .Case<KeepLocalOp>([&](KeepLocalOp op) {
        rows.tokens = {op.getIndices(), op.getWeights()};
      })
      .Case<coll::AllReduceOp, coll::ReduceScatterOp, coll::AllGatherOp,
            coll::BroadcastOp, coll::AllToAllOp, coll::AllToAllVOp,
            coll::StartAllToAllVOp, coll::SendOp>(
          [&](auto op) { rows.free = {op.getX()}; });
  auto absent = [](Value value) {
    return !value || cast<RankedTensorType>(value.getType()).getRank() == 0;
  };
  llvm::erase_if(rows.tokens, absent);
  llvm::erase_if(rows.slots, absent);
  return rows;
}

/// Dimensions from `first` on are static.
LogicalResult checkStatic(Operation *op, Value value, unsigned first) {
  auto type = dyn_cast<RankedTensorType>(value.getType());
  if (!type) // an exchange under way
    return success();
  for (int64_t size :
       type.getShape().drop_front(std::min<size_t>(first, type.getRank())))
    if (ShapedType::isDynamic(size))
      return op->emitOpError("expected static sizes ")
             << (first ? "after the first"
                       : "of weights and of what is counted per expert")
             << " to lower it to loops, found " << type;
  return success();
}

/// Rows are read by vectors, for which their elements are neighbours in memory.
/// Only biases are read one by one.
LogicalResult checkStrides(Lowering &l, Operation *op) {
  auto isBias = [&](Value operand) {
    if (auto matmul = dyn_cast<GroupedMatmulOp>(op))
      return llvm::is_contained(matmul.getBiases(), operand);
    auto both = dyn_cast<FeedForwardOp>(op);
    return both && (llvm::is_contained(both.getUpBiases(), operand) ||
                    both.getDownBias() == operand);
  };
  for (Value operand : op->getOperands()) {
    Value buffer = l[operand];
    if (!buffer) // decoded as it is read
      continue;
    auto type = cast<MemRefType>(buffer.getType());
    if (type.getRank() == 0 || type.isLastDimUnitStride() || isBias(operand))
      continue;
    return op->emitOpError("expected rows without gaps to lower it to loops, "
                           "found a slice of stride ")
           << type.getStridesAndOffset().first.back()
           << " along the last dimension";
  }
  return success();
}

} // namespace

LogicalResult moe::checkShapes(Lowering &l, Operation *op) {
  Rows rows = operandRows(op);
  for (Value operand : op->getOperands()) {
    if (llvm::is_contained(rows.free, operand))
      continue;
    bool varies = llvm::is_contained(rows.tokens, operand) ||
                  llvm::is_contained(rows.slots, operand);
    if (failed(checkStatic(op, operand, varies ? 1 : 0)))
      return failure();
  }
  if (failed(checkStrides(l, op)))
    return failure();
  bool mayVary = !rows.tokens.empty() || !rows.free.empty() ||
                 isa<ArrivalsOp, RowNumbersOp, coll::RecvOp, coll::WaitOp>(op);
  for (Value result : op->getResults())
    if (failed(checkStatic(op, result, mayVary ? 1 : 0)))
      return failure();

  auto differ = [&](const Extent &expected, const Extent &found) {
    return op->emitOpError("cannot be lowered: expected ")
           << expected.str() << " rows, found " << found.str();
  };
  for (Value tensor : rows.tokens)
    if (l.extent(tensor, 0) != l.extent(rows.tokens.front(), 0))
      return differ(l.extent(rows.tokens.front(), 0), l.extent(tensor, 0));
  for (Value tensor : rows.slots) {
    Extent expected =
        l.extent(rows.tokens.front(), 0).times(rows.slotsPerToken);
    if (l.extent(tensor, 0) != expected)
      return differ(expected, l.extent(tensor, 0));
  }
  return success();
}
