//===- PackOps.cpp - Rows in fewer bytes ----------------------------------===//
//
// Part of moe-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Numbers in brackets are constraints of docs/Spec.md. Packing loses bits, so
// unpack_rows(pack_rows(x)) is not x and does not fold.
//
//===----------------------------------------------------------------------===//

#include "Verify.h"

#include "mlir/IR/TypeUtilities.h"

using namespace mlir;
using namespace moe;

/// [O36]
static LogicalResult verifyPacked(Operation *op, QuantAttr format, Value counts,
                                  Value rows, Value packed) {
  if (format && format.getKind() == QuantKind::mxfp4)
    return op->emitOpError("expected a format with scales of f32, found mxfp4");
  Type element = getElementTypeOrSelf(packed);
  if (element.isInteger(8) != bool(format))
    return op->emitOpError("expected 'packed' of ")
           << (format ? "i8 with a format" : "bf16 without a format")
           << ", found " << element;
  Dims dims(op);
  if (failed(dims.check("counts", counts, {"n"})) ||
      failed(dims.check("rows", rows, {"R", "H"})))
    return failure();
  std::optional<int64_t> width = dims.get("H");
  if (format && width)
    width = format.getRowBytes(*width);
  dims.set("W", width);
  return dims.check("packed", packed, {"R", "W"});
}

LogicalResult PackRowsOp::verify() {
  return verifyPacked(*this, getFormatAttr(), getCounts(), getRows(),
                      getPacked());
}

LogicalResult UnpackRowsOp::verify() {
  return verifyPacked(*this, getFormatAttr(), getCounts(), getRows(),
                      getPacked());
}
