//===- EmitterVectors.cpp - Vectors in loops ------------------------------===//
//
// Part of moe-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Emitter.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"
#include "mlir/Dialect/X86Vector/X86VectorDialect.h"
#include "mlir/IR/TypeUtilities.h"

using namespace mlir;
using namespace moe;

/// How a vector of a buffer is aligned, as far as that is known.
static llvm::MaybeAlign alignmentOf(Value buffer, VectorType vector,
                                    int64_t alignment) {
  SmallVector<int64_t> strides;
  int64_t offset = 0;
  auto type = cast<MemRefType>(buffer.getType());
  int64_t bytes = vector.getElementTypeBitWidth() / 8;
  auto isAligned = [&](int64_t values) {
    return !ShapedType::isDynamic(values) && values * bytes % alignment == 0;
  };
  if (!alignment || failed(type.getStridesAndOffset(strides, offset)) ||
      strides.back() != 1 || !isAligned(offset) ||
      !llvm::all_of(ArrayRef(strides).drop_back(), isAligned))
    return {};
  return llvm::MaybeAlign(std::min(alignment, vector.getNumElements() * bytes));
}

static Value laneMask(Emitter &e, int64_t count, int64_t valid) {
  SmallVector<bool> lanes(count, false);
  std::fill_n(lanes.begin(), valid, true);
  auto type = VectorType::get(count, e.getI1Type());
  return arith::ConstantOp::create(e, DenseElementsAttr::get(type, lanes));
}

Val Emitter::loadVector(Value buffer, ArrayRef<Val> at, int64_t count,
                        int64_t valid) {
  Val loaded = loadRaw(buffer, at, count, valid);
  return isa<FloatType>(getElementTypeOrSelf(loaded)) ? cast(loaded, real)
                                                      : loaded;
}

Val Emitter::loadRaw(Value buffer, ArrayRef<Val> at, int64_t count,
                     int64_t valid) {
  Type element = ::cast<MemRefType>(buffer.getType()).getElementType();
  auto type = VectorType::get(count, element);
  if (valid >= count)
    return val(vector::LoadOp::create(
        *this, type, buffer, values(at), /*nontemporal=*/false,
        alignmentOf(buffer, type, vectorAlignment)));
  return val(vector::MaskedLoadOp::create(*this, type, buffer, values(at),
                                          laneMask(*this, count, valid),
                                          constant(type, 0)));
}

void Emitter::prefetch(Value buffer, ArrayRef<Val> at) {
  memref::PrefetchOp::create(*this, buffer, values(at), /*isWrite=*/false,
                             /*localityHint=*/0, /*isDataCache=*/true);
}

void Emitter::storeVector(Val value, Value buffer, ArrayRef<Val> at,
                          int64_t valid) {
  Type element = ::cast<MemRefType>(buffer.getType()).getElementType();
  auto type = ::cast<VectorType>(value.type());
  value = cast(value, element);
  if (valid >= type.getNumElements())
    vector::StoreOp::create(
        *this, value, buffer, values(at), /*nontemporal=*/false,
        alignmentOf(buffer, ::cast<VectorType>(value.type()), vectorAlignment));
  else if (valid == 1)
    // Of a masked store of one lane that narrows as well, LLVM 22 makes a
    // scalar store that does not narrow (its issue 179489).
    store(extract(value, 0), buffer, at);
  else
    vector::MaskedStoreOp::create(*this, buffer, values(at),
                                  laneMask(*this, type.getNumElements(), valid),
                                  value);
}

Val Emitter::broadcast(Val scalar, int64_t count) {
  return val(vector::BroadcastOp::create(
      *this, VectorType::get(count, scalar.type()), scalar));
}

Val Emitter::loadLike(Val model, Value buffer, ArrayRef<Val> at,
                      int64_t valid) {
  auto vector = ::dyn_cast<VectorType>(model.type());
  if (!vector)
    return load(buffer, at);
  int64_t count = vector.getNumElements();
  if (::cast<MemRefType>(buffer.getType()).isLastDimUnitStride())
    return loadVector(buffer, at, count, valid);
  Vals scalars;
  SmallVector<Val> next(at);
  for (int64_t lane = 0; lane < count; ++lane) {
    next.back() = at.back() + double(std::min(lane, valid - 1));
    scalars.push_back(load(buffer, next));
  }
  return gather(scalars);
}

