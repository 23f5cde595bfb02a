//===- ExpertOps.cpp - Moving rows to experts and back --------------------===//
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
#include "mlir/IR/TypeUtilities.h"

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
// Decode
//===----------------------------------------------------------------------===//

LogicalResult DecodeOp::verify() {
  FormatAttr format = getFormat();
  StringRef kind = stringifyWeightFormatKind(format.getKind());

  // [O29]
  bool isSmall = format.hasSmallScales();
  Type scales = getElementTypeOrSelf(getScales());
  if (scales.isInteger(8) != isSmall)
    return emitOpError() << "expected scales of " << (isSmall ? "i8" : "f32")
                         << " with kind = " << kind << ", found " << scales;
  if (getZeros() && format.getKind() != WeightFormatKind::int4)
    return emitOpError() << "expected no 'zeros' with kind = " << kind;
  bool isGlobal = format.getKind() == WeightFormatKind::nvfp4;
  if (isGlobal != static_cast<bool>(getGlobalScale()))
    return emitOpError() << "expected " << (isGlobal ? "" : "no ")
                         << "'global' with kind = " << kind;

  bool isGrouped = getValues().getType().getRank() == 3;
  auto shape = [&](std::initializer_list<StringRef> names) {
    SmallVector<StringRef, 3> shape(names);
    if (isGrouped)
      shape.insert(shape.begin(), "E");
    return shape;
  };
  Dims dims(*this);
  if (failed(dims.check("values", getValues(), shape({"O", "M"}))))
    return failure();

  // [O30]
  std::optional<int64_t> inputs = dims.get("M");
  if (inputs && *inputs % format.getInputUnit() != 0)
    return emitOpError() << "expected a multiple of " << format.getInputUnit()
                         << " inputs with kind = " << kind << ", found "
                         << *inputs;

  bool isPacked = format.getValuesPerByte() == 2;
  dims.set("M/2", ceilDiv(inputs, 2));
  auto blocks = [](std::optional<int64_t> size, int64_t block) {
    return block == 0 ? std::optional<int64_t>(1) : ceilDiv(size, block);
  };
  dims.set("ceil(O/outputs)", blocks(dims.get("O"), format.getOutputs()));
  dims.set("ceil(M/inputs)", blocks(inputs, format.getInputs()));
  return success(
      succeeded(dims.check("data", getData(),
                           shape({"O", isPacked ? "M/2" : "M"}))) &&
      succeeded(dims.check("scales", getScales(),
                           shape({"ceil(O/outputs)", "ceil(M/inputs)"}))) &&
      succeeded(dims.check("zeros", getZeros(),
                           shape({"ceil(O/outputs)", "ceil(M/inputs)"}))) &&
      succeeded(dims.check("global", getGlobalScale(), shape({}))));
}

//===----------------------------------------------------------------------===//
// GroupedMatmul
//===----------------------------------------------------------------------===//

LogicalResult GroupedMatmulOp::verify() {
  // [O3]
  if (failed(
          verifyRange([&] { return emitOpError(); }, "slots", getSlots(), 1)))
    return failure();

  // [O16]
  unsigned count = getWeights().size();
  if (count == 0)
    return emitOpError() << "expected at least 1 weight, found 0";
  if (!getBiases().empty() && getBiases().size() != count)
    return emitOpError() << "expected 0 or " << count << " biases, found "
                         << getBiases().size();
  if (getEpilogue().empty() && count != 1)
    return emitOpError() << "expected 1 weight without an epilogue, found "
                         << count;

  bool isGrouped = static_cast<bool>(getOffsets());
  bool isGathered = static_cast<bool>(getGather());
  // Without offsets, rows that are no slots would be read.
  if (isGathered && !isGrouped)
    return emitOpError() << "expected 'offsets' where there is 'gather'";
  SmallVector<StringRef> weight{"O", "M"}, bias{"O"};
  if (isGrouped) {
    weight.insert(weight.begin(), "E");
    bias.insert(bias.begin(), "E");
  }
  Dims dims(*this);
  if (failed(dims.check("xs", getXs(), {isGathered ? "T" : "R", "M"})) ||
      failed(dims.check("gather", getGather(), {"R"})))
    return failure();
  for (auto [i, value] : llvm::enumerate(getWeights())) {
    if (failed(dims.check("weights #" + Twine(i), value, weight)))
      return failure();
    // [O16]
    Type first = getElementTypeOrSelf(getWeights().front());
    if (getElementTypeOrSelf(value) != first)
      return emitOpError() << "expected 'weights #" << i << "' of " << first
                           << " like the first, found "
                           << getElementTypeOrSelf(value);
  }
  for (auto [i, value] : llvm::enumerate(getBiases()))
    if (failed(dims.check("biases #" + Twine(i), value, bias)))
      return failure();
  if (std::optional<int64_t> experts = dims.get("E"))
    dims.set("E+1", *experts + 1);
  return success(succeeded(dims.check("offsets", getOffsets(), {"E+1"})) &&
                 succeeded(dims.check("ys", getYs(), {"R", "O"})));
}

