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
  if (!layout.isKnown || layout.strides.back() != 1)
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
  auto func =
      e.getInsertionBlock()->getParentOp()->getParentOfType<func::FuncOp>();
  if (!func)
    func = cast<func::FuncOp>(e.getInsertionBlock()->getParentOp());
  e.setInsertionPointToStart(&func.getBody().front());
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
  int64_t bytes = bytesOf(type), rank = type.getRank();
  Type i32 = e.getI32Type(), i64 = e.getI64Type();
  auto number = [&](int64_t value) { return e.index(value); };
  auto size = [&](int64_t dim) {
    return e.val(memref::DimOp::create(e, buffer, dim).getResult());
  };
  bool hasMany = rank == 3;
  // The distance of a second matrix that there is not is any that fits.
  Val address = e.val(memref::ExtractAlignedPointerAsIndexOp::create(e, buffer)
                          .getResult()) +
                double(layout.offset * bytes);
  Value data =
      LLVM::IntToPtrOp::create(e, LLVM::LLVMPointerType::get(e.getContext()),
                               e.cast(address, i64).value);
  Value map = room(e);
  l.callRuntime("moe_gpu_tensor_map",
                {l.launches, map, data, e.constant(i32, double(bytes)),
                 e.cast(size(rank - 1), i64), e.cast(size(rank - 2), i64),
                 e.cast(hasMany ? size(0) : number(1), i64),
                 e.cast(number(layout.strides[rank - 2] * bytes), i64),
                 e.cast(number(layout.strides[0] * bytes), i64),
                 e.constant(i32, double(boxColumns)),
                 e.constant(i32, double(boxRows))});
  return map;
}
