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

/// The product that another one reads all rows of, and nothing else does.
static GroupedMatmulOp productBefore(GroupedMatmulOp down) {
  auto up = down.getXs().getDefiningOp<GroupedMatmulOp>();
  bool isDown = down.getWeights().size() == 1 && down.getEpilogue().empty() &&
                !down.getGather();
  return isDown && up && up->hasOneUse() && up.getOffsets() == down.getOffsets()
             ? up
             : GroupedMatmulOp();
}

/// Makes one operation of both products of experts.
class FoldProducts {
protected:
  explicit FoldProducts(bool bf16Hidden) : bf16Hidden(bf16Hidden) {}

  void fold(PatternRewriter &rewriter, Operation *last, GroupedMatmulOp up,
            GroupedMatmulOp down, Value weights) const {
    Type x = up.getXs().getType().getElementType();
    Type hidden = bf16Hidden && x.isBF16() ? x : Type(rewriter.getF32Type());
    Value bias = down.getBiases().empty() ? Value() : down.getBiases().front();
    auto both = FeedForwardOp::create(
        rewriter, last->getLoc(), last->getResult(0).getType(), up.getXs(),
        up.getWeights(), up.getBiases(), down.getWeights().front(), bias,
        up.getOffsets(), up.getGather(), weights, TypeAttr::get(hidden),
        up.getSlotsAttr());
    rewriter.inlineRegionBefore(up.getEpilogue(), both.getEpilogue(),
                                both.getEpilogue().end());
    rewriter.replaceOp(last, both);
  }

private:
  bool bf16Hidden;
};

/// Adds up the results of experts as they are made.
struct FoldCombine : OpRewritePattern<CombineOp>, FoldProducts {
  FoldCombine(MLIRContext *context, bool bf16Hidden)
      : OpRewritePattern(context), FoldProducts(bf16Hidden) {}

  LogicalResult matchAndRewrite(CombineOp op,
                                PatternRewriter &rewriter) const override {
    if (op.getIdentityNulls() || op.getPassThrough())
      return rewriter.notifyMatchFailure(op, "adds more than results");
    auto down = op.getYs().getDefiningOp<GroupedMatmulOp>();
    GroupedMatmulOp up = down ? productBefore(down) : GroupedMatmulOp();
    if (!up || !down->hasOneUse() || !up.getGather())
      return rewriter.notifyMatchFailure(op, "no two products before it");
    auto group = up.getGather().getDefiningOp<GroupOp>();
    if (!group || up.getOffsets() != group.getOffsets() ||
        op.getPositions() != group.getPositions())
      return rewriter.notifyMatchFailure(op, "rows are not as grouped");
    fold(rewriter, op, up, down,
         op.getUnweighted() ? Value() : op.getWeights());
    return success();
  }
};

/// The experts that all tokens go to.
struct FoldDense : OpRewritePattern<GroupedMatmulOp>, FoldProducts {
  FoldDense(MLIRContext *context, bool bf16Hidden)
      : OpRewritePattern(context), FoldProducts(bf16Hidden) {}

  LogicalResult matchAndRewrite(GroupedMatmulOp op,
                                PatternRewriter &rewriter) const override {
    GroupedMatmulOp up = productBefore(op);
    if (!up || up.getOffsets())
      return rewriter.notifyMatchFailure(op, "not the second product of all");
    fold(rewriter, op, up, op, Value());
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

/// Rounds what the shared expert adds to the type of the rows; the sum over the
/// routed ones is of more terms, and stays f32.
struct NarrowMixed : OpRewritePattern<FeedForwardOp> {
  using OpRewritePattern::OpRewritePattern;

  LogicalResult matchAndRewrite(FeedForwardOp op,
                                PatternRewriter &rewriter) const override {
    RankedTensorType type = op.getY().getType();
    Type narrow = op.getXs().getType().getElementType();
    if (!narrow.isBF16() || type.getElementType() == narrow)
      return rewriter.notifyMatchFailure(op, "rows are not of bf16");
    if (op.getOffsets() || !llvm::all_of(op->getUsers(), llvm::IsaPred<MixOp>))
      return rewriter.notifyMatchFailure(op, "something else reads it");
    rewriter.modifyOpInPlace(op,
                             [&] { op.getY().setType(type.clone(narrow)); });
    return success();
  }
};

struct Fuse : moe::impl::FusePassBase<Fuse> {
  using FusePassBase::FusePassBase;

  void runOnOperation() override {
    RewritePatternSet patterns(&getContext());
    patterns.add<FoldCombine, FoldDense>(&getContext(), bf16Hidden);
    if (bf16Hidden)
      patterns.add<NarrowHidden, NarrowMixed>(&getContext());
    patterns.add<FoldDispatch, FoldActivation>(&getContext());
    if (failed(applyPatternsGreedily(getOperation(), std::move(patterns))))
      signalPassFailure();
  }
};

} // namespace
