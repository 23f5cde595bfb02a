//===- LowerSlice.cpp - Slices as views, and constants --------------------===//
//
// Part of moe-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Lowering.h"

#include "mlir/Dialect/MemRef/IR/MemRef.h"

using namespace mlir;
using namespace moe;

/// Whether all of the place is known and inside the source. The verifier's sums
/// may overflow; these do not. A number that is not known is negative.
static bool isInside(tensor::ExtractSliceOp op) {
  for (auto [offset, size, stride, dim] :
       llvm::zip_equal(op.getStaticOffsets(), op.getStaticSizes(),
                       op.getStaticStrides(), op.getSourceType().getShape()))
    if (offset < 0 || offset >= dim || stride < 1 || stride > dim || size < 0 ||
        size - 1 > (dim - 1 - offset) / stride)
      return false;
  return true;
}

LogicalResult moe::lowerSlice(Lowering &l, tensor::ExtractSliceOp op) {
  RankedTensorType to = op.getType();
  if (op.getSourceType().getRank() != to.getRank() || !isInside(op))
    return op.emitOpError("cannot be lowered to a view; expected constant "
                          "offsets, sizes and strides in a tensor of static "
                          "shape and of the same rank");
  Emitter &e = l.e;
  e.setLoc(op.getLoc());
  Value view =
      memref::SubViewOp::create(e, l[op.getSource()], op.getMixedOffsets(),
                                op.getMixedSizes(), op.getMixedStrides());
  if (l.isPacked(l[op.getSource()]))
    l.setPacked(view);
  SmallVector<Extent, 3> shape;
  for (int64_t size : to.getShape())
    shape.push_back(Extent::constant(size));
  l.bind(op, view, shape);
  return success();
}

LogicalResult moe::lowerConstant(Lowering &l, arith::ConstantOp op) {
  auto splat = dyn_cast<SplatElementsAttr>(op.getValue());
  if (!splat || !isa<RankedTensorType>(op.getType()))
    return op.emitOpError("cannot be lowered to loops; expected a tensor of "
                          "one value");
  Emitter &e = l.e;
  e.setLoc(op.getLoc());
  SmallVector<Extent, 3> shape;
  for (int64_t size : splat.getType().getShape())
    shape.push_back(Extent::constant(size));
  Value buffer = l.result(op);
  auto value = splat.getSplatValue<TypedAttr>();
  l.forEach(shape, [&](ArrayRef<Val> at) {
    e.store(e.val(arith::ConstantOp::create(e, value)), buffer, at);
  });
  return success();
}