void Emitter::storeLike(Val value, Value buffer, ArrayRef<Val> at,
                        int64_t valid) {
  if (isa<VectorType>(value.type()))
    storeVector(value, buffer, at, valid);
  else
    store(value, buffer, at);
}

Val Emitter::interleave(Val a, Val b) {
  int64_t lanes = ::cast<VectorType>(a.type()).getNumElements();
  SmallVector<int64_t> order;
  for (int64_t i = 0; i < lanes; ++i)
    llvm::append_values(order, i, lanes + i);
  return val(vector::ShuffleOp::create(*this, a, b, order));
}

Val Emitter::pickLanes(Val a, Val b, ArrayRef<int64_t> lanes) {
  return val(vector::ShuffleOp::create(*this, a, b, lanes));
}

Val Emitter::extract(Val vector, int64_t lane) {
  return val(vector::ExtractOp::create(*this, vector, lane));
}

Val Emitter::regroup(Val vector, VectorType type) {
  return val(vector::BitCastOp::create(*this, type, vector));
}

Val Emitter::numbers(ArrayRef<float> values) {
  auto type = VectorType::get(values.size(), getF32Type());
  return val(
      arith::ConstantOp::create(*this, DenseElementsAttr::get(type, values)));
}

Val Emitter::numbers(ArrayRef<int32_t> values) {
  auto type = VectorType::get(values.size(), getI32Type());
  return val(
      arith::ConstantOp::create(*this, DenseElementsAttr::get(type, values)));
}

Val Emitter::lookUp(ArrayRef<Val> tables, Val indices) {
  SmallVector<Value> operands = {tables[0], indices};
  StringRef name = "llvm.x86.avx512.permvar.hi.512";
  if (tables.size() == 2) {
    operands.push_back(tables[1]);
    name = "llvm.x86.avx512.vpermi2var.hi.512";
  }
  return val(LLVM::CallIntrinsicOp::create(*this, tables[0].type(),
                                           getStringAttr(name), operands)
                 .getResult(0));
}

Val Emitter::gather(ArrayRef<Val> scalars) {
  auto type = VectorType::get(scalars.size(), scalars.front().type());
  return val(vector::FromElementsOp::create(*this, type, values(scalars)));
}

/// Of vectors that hold `width` lanes of each sum: vectors that hold half as
/// many, of twice as many sums where there are two to join.
static Emitter::Vals addHalves(Emitter &e, ArrayRef<Val> vectors,
                               int64_t width) {
  int64_t lanes = cast<VectorType>(vectors[0].type()).getNumElements();
  int64_t half = width / 2;
  auto halves = [&](Val a, Val b, int64_t first) {
    SmallVector<int64_t> order;
    for (int64_t from : {int64_t(0), lanes})
      for (int64_t sum = 0; sum < lanes; sum += width)
        for (int64_t lane = 0; lane < half; ++lane)
          order.push_back(from + sum + first + lane);
    if (a.value == b.value)
      order.truncate(order.size() / 2);
    return e.pickLanes(a, b, order);
  };
  Emitter::Vals next;
  for (size_t i = 0; i < vectors.size(); i += 2) {
    Val a = vectors[i], b = vectors[std::min(i + 1, vectors.size() - 1)];
    next.push_back(halves(a, b, 0) + halves(a, b, half));
  }
  return next;
}

Val Emitter::addLanes(ArrayRef<Val> vectors) {
  Vals sums(vectors);
  int64_t width = ::cast<VectorType>(sums[0].type()).getNumElements();
  for (; width > 1; width /= 2)
    sums = addHalves(*this, sums, width);
  return sums[0];
}

Val Emitter::like(Val model, Val scalar) {
  auto vector = ::dyn_cast<VectorType>(model.type());
  return vector ? broadcast(scalar, vector.getNumElements()) : scalar;
}

Val Emitter::multiplyAdd(Val a, Val b, Val sums) {
  if (a.type() == sums.type())
    return fma(a, b, sums);
  return val(x86vector::DotBF16Op::create(*this, sums.type(), sums, a, b));
}
