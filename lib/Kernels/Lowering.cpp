//===- Lowering.cpp - The lowering of one function ------------------------===//
//
// Part of moe-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Lowering.h"

#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "llvm/Support/MathExtras.h"

using namespace mlir;
using namespace moe;

/// Every buffer of the workspace starts on a cache line.
static constexpr int64_t alignment = 64;

Lowering::Lowering(Location loc, MLIRContext *context, bool reference,
                   int64_t lanes)
    : e(loc, context,
        reference ? FloatType(Float64Type::get(context))
                  : FloatType(Float32Type::get(context)),
        /*sequential=*/reference),
      reference(reference), lanes(lanes) {}

void Lowering::bind(Value tensor, Value buffer, ArrayRef<Extent> shape) {
  buffers[tensor] = buffer;
  shapes[tensor] = SmallVector<Extent, 3>(shape);
}

void Lowering::expose(Value tensor, Value buffer, ArrayRef<Extent> shape) {
  if (exposed.try_emplace(tensor, buffer).second)
    exposedShapes[tensor] = SmallVector<Extent, 3>(shape);
}

Extent Lowering::exposedExtent(Value tensor, unsigned dim,
                               Extent inside) const {
  auto it = exposedShapes.find(tensor);
  return it == exposedShapes.end() ? inside : it->second[dim];
}

void Lowering::setSizes(ArrayRef<std::string> names, ArrayRef<Val> values) {
  for (auto [name, value] : llvm::zip_equal(names, values))
    sizes[name] = value;
}

Val Lowering::size(const Extent &extent) {
  if (extent.isConstant())
    return e.index(extent.factor);
  Val value = sizes.lookup(extent.size);
  if (extent.factor != 1)
    value = value * extent.factor;
  if (extent.divisor != 1)
    value = (value + (extent.divisor - 1)) / extent.divisor;
  return value;
}

Value Lowering::result(Value tensor, ArrayRef<Extent> dynamic) {
  auto type = cast<RankedTensorType>(tensor.getType());
  SmallVector<Extent, 3> shape;
  for (int64_t dim : type.getShape()) {
    if (ShapedType::isDynamic(dim)) {
      shape.push_back(dynamic.front());
      dynamic = dynamic.drop_front();
    } else {
      shape.push_back(Extent::constant(dim));
    }
  }
  Type element = storage(type.getElementType());
  Value buffer = exposed.lookup(tensor);
  if (!buffer || cast<MemRefType>(buffer.getType()).getElementType() != element)
    buffer = scratch(element, shape);
  bind(tensor, buffer, shape);
  return buffer;
}

Value Lowering::scratch(Type element, ArrayRef<Extent> shape) {
  SmallVector<int64_t> dims;
  SmallVector<Value> dynamic;
  Val bytes = e.index(1);
  int64_t staticBytes = element.getIntOrFloatBitWidth() / 8;
  const Extent *varying = nullptr;
  for (const Extent &extent : shape) {
    if (extent.isConstant()) {
      dims.push_back(extent.factor);
      staticBytes *= extent.factor;
      continue;
    }
    dims.push_back(ShapedType::kDynamic);
    dynamic.push_back(size(extent));
    bytes = bytes * e.val(dynamic.back());
    varying = &extent;
  }
  // At most one dimension of what the workspace holds varies.
  if (varying)
    needed.per[varying->size] +=
        llvm::divideCeil(staticBytes * varying->factor, varying->divisor);
  else
    needed.constant += staticBytes;
  needed.constant += 2 * alignment;

  if (!workspaceEnd.value)
    workspaceEnd = e.index(0);
  Value view = memref::ViewOp::create(e, MemRefType::get(dims, element),
                                      workspace, workspaceEnd, dynamic);
  workspaceEnd = (workspaceEnd + bytes * staticBytes + (alignment - 1)) /
                 alignment * alignment;
  return view;
}
