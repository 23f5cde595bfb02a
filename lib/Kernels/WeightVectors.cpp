//===- WeightVectors.cpp - Weights as vectors
//-------------------------------===//
//
// Part of moe-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// A vector of small floats becomes one of f16 by a shift: exponent and mantissa
// fall into their places, subnormals too, and what is left to do is to multiply
// by a power of two, because the exponents have another bias.
//
//===----------------------------------------------------------------------===//

#include "SmallFloat.h"
#include "Weight.h"

#include "mlir/IR/BuiltinTypes.h"

#include <algorithm>

using namespace mlir;
using namespace moe;

/// A vector of i8 with codes in their upper bits as f16, by shifts, and from
/// there as floats: values over the unit.
static Val widen(Emitter &e, const SmallFloat &small, Val codes) {
  // Copies of the sign fill the bits above the code: one of them ends up where
  // f16 has its sign, and the mask takes the others away.
  unsigned shift = 10 - small.mantissa;
  Val wide = e.cast(codes, e.getI16Type()) << double(shift + small.bits() - 8);
  Val half = wide & double(int16_t(0x8000 | (small.magnitudes() - 1) << shift));
  if (small.hasNaN) {
    Val magnitude = codes & double(small.magnitudes() - 1);
    half = e.select(magnitude == double(small.magnitudes() - 1),
                    half.like(0x7E00), half);
  }
  return e.cast(e.bitcast(half, e.getF16Type()), e.real);
}

/// A vector of i8 with codes in the upper bits, and something below them.
Val Weight::codes(ArrayRef<Val> at, int64_t valid) const {
  Emitter &e = l->e;
  if (format.getValuesPerByte() == 1)
    return e.loadRaw(data, at, l->lanes, valid);
  if (l->lanes == 1)
    return e.broadcast(e.cast(code(at) << 4, e.getI8Type()), 1);
  Val bytes = e.loadRaw(data, byteOf(at), l->lanes / 2, valid / 2);
  return e.interleave(bytes << 4, bytes);
}

bool Weight::fitsPairs() const {
  if (!format)
    return holds(l->e.getBF16Type());
  int64_t block = storedBlock(), step = 2 * l->lanes;
  if (format.hasSmallScales())
    return block == step || 2 * block == step;
  return block % step == 0 || block == depth();
}

Weight::Common Weight::common(ArrayRef<Val> at) const {
  if (!format || foldsScales())
    return {};
  SmallVector<Val, 3> block = blockOf(at);
  Common common = {l->e.broadcast(scale(block), l->lanes), Val()};
  if (format.getKind() == WeightFormatKind::int4)
    common.zero = l->e.broadcast(zero(block), l->lanes);
  return common;
}

Val Weight::loadVector(ArrayRef<Val> at, int64_t valid,
                       const Common &common) const {
  if (pairs)
    return loadPairs(at, valid, common);
  if (!format)
    return l->e.loadVector(data, at, l->lanes, valid);
  return decodeVector(at, valid, common);
}

/// As f32.
Val Weight::decodeVector(ArrayRef<Val> at, int64_t valid,
                         const Common &common) const {
  Emitter &e = l->e;
  Val found = codes(at, valid);
  switch (format.getKind()) {
  case WeightFormatKind::fp8_e4m3:
    return widen(e, e4m3, found);
  case WeightFormatKind::int8:
    return e.cast(found, e.real);
  case WeightFormatKind::int4:
    return e.cast(e.extend(found >> 4, e.getI32Type()), e.real) - common.zero;
  default:
    return widen(e, e2m1, found);
  }
}

/// f32 values that bf16 can hold, one vector after another.
static Val joinPairs(Emitter &e, Val first, Val second) {
  int64_t lanes = cast<VectorType>(first.type()).getNumElements();
  auto halves = VectorType::get(2 * lanes, e.getI16Type());
  SmallVector<int64_t> upper;
  for (int64_t lane = 0; lane < 2 * lanes; ++lane)
    upper.push_back(2 * lane + 1);
  Val words =
      e.pickLanes(e.regroup(first, halves), e.regroup(second, halves), upper);
  return e.bitcast(words, e.getBF16Type());
}

