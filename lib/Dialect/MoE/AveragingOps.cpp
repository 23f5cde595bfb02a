//===- AveragingOps.cpp - Sums, means and their compression ---------------===//
//
// Part of moe-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Numbers in brackets are constraints of docs/Spec.md. [O1], shapes, is what
// every use of Dims checks. Quantizing loses bits, so dequantize(quantize(v))
// is not v and does not fold.
//
//===----------------------------------------------------------------------===//

#include "Verify.h"

#include "mlir/IR/Matchers.h"
#include "mlir/IR/TypeUtilities.h"

using namespace mlir;
using namespace moe;

//===----------------------------------------------------------------------===//
// Quantize, dequantize
//===----------------------------------------------------------------------===//

/// Checks what both directions have in common: n values are n bytes, or half
/// as many, and one scale a block.
static LogicalResult verifyQuantized(Operation *op, QuantAttr format,
                                     Value values, Value data, Value scales) {
  bool isMx = format.getKind() == QuantKind::mxfp4;
  bool isPacked = isMx || format.getKind() == QuantKind::int4;
  Dims dims(op);
  if (failed(dims.check("values", values, {"n"})))
    return failure();
  dims.set("ceil(n/2)", ceilDiv(dims.get("n"), 2));
  if (failed(dims.check("data", data, {isPacked ? "ceil(n/2)" : "n"})))
    return failure();
  // An odd n and the next even one need the same number of packed blocks.
  std::optional<int64_t> count = dims.get("n");
  if (!count)
    count = product(dims.get("ceil(n/2)"), 2);
  dims.set("ceil(n/block)", ceilDiv(count, format.getBlock()));
  if (failed(dims.check("scales", scales, {"ceil(n/block)"})))
    return failure();

  // [O20]
  Type element = getElementTypeOrSelf(scales);
  if (element.isInteger(8) != isMx)
    return op->emitOpError()
           << "expected scales of " << (isMx ? "i8" : "f32")
           << " with kind = " << stringifyQuantKind(format.getKind())
           << ", found " << element;
  return success();
}

LogicalResult QuantizeOp::verify() {
  if (failed(verifyQuantized(*this, getFormat(), getValues(), getData(),
                             getScales())))
    return failure();
  return Dims(*this).check("status", getStatus(), {});
}

LogicalResult DequantizeOp::verify() {
  return verifyQuantized(*this, getFormat(), getValues(), getData(),
                         getScales());
}

//===----------------------------------------------------------------------===//
// Accumulate, average
//===----------------------------------------------------------------------===//

LogicalResult AccumulateOp::verify() {
  // [O21]
  Type sum = getElementTypeOrSelf(getSum());
  Type values = getElementTypeOrSelf(getValues());
  Type result = getElementTypeOrSelf(getResult());
  if (sum.isF32() != values.isF32())
    return emitOpError()
           << "expected 'sum' and 'values' of f32 and f32 or of i64 and i32, "
              "found "
           << sum << " and " << values;
  if (sum != result)
    return emitOpError() << "expected 'result' of " << sum
                         << ", the element type of 'sum', found " << result;

  // The shape is any, so its dimensions are named by their place.
  SmallVector<std::string> names;
  for (int64_t i = 0; i < getSum().getType().getRank(); ++i)
    names.push_back("d" + std::to_string(i));
  SmallVector<StringRef> shape(names.begin(), names.end());
  Dims dims(*this);
  return success(succeeded(dims.check("sum", getSum(), shape)) &&
                 succeeded(dims.check("values", getValues(), shape)) &&
                 succeeded(dims.check("result", getResult(), shape)));
}

/// Whether adding `value` changes nothing. For floats that is -0 alone: adding
/// +0 would turn -0 into +0.
static bool isNeutral(Attribute value) {
  auto splat = dyn_cast_or_null<SplatElementsAttr>(value);
  if (!splat)
    return false;
  if (isa<FloatType>(splat.getElementType()))
    return splat.getSplatValue<APFloat>().isNegZero();
  return splat.getSplatValue<APInt>().isZero();
}

OpFoldResult AccumulateOp::fold(FoldAdaptor adaptor) {
  if (isNeutral(adaptor.getValues()) && getSum().getType() == getType())
    return getSum();
  // Integers that were summed into 64 bits have another type and stay.
  if (isNeutral(adaptor.getSum()) && getValues().getType() == getType())
    return getValues();
  return {};
}

LogicalResult AverageOp::verify() {
  // [O22]: a mean of nothing is not a number.
  auto type = getSets().getType();
  if (type.getRank() > 0 && type.getDimSize(0) == 0)
    return emitOpError() << "expected at least 1 set, found " << type;
  Dims dims(*this);
  return success(succeeded(dims.check("sets", getSets(), {"m", "n"})) &&
                 succeeded(dims.check("mean", getMean(), {"n"})) &&
                 succeeded(dims.check("status", getStatus(), {})));
}

//===----------------------------------------------------------------------===//
// The mean over a group
//===----------------------------------------------------------------------===//

LogicalResult ResizeOp::verify() {
  Dims dims(*this);
  if (failed(dims.check("values", getValues(), {"n"})) ||
      failed(dims.check("result", getResult(), {"r"})) ||
      failed(dims.check("status", getStatus(), {})))
    return failure();
  return verifyExtent(*this, "rows", getRows(), getResult());
}

LogicalResult SliceMeanOp::verify() {
  int64_t members = getMembers();
  if (failed(verifyRange([&] { return emitOpError(); }, "members", members, 1)))
    return failure();
  Dims dims(*this);
  if (failed(dims.check("slices", getSlices(), {"m*s"})))
    return failure();
  // [O34]
  if (std::optional<int64_t> count = dims.get("m*s")) {
    if (*count % members != 0)
      return emitOpError() << "expected 'slices' that " << members
                           << " members have equal shares of, found " << *count;
    dims.set("s", *count / members);
  }
  return success(succeeded(dims.check("count", getCount(), {})) &&
                 succeeded(dims.check("mean", getMean(), {"s"})));
}

LogicalResult ResidualOp::verify() {
  Dims dims(*this);
  return success(succeeded(dims.check("values", getValues(), {"m*s"})) &&
                 succeeded(dims.check("sent", getSent(), {"m*s"})) &&
                 succeeded(dims.check("mean", getMean(), {"s"})) &&
                 succeeded(dims.check("given", getGiven(), {"m*s"})) &&
                 succeeded(dims.check("count", getCount(), {})) &&
                 succeeded(dims.check("member", getMember(), {})) &&
                 succeeded(dims.check("error", getError(), {"m*s"})));
}

LogicalResult RequireOp::verify() {
  return Dims(*this).check("status", getStatus(), {});
}
