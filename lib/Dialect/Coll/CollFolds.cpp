//===- CollFolds.cpp - Exchanges that need not be -------------------------===//
//
// Part of moe-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// All ranks have the same program, so what is removed here is removed on each.
//
//===----------------------------------------------------------------------===//

#include "moe/Dialect/Coll/Coll.h"

using namespace mlir;
using namespace moe::coll;

/// A rank that is alone has what it would be given.
template <typename Op> static bool isAlone(Op op) {
  return getGroupSize(op, op.getAxes()) == 1;
}

/// `x` instead of the result, where nothing but the exchange is between them.
template <typename Op> static OpFoldResult foldAlone(Op op) {
  if (isAlone(op) && op.getX().getType() == op.getY().getType())
    return op.getX();
  return {};
}

OpFoldResult AllReduceOp::fold(FoldAdaptor) { return foldAlone(*this); }
OpFoldResult ReduceScatterOp::fold(FoldAdaptor) { return foldAlone(*this); }
OpFoldResult AllGatherOp::fold(FoldAdaptor) { return foldAlone(*this); }
OpFoldResult AllToAllOp::fold(FoldAdaptor) { return foldAlone(*this); }

OpFoldResult AllToAllVOp::fold(FoldAdaptor) {
  // How far rows that vary reach, only the sizes of the function tell.
  if (getY().getType().hasStaticShape())
    return foldAlone(*this);
  return {};
}

LogicalResult WaitOp::canonicalize(WaitOp op, PatternRewriter &rewriter) {
  // As above, in two halves.
  auto start = op.getPending().front().getDefiningOp<StartAllToAllVOp>();
  bool isAll =
      op.getPending().size() == 1 && start.getFirst() == 0 &&
      int64_t(start.getEnd()) == start.getSend().getType().getDimSize(0);
  if (!isAll || !isAlone(start) || !op.getY().getType().hasStaticShape() ||
      start.getX().getType() != op.getY().getType())
    return rewriter.notifyMatchFailure(op, "others are waited for");
  rewriter.replaceOp(op, start.getX());
  rewriter.eraseOp(start);
  return success();
}

OpFoldResult BroadcastOp::fold(FoldAdaptor) {
  // The members have the same already.
  auto before = getX().getDefiningOp<BroadcastOp>();
  if (before && before.getAxes() == getAxes() &&
      before.getRoot() == getRoot() && before.getY().getType() == getType())
    return before.getY();
  return foldAlone(*this);
}

OpFoldResult IndexOp::fold(FoldAdaptor) {
  if (isAlone(*this))
    return DenseElementsAttr::get(getType(), int32_t(0));
  return {};
}

LogicalResult AllGatherOp::canonicalize(AllGatherOp op,
                                        PatternRewriter &rewriter) {
  auto scatter = op.getX().getDefiningOp<ReduceScatterOp>();
  if (!scatter || !scatter->hasOneUse() || scatter.getAxes() != op.getAxes())
    return rewriter.notifyMatchFailure(op, "not of shares of a sum");
  if (scatter.getX().getType() != op.getY().getType())
    return rewriter.notifyMatchFailure(op, "the types differ");
  rewriter.replaceOpWithNewOp<AllReduceOp>(
      op, op.getType(), scatter.getReduceAttr(), scatter.getX(),
      op.getAxesAttr(), scatter.getNameAttr());
  rewriter.eraseOp(scatter);
  return success();
}

LogicalResult AllToAllOp::canonicalize(AllToAllOp op,
                                       PatternRewriter &rewriter) {
  // Blocks that are sent twice are back.
  auto before = op.getX().getDefiningOp<AllToAllOp>();
  if (!before || !before->hasOneUse() || before.getAxes() != op.getAxes() ||
      before.getX().getType() != op.getType())
    return rewriter.notifyMatchFailure(op, "not of what was exchanged");
  rewriter.replaceOp(op, before.getX());
  rewriter.eraseOp(before);
  return success();
}

/// The next operation that is not free of effects.
static Operation *nextEffect(Operation *op) {
  do
    op = op->getNextNode();
  while (op && isMemoryEffectFree(op) &&
         !op->hasTrait<OpTrait::IsTerminator>());
  return op;
}

LogicalResult BarrierOp::canonicalize(BarrierOp op, PatternRewriter &rewriter) {
  auto next = dyn_cast_or_null<BarrierOp>(nextEffect(op));
  if (!isAlone(op) && (!next || next.getAxes() != op.getAxes()))
    return rewriter.notifyMatchFailure(op, "something is waited for");
  rewriter.eraseOp(op);
  return success();
}