/// f32 values that bf16 can hold, by turns.
static Val zipPairs(Emitter &e, Val even, Val odd) {
  int64_t lanes = cast<VectorType>(even.type()).getNumElements();
  Val low = e.bitcast(even, e.getI32Type()) >> 16;
  Val high = e.bitcast(odd, e.getI32Type()) & double(int32_t(0xFFFF0000));
  return e.regroup(low | high, VectorType::get(2 * lanes, e.getBF16Type()));
}

Val Weight::loadPairs(ArrayRef<Val> at, int64_t valid,
                      const Common &common) const {
  Emitter &e = l->e;
  if (!format)
    return e.loadRaw(data, at, 2 * l->lanes, valid);
  if (format.getValuesPerByte() == 2)
    return loadPackedPairs(at, valid, common);
  Val first = decodeVector(at, std::min(valid, l->lanes), common);
  if (valid <= l->lanes)
    return joinPairs(e, first, first.like(0));
  SmallVector<Val, 3> next(at);
  next.back() = next.back() + double(l->lanes);
  return joinPairs(e, first, decodeVector(next, valid - l->lanes, common));
}

/// Of values that share bytes.
Val Weight::loadPackedPairs(ArrayRef<Val> at, int64_t valid,
                            const Common &common) const {
  Emitter &e = l->e;
  Val bytes = e.extend(e.loadRaw(data, byteOf(at), l->lanes, valid / 2),
                       e.getI32Type());
  if (format.getKind() == WeightFormatKind::int4)
    return zipPairs(e, e.cast(bytes & 15, e.real) - common.zero,
                    e.cast(bytes >> 4, e.real) - common.zero);
  // The values times the scale of a block, of which the upper halves are bf16:
  // the code 2c + 1 is that of half a value.
  SmallVector<float> values;
  for (unsigned code = 0; code < 16; ++code)
    values.push_back(static_cast<float>(e2m1.value(code)));
  auto halves = VectorType::get(2 * l->lanes, e.getI16Type());
  auto table = [&](ArrayRef<Val> block) {
    Val scales = e.broadcast(scale(block), l->lanes);
    return e.regroup(e.numbers(values) * scales, halves);
  };
  SmallVector<Val, 3> block = blockOf(at);
  SmallVector<Val, 2> tables = {table(block)};
  if (valid > storedBlock()) {
    block.back() = block.back() + 1;
    tables.push_back(table(block));
  }
  // One byte is two codes: of the lower half of a lane, and of the upper one.
  Val codes = (bytes << 1) | (bytes << 13);
  SmallVector<int32_t> odd(l->lanes, 0x00010001);
  if (tables.size() == 2) {
    codes = codes & double(0x001F001F);
    for (int64_t lane = l->lanes / 2; lane < l->lanes; ++lane)
      odd[lane] |= 0x00200020; // in the second table
  }
  codes = codes | e.numbers(odd);
  Val found = e.lookUp(tables, e.regroup(codes, halves));
  return e.bitcast(found, e.getBF16Type());
}

void Weight::prefetch(ArrayRef<Val> at) const {
  bool packed = format && format.getValuesPerByte() == 2;
  l->e.prefetch(data, packed ? byteOf(at) : SmallVector<Val, 3>(at));
}

Val Weight::applyFactor(Val sum, ArrayRef<Val> at) const {
  if (!format)
    return sum;
  if (format.getKind() == WeightFormatKind::fp8_e4m3)
    sum = sum * e4m3.unit();
  if (format.hasSmallScales() && !pairs)
    sum = sum * e2m1.unit();
  if (globalScale) {
    Val factor = l->e.load(globalScale, at.drop_back(2));
    auto vector = dyn_cast<VectorType>(sum.type());
    sum = sum *
          (vector ? l->e.broadcast(factor, vector.getNumElements()) : factor);
  }
  return sum;
}
