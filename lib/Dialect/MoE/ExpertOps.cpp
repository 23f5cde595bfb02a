//===- ExpertOps.cpp - Operations that an expert is made of ---------------===//
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

#include "mlir/IR/PatternMatch.h"
#include "mlir/IR/TypeUtilities.h"

using namespace mlir;
using namespace moe;

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

/// [O16], [O31]: `values` are of one shape and of one element type.
static LogicalResult checkAlike(Operation *op, Dims &dims, StringRef name,
                                ValueRange values, ArrayRef<StringRef> shape) {
  for (auto [i, value] : llvm::enumerate(values)) {
    if (failed(dims.check(name + " #" + Twine(i), value, shape)))
      return failure();
    Type first = getElementTypeOrSelf(values.front());
    if (getElementTypeOrSelf(value) != first)
      return op->emitOpError()
             << "expected '" << name << " #" << i << "' of " << first
             << " like the first, found " << getElementTypeOrSelf(value);
  }
  return success();
}

/// [O39]: values are rounded to tf32 only where they are f32.
static LogicalResult checkTf32(Operation *op, bool tf32, ValueRange values) {
  for (Value value : values)
    if (Type type = getElementTypeOrSelf(value); tf32 && !type.isF32())
      return op->emitOpError() << "expected f32 with 'tf32', found " << type;
  return success();
}

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

  // [O38]
  if (QuantAttr format = getFormatAttr();
      format && format.getKind() != QuantKind::fp8_e4m3)
    return emitOpError() << "expected rows as fp8_e4m3, found "
                         << stringifyQuantKind(format.getKind());
  if (getFormat() && getTransposed())
    return emitOpError() << "expected no format with 'transposed'";
  bool isGrouped = static_cast<bool>(getOffsets());
  bool isGathered = static_cast<bool>(getGather());
  // Without offsets, rows that are no slots would be read.
  if (isGathered && !isGrouped)
    return emitOpError() << "expected 'offsets' where there is 'gather'";
  SmallVector<StringRef> weight{"O", "M"}, bias{"O"};
  if (getTransposed())
    std::swap(weight[0], weight[1]);
  if (isGrouped) {
    weight.insert(weight.begin(), "E");
    bias.insert(bias.begin(), "E");
  }
  Dims dims(*this);
  if (failed(dims.check("xs", getXs(), {isGathered ? "T" : "R", "M"})) ||
      failed(dims.check("gather", getGather(), {"R"})) ||
      failed(checkAlike(*this, dims, "weights", getWeights(), weight)) ||
      failed(checkAlike(*this, dims, "biases", getBiases(), bias)))
    return failure();
  if (std::optional<int64_t> experts = dims.get("E"))
    dims.set("E+1", *experts + 1);
  if (failed(dims.check("offsets", getOffsets(), {"E+1"})) ||
      failed(dims.check("ys", getYs(), {"R", "O"})))
    return failure();
  SmallVector<Value> factors(getWeights());
  factors.push_back(getXs());
  return checkTf32(*this, getTf32(), factors);
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
// GroupedOuter
//===----------------------------------------------------------------------===//

LogicalResult GroupedOuterOp::verify() {
  Dims dims(*this);
  if (failed(dims.check("xs", getXs(), {"R", "A"})) ||
      failed(dims.check("ys", getYs(), {"R", "B"})) ||
      failed(dims.check("sums", getSums(), {"E", "A", "B"})))
    return failure();
  if (std::optional<int64_t> experts = dims.get("E"))
    dims.set("E+1", *experts + 1);
  if (failed(dims.check("offsets", getOffsets(), {"E+1"})))
    return failure();
  return checkTf32(*this, getTf32(), {getXs(), getYs()});
}

//===----------------------------------------------------------------------===//
// FeedForward
//===----------------------------------------------------------------------===//

LogicalResult FeedForwardOp::verify() {
  // [O3]
  if (failed(
          verifyRange([&] { return emitOpError(); }, "slots", getSlots(), 1)))
    return failure();
  // [O31]
  size_t count = getUps().size();
  if (count == 0)
    return emitOpError() << "expected at least 1 of 'ups', found 0";
  if (!getUpBiases().empty() && getUpBiases().size() != count)
    return emitOpError() << "expected 0 or " << count
                         << " of 'up_biases', found " << getUpBiases().size();
  if (getEpilogue().empty() && count != 1)
    return emitOpError() << "expected 1 of 'ups' without an epilogue, found "
                         << count;
  if (!getHidden().isF32() && !getHidden().isBF16())
    return emitOpError() << "expected 'hidden' of f32 or bf16, found "
                         << getHidden();
  bool isGrouped = static_cast<bool>(getOffsets());
  if (isGrouped != static_cast<bool>(getRows()))
    return emitOpError() << "expected both of 'offsets' and 'rows' or neither";
  if (getWeights() && !isGrouped)
    return emitOpError() << "expected 'rows' where there are 'weights'";
  auto shape = [&](std::initializer_list<StringRef> names) {
    SmallVector<StringRef, 3> shape(names);
    if (isGrouped)
      shape.insert(shape.begin(), "E");
    return shape;
  };
  Dims dims(*this);
  if (failed(dims.check("xs", getXs(), {"T", "M"})) ||
      failed(checkAlike(*this, dims, "ups", getUps(), shape({"I", "M"}))) ||
      failed(
          checkAlike(*this, dims, "up_biases", getUpBiases(), shape({"I"}))) ||
      failed(dims.check("down", getDown(), shape({"O", "I"}))) ||
      failed(dims.check("down_bias", getDownBias(), shape({"O"}))))
    return failure();
  if (std::optional<int64_t> experts = dims.get("E"))
    dims.set("E+1", *experts + 1);
  dims.set("K", getSlots());
  return success(succeeded(dims.check("offsets", getOffsets(), {"E+1"})) &&
                 succeeded(dims.check("rows", getRows(), {"R"})) &&
                 succeeded(dims.check("weights", getWeights(), {"T", "K"})) &&
                 succeeded(dims.check("y", getY(), {"T", "O"})));
}

LogicalResult FeedForwardOp::verifyRegions() {
  if (getEpilogue().empty())
    return success();
  return verifyElementwise(*this, "epilogue", getEpilogue(), getUps().size());
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
