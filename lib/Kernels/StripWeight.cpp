//===- StripWeight.cpp - Weights in strips --------------------------------===//
//
// Part of moe-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Codes come as words of each output: four of 8 bits, or eight of 4 bits, in
// the order of StripOrder::nibbles. Lower and upper halves of the words are
// then pairs, whose codes are shifted to the lowest bits together.
//
//===----------------------------------------------------------------------===//

#include "SmallFloat.h"
#include "Weight.h"

#include "moe/Schedule/Blocks.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "llvm/ADT/bit.h"

#include <cmath>

using namespace mlir;
using namespace moe;

bool moe::hasStrips(FormatAttr format, int64_t depth) {
  if (format.getOutputs() != 1)
    return false;
  if (format.getKind() == WeightFormatKind::int8)
    return blockOf(format, depth) == depth;
  return format.getKind() == WeightFormatKind::mxfp4 &&
         blockOf(format, depth) == 8 * stripTurn;
}

static Value asStrips(Emitter &e, Value buffer) {
  auto rows = cast<MemRefType>(buffer.getType());
  ArrayRef<int64_t> sizes = rows.getShape();
  auto [strides, offset] = rows.getStridesAndOffset();
  bool isGrouped = sizes.size() == 3;
  int64_t row = sizes.back(), pitch = strides[sizes.size() - 2];
  SmallVector<int64_t> shape = {isGrouped ? sizes.front() : 1,
                                sizes[sizes.size() - 2] / stripOutputs,
                                stripOutputs * row};
  // A slice has the experts of its source as far from each other. Every other
  // output is in every other strip.
  strides = {isGrouped ? strides.front() : shape[1] * shape[2],
             stripOutputs * pitch, 1};
  offset += offset % pitch * (stripOutputs - 1);
  auto layout = StridedLayoutAttr::get(e.getContext(), offset, strides);
  auto type = MemRefType::get(shape, rows.getElementType(), layout);
  return memref::ReinterpretCastOp::create(e, type, buffer, offset, shape,
                                           strides);
}

Value Weight::strips() const { return asStrips(l->e, data); }

Value Weight::scaleStrips() const {
  return format && format.hasSmallScales() ? asStrips(l->e, scales) : Value();
}

/// Signed bits from the lowest one on, of those that are left above.
static Val shiftSigned(Val words, double bits) {
  return words.e->val(
      arith::ShRSIOp::create(*words.e, words, words.like(bits)));
}

Val Weight::stripNumber(Val words, int64_t i, Val scales) const {
  Emitter &e = l->e;
  if (format.getKind() == WeightFormatKind::int8)
    return e.cast(shiftSigned(words << double(24 - 8 * i), 24), e.real);
  int64_t bit = i % 2 * 16 + i / 2 * 4;
  return decode((words >> double(bit)) & 15, scales);
}

/// Two numbers that bf16 can hold, next to each other.
static Val joined(Emitter &e, Val first, Val second) {
  Type word = e.getI32Type();
  Val both = (e.bitcast(first, word) >> 16) | e.bitcast(second, word);
  return e.bitcast(halvesOf(e, both), e.getBF16Type());
}

/// Of e2m1 as bf16 with the greatest scale that they can have, twice: of five
/// bits, the uppermost is of another code.
static Val tableOfHalves(Emitter &e) {
  auto half = [](unsigned code) -> uint32_t {
    double value =
        std::ldexp(e2m1.value(code % 16), Weight::mostUsualScale - 127);
    return value == 0 ? 0 : llvm::bit_cast<uint32_t>(float(value)) >> 16;
  };
  SmallVector<int32_t> words;
  for (unsigned i = 0; i < 32; i += 2)
    words.push_back(static_cast<int32_t>(half(i) | half(i + 1) << 16));
  return halvesOf(e, e.numbers(words));
}

Val Weight::stripPair(Val words, int64_t i, Val key) const {
  Emitter &e = l->e;
  if (format.getKind() == WeightFormatKind::int8) {
    // Where bytes are uppermost in words they need no sign of their own. What
    // they are 2^24 times of, `stripFactor` makes of the sums.
    auto raised = [&](int64_t number) {
      Val bytes = number == 3 ? words : words << double(24 - 8 * number);
      return e.cast(number ? bytes & -0x1000000 : bytes, e.real);
    };
    return joined(e, raised(2 * i), raised(2 * i + 1));
  }
  // What is left of zero, when something is taken from its exponent, is zero.
  Val codes = halvesOf(e, words);
  if (i)
    codes = codes >> double(4 * i);
  Val most = e.lookUp({tableOfHalves(e)}, codes);
  Val left = e.val(arith::MaxUIOp::create(e, most, key)) - key;
  return e.bitcast(left, e.getBF16Type());
}

Val Weight::productPair(Val words, int64_t i, Val scales) const {
  return joined(l->e, stripNumber(words, 2 * i, scales),
                stripNumber(words, 2 * i + 1, scales));
}

Val Weight::stripKey(Val bytes) const {
  Emitter &e = l->e;
  Val codes = e.extend(bytes, e.getI32Type());
  Val less = (codes.like(mostUsualScale) - codes) << 7;
  return halvesOf(e, less | (less << 16));
}

Val Weight::stripScales(Val bytes) const {
  Emitter &e = l->e;
  Val code = e.extend(bytes, e.getI32Type());
  Val bits = code << 23;
  bits = e.select(code == 0, bits.like(0x00400000), bits);
  bits = e.select(code == 255, bits.like(0x7FC00000), bits);
  return e.bitcast(bits, e.real);
}

Val Weight::stripFactor(Val sums, ArrayRef<Val> at) const {
  if (!format || format.hasSmallScales())
    return sums;
  Emitter &e = l->e;
  if (pairs)
    sums = sums * 0x1p-24; // bytes are uppermost in words
  int64_t count = cast<VectorType>(sums.type()).getNumElements();
  Val expert = at.size() == 3 ? at.front() : e.index(0),
      output = at[at.size() - 2];
  return sums *
         e.loadVector(asStrips(e, scales),
                      {expert, output / stripOutputs, output % stripOutputs},
                      count, count);
}
