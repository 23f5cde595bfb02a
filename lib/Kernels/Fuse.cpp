//===- Fuse.cpp - Fold dispatch and activation into grouped matmuls -------===//
//
// Part of moe-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "moe/Dialect/MoE/MoE.h"
#include "moe/Kernels/Passes.h"

#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
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

/// Decodes rows of a weight instead of taking rows of what is decoded: the
/// product that reads them then decodes them itself.
struct SliceEncoded : OpRewritePattern<tensor::ExtractSliceOp> {
  using OpRewritePattern::OpRewritePattern;

  struct Rows {
    int64_t offset, size, stride;
  };

  LogicalResult matchAndRewrite(tensor::ExtractSliceOp op,
                                PatternRewriter &rewriter) const override {
    auto decode = op.getSource().getDefiningOp<DecodeOp>();
    if (!decode)
      return rewriter.notifyMatchFailure(op, "not decoded");
    RankedTensorType from = op.getSourceType(), to = op.getType();
    int64_t dim = from.getRank() - 2;
    if (!takesRows(op, dim))
      return rewriter.notifyMatchFailure(op, "other than some whole rows");
    Rows rows = {op.getStaticOffset(dim), to.getDimSize(dim),
                 op.getStaticStride(dim)};
    Rows blocks;
    int64_t block = decode.getFormat().getOutputs();
    if (block == 0)
      blocks = {0, 1, 1};
    else if (block == 1)
      blocks = rows;
    else if (rows.stride == 1 && rows.offset % block == 0)
      blocks = {rows.offset / block, llvm::divideCeilSigned(rows.size, block),
                1};
    else if (block % rows.stride == 0 && rows.offset < rows.stride) {
      block /= rows.stride;
      blocks = {0, llvm::divideCeilSigned(rows.size, block), 1};
    } else
      return rewriter.notifyMatchFailure(op, "blocks would be cut apart");

    auto take = [&](Value tensor, const Rows &rows) -> Value {
      if (!tensor)
        return tensor;
      auto shape = cast<RankedTensorType>(tensor.getType()).getShape();
      SmallVector<OpFoldResult> offsets(shape.size(), rewriter.getIndexAttr(0));
      SmallVector<OpFoldResult> strides(shape.size(), rewriter.getIndexAttr(1));
      SmallVector<OpFoldResult> sizes =
          getAsIndexOpFoldResult(op.getContext(), shape);
      offsets[dim] = rewriter.getIndexAttr(rows.offset);
      sizes[dim] = rewriter.getIndexAttr(rows.size);
      strides[dim] = rewriter.getIndexAttr(rows.stride);
      return rewriter.createOrFold<tensor::ExtractSliceOp>(
          op.getLoc(), tensor, offsets, sizes, strides);
    };
    FormatAttr format = decode.getFormat();
    rewriter.replaceOpWithNewOp<DecodeOp>(
        op, to, take(decode.getData(), rows), take(decode.getScales(), blocks),
        take(decode.getZeros(), blocks), decode.getGlobalScale(),
        FormatAttr::get(op.getContext(), format.getKind(), block,
                        format.getInputs()));
    return success();
  }

  /// Whether the slice is known, and all of the source but along `dim`.
  static bool takesRows(tensor::ExtractSliceOp op, int64_t dim) {
    ArrayRef<int64_t> from = op.getSourceType().getShape();
    if (!op.getSourceType().hasStaticShape() ||
        !op.getType().hasStaticShape() ||
        op.getType().getRank() != op.getSourceType().getRank() ||
        op.getStaticOffset(dim) < 0 || op.getStaticStride(dim) < 1)
      return false;
    for (auto [i, size] : llvm::enumerate(op.getType().getShape()))
      if (int64_t(i) != dim && size != from[i])
        return false;
    return true;
  }
};

struct Fuse : moe::impl::FusePassBase<Fuse> {
  void runOnOperation() override {
    RewritePatternSet patterns(&getContext());
    patterns.add<FoldDispatch, FoldActivation, SliceEncoded>(&getContext());
    if (failed(applyPatternsGreedily(getOperation(), std::move(patterns))))
      signalPassFailure();
  }
};

} // namespace
