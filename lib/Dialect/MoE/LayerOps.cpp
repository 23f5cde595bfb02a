//===- LayerOps.cpp - Operations around the experts -----------------------===//
//
// Part of moe-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Numbers in brackets are constraints of docs/Spec.md. [O1], shapes, is what
// every use of Dims checks. A fold is here only if it is right for every
// input, NaN and -0 included, and its comment says why.
//
//===----------------------------------------------------------------------===//

#include "Verify.h"

#include "mlir/IR/Matchers.h"
#include "mlir/IR/PatternMatch.h"

using namespace mlir;
using namespace moe;

/// Drops an operand that nothing reads.
static LogicalResult dropOperand(MutableOperandRange operand,
                                 PatternRewriter &rewriter) {
  rewriter.modifyOpInPlace(operand.getOwner(), [&] { operand.clear(); });
  return success();
}

//===----------------------------------------------------------------------===//
// Dispatch
//===----------------------------------------------------------------------===//

LogicalResult DispatchOp::verify() {
  // [O3]
  if (failed(
          verifyRange([&] { return emitOpError(); }, "slots", getSlots(), 1)))
    return failure();
  Dims dims(*this);
  dims.set("K", getSlots());
  if (failed(dims.check("x", getX(), {"T", "M"})) ||
      failed(dims.check("rows", getRows(), {"R"})) ||
      failed(dims.check("weights", getWeights(), {"T", "K"})) ||
      failed(dims.check("xs", getXs(), {"R", "M"})))
    return failure();

  // [O15]
  Type from = getX().getType().getElementType();
  Type to = getXs().getType().getElementType();
  if (getWeights() && from.isInteger(8))
    return emitOpError("expected 'x' of values with weights, found packed "
                       "rows");
  if (getWeights() && !to.isF32())
    return emitOpError() << "expected 'xs' of 'f32', as products with weights "
                         << "are, found " << to;
  if (!getWeights() && from != to)
    return emitOpError() << "expected 'xs' of " << from
                         << ", the element type of 'x', found " << to;
  return success();
}

LogicalResult DispatchOp::canonicalize(DispatchOp op,
                                       PatternRewriter &rewriter) {
  // x * 1 is x, whatever x: signs and NaN stay.
  DenseElementsAttr weights;
  if (op.getX().getType().getElementType() !=
      op.getXs().getType().getElementType())
    return rewriter.notifyMatchFailure(op, "the products are wider than x");
  if (!op.getWeights() ||
      !matchPattern(op.getWeights(), m_Constant(&weights)) ||
      !weights.isSplat() || !weights.getSplatValue<APFloat>().isExactlyValue(1))
    return rewriter.notifyMatchFailure(op, "weights are not all 1");
  return dropOperand(op.getWeightsMutable(), rewriter);
}

//===----------------------------------------------------------------------===//
// Combine
//===----------------------------------------------------------------------===//

LogicalResult CombineOp::verify() {
  // [O3]
  if (failed(verifyRange([&] { return emitOpError(); }, "experts", getExperts(),
                         1)))
    return failure();

  // [O18]
  bool addsInput = getIdentityNulls() || getPassThrough();
  StringRef flag = getIdentityNulls() ? "identity_nulls" : "pass_through";
  if (addsInput && !getX())
    return emitOpError() << "expected 'x' with '" << flag << "'";
  if (addsInput && getUnweighted())
    return emitOpError() << "expected no 'unweighted' with '" << flag << "'";
  if (!getUnweighted() && !getWeights())
    return emitOpError() << "expected 'weights' without 'unweighted'";
  if (getMember() && !getX())
    return emitOpError() << "expected 'x' with 'member'";

  Dims dims(*this);
  return success(
      succeeded(dims.check("ys", getYs(), {"R", "M"})) &&
      succeeded(dims.check("positions", getPositions(), {"T", "K"})) &&
      succeeded(dims.check("indices", getIndices(), {"T", "K"})) &&
      succeeded(dims.check("weights", getWeights(), {"T", "K"})) &&
      succeeded(dims.check("x", getX(), {"T", "M"})) &&
      succeeded(dims.check("member", getMember(), {})) &&
      succeeded(dims.check("y", getY(), {"T", "M"})));
}

LogicalResult CombineOp::canonicalize(CombineOp op, PatternRewriter &rewriter) {
  // Only the two flags read x.
  if (!op.getX() || op.getIdentityNulls() || op.getPassThrough())
    return rewriter.notifyMatchFailure(op, "x is read");
  rewriter.modifyOpInPlace(op, [&] {
    op.getXMutable().clear();
    op.getMemberMutable().clear();
  });
  return success();
}

//===----------------------------------------------------------------------===//
// RMSNorm
//===----------------------------------------------------------------------===//

LogicalResult RMSNormOp::verify() {
  // [O4], [O26]
  auto error = [&] { return emitOpError(); };
  if (failed(verifyNumber(error, "eps", getEps(), Sign::Positive)) ||
      failed(verifyNumber(error, "factor", getFactor())))
    return failure();
  Dims dims(*this);
  return success(succeeded(dims.check("x", getX(), {"T", "M"})) &&
                 succeeded(dims.check("scale", getScale(), {"M"})) &&
                 succeeded(dims.check("y", getY(), {"T", "M"})));
}

//===----------------------------------------------------------------------===//
// Mix
//===----------------------------------------------------------------------===//

LogicalResult MixOp::verify() {
  // [O19]
  bool isGated = getGate() != GateKind::none;
  if (isGated && !getShared())
    return emitOpError() << "expected 'shared' with gate "
                         << stringifyGateKind(getGate());
  if (isGated != static_cast<bool>(getLogits()))
    return emitOpError() << "expected " << (isGated ? "" : "no ")
                         << "'logits' with gate "
                         << stringifyGateKind(getGate());

  // [O4], [O27]
  APFloat scale = getSharedScale();
  if (failed(
          verifyNumber([&] { return emitOpError(); }, "shared_scale", scale)))
    return failure();
  if (!getShared() && !scale.isExactlyValue(1.0))
    return emitOpError() << "expected 'shared' with 'shared_scale'";

  StringRef columns = getGate() == GateKind::softmax2 ? "2" : "1";
  Dims dims(*this);
  return success(succeeded(dims.check("routed", getRouted(), {"T", "D"})) &&
                 succeeded(dims.check("shared", getShared(), {"T", "D"})) &&
                 succeeded(dims.check("bias", getBias(), {"D"})) &&
                 succeeded(dims.check("logits", getLogits(), {"T", columns})) &&
                 succeeded(dims.check("y", getY(), {"T", "D"})));
}

OpFoldResult MixOp::fold(FoldAdaptor adaptor) {
  // With nothing to add, all that is left is rounding f32 to f32.
  if (getGate() == GateKind::none && !getShared() && !getBias() &&
      getRouted().getType() == getType())
    return getRouted();
  return {};
}
