//===- WeightVectors.cpp - Weights as vectors -----------------------------===//
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
  return format ? moe::fitsPairs(format, depth(), 2 * l->lanes)
                : holds(l->e.getBF16Type());
}

bool moe::fitsPairs(FormatAttr format, int64_t depth, int64_t step) {
  int64_t block = blockOf(format, depth);
  if (format.hasSmallScales())
    return block == step || 2 * block == step;
  return block % step == 0 || block == depth;
}

/// A table of f32 by codes of four bits.
static Val byCode(Emitter &e, llvm::function_ref<double(unsigned)> value) {
  SmallVector<float> values;
  for (unsigned code = 0; code < 16; ++code)
    values.push_back(static_cast<float>(value(code)));
  return e.numbers(values);
}

/// The upper halves of f32 values are bf16, if that can hold the values.
Val moe::halvesOf(Emitter &e, Val words) {
  int64_t lanes = cast<VectorType>(words.type()).getNumElements();
  return e.regroup(words, VectorType::get(2 * lanes, e.getI16Type()));
}

Val Weight::scaleAt(ArrayRef<Val> at) const {
  return format && !foldsScales() ? scale(blockOf(at)) : Val();
}

Val Weight::keyAt(ArrayRef<Val> at) const {
  Emitter &e = l->e;
  if (!format || format.getKind() != WeightFormatKind::int4)
    return {};
  Val zeros = e.broadcast(zero(blockOf(at)), l->lanes);
  if (!pairs)
    return zeros;
  return halvesOf(e, byCode(e, [](unsigned code) { return code; }) - zeros);
}

Val Weight::loadVector(ArrayRef<Val> at, int64_t valid, Val key) const {
  if (pairs)
    return loadPairs(at, valid, key);
  if (!format)
    return l->e.loadVector(data, at, l->lanes, valid);
  return decodeVector(at, valid, key);
}

/// As f32.
Val Weight::decodeVector(ArrayRef<Val> at, int64_t valid, Val key) const {
  Emitter &e = l->e;
  Val found = codes(at, valid);
  switch (format.getKind()) {
  case WeightFormatKind::fp8_e4m3:
    return widen(e, e4m3, found);
  case WeightFormatKind::int8:
    return e.cast(found, e.real);
  case WeightFormatKind::int4:
    return e.cast(e.extend(found >> 4, e.getI32Type()), e.real) - key;
  default:
    return widen(e, e2m1, found);
  }
}

/// f32 values that bf16 can hold, one vector after another.
static Val joinPairs(Emitter &e, Val first, Val second) {
  int64_t lanes = cast<VectorType>(first.type()).getNumElements();
  SmallVector<int64_t> upper;
  for (int64_t lane = 0; lane < 2 * lanes; ++lane)
    upper.push_back(2 * lane + 1);
  Val words = e.pickLanes(halvesOf(e, first), halvesOf(e, second), upper);
  return e.bitcast(words, e.getBF16Type());
}

Val Weight::loadPairs(ArrayRef<Val> at, int64_t valid, Val key) const {
  Emitter &e = l->e;
  if (!format)
    return e.loadRaw(data, at, 2 * l->lanes, valid);
  if (format.getValuesPerByte() == 2)
    return loadPackedPairs(at, valid, key);
  Val first = decodeVector(at, std::min(valid, l->lanes), key);
  if (valid <= l->lanes)
    return joinPairs(e, first, first.like(0));
  SmallVector<Val, 3> next(at);
  next.back() = next.back() + double(l->lanes);
  return joinPairs(e, first, decodeVector(next, valid - l->lanes, key));
}

/// Of values that share bytes.
Val Weight::loadPackedPairs(ArrayRef<Val> at, int64_t valid, Val key) const {
  Emitter &e = l->e;
  SmallVector<Val, 2> tables;
  auto addScaled = [&](ArrayRef<Val> block) {
    Val scales = e.broadcast(scale(block), l->lanes);
    Val values = byCode(e, [](unsigned code) { return e2m1.value(code); });
    tables.push_back(halvesOf(e, values * scales));
  };
  SmallVector<Val, 3> block = blockOf(at);
  if (key.value)
    tables.push_back(key);
  else
    addScaled(block);
  if (valid > storedBlock()) {
    block.back() = block.back() + 1;
    addScaled(block);
  }
  Val bytes = e.extend(e.loadRaw(data, byteOf(at), l->lanes, valid / 2),
                       e.getI32Type());
  // The code 2c + 1 is that of the upper half of c's value. One byte is two: of
  // the lower half of a lane, and of the upper one.
  Val codes = (bytes << 1) | (bytes << 13);
  SmallVector<int32_t> odd(l->lanes, 0x00010001);
  if (tables.size() == 2) {
    codes = codes & double(0x001F001F);
    for (int64_t lane = l->lanes / 2; lane < l->lanes; ++lane)
      odd[lane] |= 0x00200020; // in the second table
  }
  codes = codes | e.numbers(odd);
  Val found = e.lookUp(tables, halvesOf(e, codes));
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
  return applyGlobalScale(sum, at);
}

/// Found by trial: with fewer, compilers keep sums on the stack.
Weight::Registers Weight::registers() const {
  if (!format)
    return {0, pairs || holds(l->e.real) ? 1 : 4};
  switch (format.getKind()) {
  case WeightFormatKind::nvfp4:
    return pairs ? Registers{1, 8} : Registers{0, 4};
  case WeightFormatKind::fp8_e4m3:
    return {0, pairs ? 9 : 6};
  case WeightFormatKind::int4:
    return {0, 6};
  default:
    return {0, 4};
  }
}

int64_t Weight::stepsAtOnce() const {
  return format && format.getKind() == WeightFormatKind::fp8_e4m3 ? 2 : 4;
}
