//===- Fuse.cpp - Fold dispatch and activation into grouped matmuls -------===//
//
// Part of moe-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "moe/Dialect/MoE/MoE.h"
#include "moe/Kernels/Passes.h"

#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/IR/PatternMatch.h"
#include "mlir/Transforms/GreedyPatternRewriteDriver.h"

namespace moe {
#define GEN_PASS_DEF_FUSEPASS
#include "moe/Kernels/Passes.h.inc"
} // namespace moe

using namespace mlir;
using namespace moe;

namespace {

/// Reads rows where they are instead of copying them into order first.
struct FoldDispatch : OpRewritePattern<GroupedMatmulOp> {
  using OpRewritePattern::OpRewritePattern;

  LogicalResult matchAndRewrite(GroupedMatmulOp op,
                                PatternRewriter &rewriter) const override {
    auto dispatch = op.getXs().getDefiningOp<DispatchOp>();
    if (!dispatch)
      return rewriter.notifyMatchFailure(op, "rows are not dispatched");
    // Without offsets every row is read, and rows past the count are no slots.
    if (!op.getOffsets())
      return rewriter.notifyMatchFailure(op, "not grouped");
    if (op.getGather())
      return rewriter.notifyMatchFailure(op, "already gathers");
    if (dispatch.getWeights())
      return rewriter.notifyMatchFailure(op, "rows are weighted on the way");
    rewriter.modifyOpInPlace(op, [&] {
      op.getXsMutable().assign(dispatch.getX());
      op.getGatherMutable().assign(dispatch.getRows());
      op.setSlots(dispatch.getSlots());
    });
    return success();
  }
};

/// Applies an activation to sums while they are in registers.
struct FoldActivation : OpRewritePattern<ActivateOp> {
  using OpRewritePattern::OpRewritePattern;

  LogicalResult matchAndRewrite(ActivateOp op,
                                PatternRewriter &rewriter) const override {
    SmallVector<Value> weights, biases;
    GroupedMatmulOp first;
    for (Value input : op.getInputs()) {
      auto matmul = input.getDefiningOp<GroupedMatmulOp>();
      if (!matmul || !matmul->hasOneUse())
        return rewriter.notifyMatchFailure(op, "input is used elsewhere too");
      if (matmul.getWeights().size() != 1 || !matmul.getEpilogue().empty())
        return rewriter.notifyMatchFailure(op, "input has an epilogue already");
      if (!first)
        first = matmul;
      if (matmul.getXs() != first.getXs() ||
          matmul.getOffsets() != first.getOffsets() ||
          matmul.getGather() != first.getGather() ||
          matmul.getSlots() != first.getSlots() ||
          matmul.getBiases().size() != first.getBiases().size() ||
          matmul.getWeights()[0].getType() != first.getWeights()[0].getType())
        return rewriter.notifyMatchFailure(op, "inputs have different rows");
      llvm::append_range(weights, matmul.getWeights());
      llvm::append_range(biases, matmul.getBiases());
    }
    auto fused = GroupedMatmulOp::create(
        rewriter, op.getLoc(), op.getType(), first.getXs(), weights, biases,
        first.getOffsets(), first.getGather(), first.getSlotsAttr());
    rewriter.inlineRegionBefore(op.getBody(), fused.getEpilogue(),
                                fused.getEpilogue().end());
    rewriter.replaceOp(op, fused);
    return success();
  }
};

/// Rounds what a product hands to the next one to the type of its own rows.
struct NarrowHidden : OpRewritePattern<GroupedMatmulOp> {
  using OpRewritePattern::OpRewritePattern;

  LogicalResult matchAndRewrite(GroupedMatmulOp op,
                                PatternRewriter &rewriter) const override {
    RankedTensorType type = op.getYs().getType();
    Type narrow = op.getXs().getType().getElementType();
    if (!narrow.isBF16() || type.getElementType() == narrow)
      return rewriter.notifyMatchFailure(op, "rows are not of bf16");
    for (OpOperand &use : op->getUses())
      if (!isa<GroupedMatmulOp>(use.getOwner()) || use.getOperandNumber() != 0)
        return rewriter.notifyMatchFailure(op, "something else reads it");
    rewriter.modifyOpInPlace(op,
                             [&] { op.getYs().setType(type.clone(narrow)); });
    return success();
  }
};

struct Fuse : moe::impl::FusePassBase<Fuse> {
  using FusePassBase::FusePassBase;

  void runOnOperation() override {
    RewritePatternSet patterns(&getContext());
    if (bf16Hidden)
      patterns.add<NarrowHidden>(&getContext());
    patterns.add<FoldDispatch, FoldActivation>(&getContext());
    if (failed(applyPatternsGreedily(getOperation(), std::move(patterns))))
      signalPassFailure();
  }
};

} // namespace