LogicalResult GroupedMatmulOp::verifyRegions() {
  if (getEpilogue().empty())
    return success();
  return verifyElementwise(*this, "epilogue", getEpilogue(),
                           getWeights().size());
}

LogicalResult GroupedMatmulOp::canonicalize(GroupedMatmulOp op,
                                            PatternRewriter &rewriter) {
  // An epilogue that returns the value it is given says nothing.
  if (op.getWeights().size() != 1 || !getReturnedArgument(op.getEpilogue()))
    return rewriter.notifyMatchFailure(op, "the epilogue computes something");
  rewriter.modifyOpInPlace(
      op, [&] { rewriter.eraseBlock(&op.getEpilogue().front()); });
  return success();
}

//===----------------------------------------------------------------------===//
// Activate
//===----------------------------------------------------------------------===//

LogicalResult ActivateOp::verify() {
  // [O17]
  size_t count = getInputs().size();
  if (count != 1 && count != 2)
    return emitOpError() << "expected 1 or 2 inputs, found " << count;
  Dims dims(*this);
  for (auto [i, value] : llvm::enumerate(getInputs()))
    if (failed(dims.check("inputs #" + Twine(i), value, {"R", "I"})))
      return failure();
  return dims.check("result", getResult(), {"R", "I"});
}

LogicalResult ActivateOp::verifyRegions() {
  return verifyElementwise(*this, "body", getBody(), getInputs().size());
}

OpFoldResult ActivateOp::fold(FoldAdaptor adaptor) {
  // Returning an argument moves f32 values and computes nothing.
  BlockArgument argument = getReturnedArgument(getBody());
  if (!argument || argument.getArgNumber() >= getInputs().size())
    return {};
  Value input = getInputs()[argument.getArgNumber()];
  // A cast between static and dynamic shapes is not ours to add.
  return input.getType() == getType() ? input : OpFoldResult();
}

LogicalResult ActivateOp::canonicalize(ActivateOp op,
                                       PatternRewriter &rewriter) {
  // What the body does not read need not be computed; one input stays, to say
  // the shape.
  Block &body = op.getBody().front();
  if (op.getInputs().size() == 2)
    for (BlockArgument argument : body.getArguments())
      if (argument.use_empty()) {
        unsigned index = argument.getArgNumber();
        rewriter.modifyOpInPlace(op, [&] {
          op.getInputsMutable().erase(index);
          body.eraseArgument(index);
        });
        return success();
      }
  return rewriter.notifyMatchFailure(op, "every input is read");
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

  Dims dims(*this);
  return success(
      succeeded(dims.check("ys", getYs(), {"R", "M"})) &&
      succeeded(dims.check("positions", getPositions(), {"T", "K"})) &&
      succeeded(dims.check("indices", getIndices(), {"T", "K"})) &&
      succeeded(dims.check("weights", getWeights(), {"T", "K"})) &&
      succeeded(dims.check("x", getX(), {"T", "M"})) &&
      succeeded(dims.check("y", getY(), {"T", "M"})));
}

LogicalResult CombineOp::canonicalize(CombineOp op, PatternRewriter &rewriter) {
  // Only the two flags read x.
  if (!op.getX() || op.getIdentityNulls() || op.getPassThrough())
    return rewriter.notifyMatchFailure(op, "x is read");
  return dropOperand(op.getXMutable(), rewriter);
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
