//===- TensorMap.cpp - Matrices that boxes are copied from ----------------===//
//
// Part of moe-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "TensorMap.h"

#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"

using namespace mlir;
using namespace moe;

static constexpr int64_t mapBytes = 128, mapAlignment = 64;
/// Where rows, matrices and the first of them may begin.
static constexpr int64_t rowAlignment = 16;

namespace {
/// Where the values of a buffer are, counted in values.
struct Layout {
  SmallVector<int64_t> strides;
  int64_t offset = 0;
  bool isKnown = false;

  explicit Layout(MemRefType type) {
    isKnown = succeeded(type.getStridesAndOffset(strides, offset)) &&
              !ShapedType::isDynamic(offset) &&
              llvm::none_of(strides, ShapedType::isDynamic);
  }
};
} // namespace

static int64_t bytesOf(MemRefType type) {
  return type.getElementTypeBitWidth() / 8;
}

bool moe::fitsTensorMap(Value buffer) {
  auto type = cast<MemRefType>(buffer.getType());
  Layout layout(type);
  if (!type.hasStaticShape() || !layout.isKnown || layout.strides.back() != 1)
    return false;
  auto isAligned = [&](int64_t values) {
    return values * bytesOf(type) % rowAlignment == 0;
  };
  return isAligned(layout.offset) &&
         llvm::all_of(ArrayRef(layout.strides).drop_back(), isAligned);
}

/// Memory of the host's function for a description.
static Value room(Emitter &e) {
  OpBuilder::InsertionGuard guard(e);
  Operation *at = e.getInsertionBlock()->getParentOp();
  while (!isa<func::FuncOp>(at))
    at = at->getParentOp();
  e.setInsertionPointToStart(&cast<func::FuncOp>(at).getBody().front());
  auto bytes = LLVM::LLVMArrayType::get(e.getI8Type(), mapBytes);
  Value one = LLVM::ConstantOp::create(e, e.getI64Type(), 1);
  return LLVM::AllocaOp::create(e, LLVM::LLVMPointerType::get(e.getContext()),
                                bytes, one, mapAlignment);
}

Value moe::emitTensorMap(Lowering &l, Value buffer, int64_t boxColumns,
                         int64_t boxRows) {
  Emitter &e = l.e;
  auto type = cast<MemRefType>(buffer.getType());
  Layout layout(type);
  ArrayRef<int64_t> sizes = type.getShape();
  size_t rowDim = sizes.size() - 2;
  int64_t bytes = bytesOf(type);
  auto i32 = [&](int64_t number) -> Value {
    return e.constant(e.getI32Type(), static_cast<double>(number));
  };
  auto i64 = [&](int64_t number) -> Value {
    return e.constant(e.getI64Type(), static_cast<double>(number));
  };
  Val begin = e.val(
      memref::ExtractAlignedPointerAsIndexOp::create(e, buffer).getResult());
  Value address = e.cast(begin + double(layout.offset * bytes), e.getI64Type());
  Value data = LLVM::IntToPtrOp::create(
      e, LLVM::LLVMPointerType::get(e.getContext()), address);
  Value map = room(e);
  // Where there is one matrix, the distance of a second one is any that fits.
  l.callRuntime(
      "moe_gpu_tensor_map",
      {l.launches, map, data, i32(bytes), i64(sizes.back()), i64(sizes[rowDim]),
       i64(rowDim ? sizes[0] : 1), i64(layout.strides[rowDim] * bytes),
       i64(layout.strides[0] * bytes), i32(boxColumns), i32(boxRows)});
  return map;
}
