//===- Fuse.cpp - Fold dispatch and activation into grouped matmuls -------===//
//
// Part of moe-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Weight.h"

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
          matmul.getTransposed() != first.getTransposed() ||
          matmul.getTf32() != first.getTf32() ||
          matmul.getFormat() != first.getFormat() ||
          matmul.getBiases().size() != first.getBiases().size() ||
          matmul.getWeights()[0].getType() != first.getWeights()[0].getType())
        return rewriter.notifyMatchFailure(op, "inputs have different rows");
      llvm::append_range(weights, matmul.getWeights());
      llvm::append_range(biases, matmul.getBiases());
    }
    auto fused = GroupedMatmulOp::create(
        rewriter, op.getLoc(), op.getType(), first.getXs(),
        first.getFormatAttr(), weights, biases, first.getOffsets(),
        first.getGather(), first.getSlotsAttr(), first.getTransposedAttr(),
        first.getTf32Attr());
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
                !down.getGather() && !down.getFormat() && !down.getTransposed();
  return isDown && up && up->hasOneUse() && !up.getFormat() &&
                 !up.getTransposed() && up.getOffsets() == down.getOffsets()
             ? up
             : GroupedMatmulOp();
}

/// Whether vectors of `step` bf16 hold the weight's values without loss.
static bool fitsPairs(Value weight, int64_t step) {
  auto type = cast<RankedTensorType>(weight.getType());
  if (auto decode = weight.getDefiningOp<DecodeOp>())
    return moe::fitsPairs(decode.getFormat(), type.getShape().back(), step);
  return type.getElementType().isBF16();
}

/// Makes one operation of both products of experts.
class FoldProducts {
protected:
  explicit FoldProducts(int64_t bf16Step) : bf16Step(bf16Step) {}

  void fold(PatternRewriter &rewriter, Operation *last, GroupedMatmulOp up,
            GroupedMatmulOp down, Value weights) const {
    Type x = up.getXs().getType().getElementType();
    bool isNarrow = bf16Step && x.isBF16() &&
                    fitsPairs(down.getWeights().front(), bf16Step);
    Type hidden = isNarrow ? x : Type(rewriter.getF32Type());
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
  int64_t bf16Step;
};

/// Adds up the results of experts as they are made.
struct FoldCombine : OpRewritePattern<CombineOp>, FoldProducts {
  FoldCombine(MLIRContext *context, int64_t bf16Step)
      : OpRewritePattern(context), FoldProducts(bf16Step) {}

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
  FoldDense(MLIRContext *context, int64_t bf16Step)
      : OpRewritePattern(context), FoldProducts(bf16Step) {}

  LogicalResult matchAndRewrite(GroupedMatmulOp op,
                                PatternRewriter &rewriter) const override {
    GroupedMatmulOp up = productBefore(op);
    if (!up || up.getOffsets())
      return rewriter.notifyMatchFailure(op, "not the second product of all");
    fold(rewriter, op, up, op, Value());
    return success();
  }
};

/// Rounds a result that is made of bf16 rows to bf16, if all that reads it may
/// have it so.
static LogicalResult narrow(PatternRewriter &rewriter, Operation *op,
                            Value rows,
                            llvm::function_ref<bool(OpOperand &)> mayBeNarrow) {
  Value result = op->getResult(0);
  auto type = cast<RankedTensorType>(result.getType());
  Type narrow = getElementTypeOrSelf(rows);
  if (!narrow.isBF16() || type.getElementType() == narrow)
    return rewriter.notifyMatchFailure(op, "rows are not of bf16");
  if (!llvm::all_of(result.getUses(), mayBeNarrow))
    return rewriter.notifyMatchFailure(op, "something else reads it");
  rewriter.modifyOpInPlace(op, [&] { result.setType(type.clone(narrow)); });
  return success();
}

/// What a product hands to one of pairs of bf16.
struct NarrowHidden : OpRewritePattern<GroupedMatmulOp> {
  NarrowHidden(MLIRContext *context, int64_t bf16Step)
      : OpRewritePattern(context), bf16Step(bf16Step) {}

  LogicalResult matchAndRewrite(GroupedMatmulOp op,
                                PatternRewriter &rewriter) const override {
    return narrow(rewriter, op, op.getXs(), [&](OpOperand &use) {
      auto next = dyn_cast<GroupedMatmulOp>(use.getOwner());
      return next && use.get() == next.getXs() && !next.getFormat() &&
             llvm::all_of(next.getWeights(), [&](Value weight) {
               return fitsPairs(weight, bf16Step);
             });
    });
  }

  int64_t bf16Step;
};

/// What the shared expert adds; the sum over the routed ones is of more terms,
/// and stays f32.
struct NarrowMixed : OpRewritePattern<FeedForwardOp> {
  using OpRewritePattern::OpRewritePattern;

  LogicalResult matchAndRewrite(FeedForwardOp op,
                                PatternRewriter &rewriter) const override {
    return narrow(rewriter, op, op.getXs(), [&](OpOperand &use) {
      return !op.getOffsets() && isa<MixOp>(use.getOwner());
    });
  }
};

/// Rounds results to what they are sent as where they are made.
struct FoldPack : OpRewritePattern<PackRowsOp> {
  using OpRewritePattern::OpRewritePattern;

  LogicalResult matchAndRewrite(PackRowsOp op,
                                PatternRewriter &rewriter) const override {
    Operation *producer = op.getRows().getDefiningOp();
    if (op.getFormat() || !op.getRows().hasOneUse() ||
        !isa_and_nonnull<CombineOp, FeedForwardOp>(producer))
      return rewriter.notifyMatchFailure(op, "not of results that are rounded");
    rewriter.modifyOpInPlace(producer, [&] {
      producer->getResult(0).setType(op.getPacked().getType());
    });
    rewriter.replaceOp(op, producer->getResult(0));
    return success();
  }
};

/// Adds up rows of bf16 as they came.
struct FoldUnpack : OpRewritePattern<CombineOp> {
  using OpRewritePattern::OpRewritePattern;

  LogicalResult matchAndRewrite(CombineOp op,
                                PatternRewriter &rewriter) const override {
    auto unpack = op.getYs().getDefiningOp<UnpackRowsOp>();
    if (!unpack || unpack.getFormat())
      return rewriter.notifyMatchFailure(op, "results are not of bf16");
    rewriter.modifyOpInPlace(
        op, [&] { op.getYsMutable().assign(unpack.getPacked()); });
    return success();
  }
};

struct Fuse : moe::impl::FusePassBase<Fuse> {
  using FusePassBase::FusePassBase;

  void runOnOperation() override {
    RewritePatternSet patterns(&getContext());
    if (!separate)
      patterns.add<FoldCombine, FoldDense>(&getContext(), bf16Step);
    if (bf16Step) {
      patterns.add<NarrowHidden>(&getContext(), bf16Step);
      patterns.add<NarrowMixed>(&getContext());
    }
    patterns.add<FoldDispatch, FoldActivation, FoldPack, FoldUnpack>(
        &getContext());
    if (failed(applyPatternsGreedily(getOperation(), std::move(patterns))))
      signalPassFailure();
  }
};

} // namespace
