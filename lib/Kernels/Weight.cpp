//===- Weight.cpp - Matrices as products read them ------------------------===//
//
// Part of moe-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Section 5.1 of docs/Spec.md. One code is looked up in a table. A vector of
// small floats becomes one of f16 by shifts: sign, exponent and mantissa of
// either fall into their places, subnormals too, and what is left to do is to
// multiply by a power of two, because the exponents have another bias.
//
//===----------------------------------------------------------------------===//

#include "Weight.h"

#include "mlir/IR/BuiltinTypes.h"

#include <algorithm>
#include <cmath>
#include <limits>

using namespace mlir;
using namespace moe;

namespace {

/// A sign, `exponent` bits with `bias`, `mantissa` bits. Perhaps the largest
/// magnitude is NaN.
struct SmallFloat {
  unsigned exponent, mantissa;
  int bias;
  bool hasNaN;

  unsigned bits() const { return 1 + exponent + mantissa; }
  unsigned magnitudes() const { return 1u << (bits() - 1); }
  /// What f16, with its bias of 15, has the bits of: 1 / unit().
  double unit() const { return std::ldexp(1.0, 15 - bias); }
  double value(unsigned code) const;
};

constexpr SmallFloat e4m3 = {4, 3, 7, true};
constexpr SmallFloat e2m1 = {2, 1, 1, false};

} // namespace

static constexpr double notANumber = std::numeric_limits<double>::quiet_NaN();

double SmallFloat::value(unsigned code) const {
  unsigned magnitude = code % magnitudes();
  if (hasNaN && magnitude == magnitudes() - 1)
    return notANumber;
  int biased = magnitude >> mantissa, hidden = 1 << mantissa;
  int steps = magnitude % hidden + (biased ? hidden : 0);
  double value = std::ldexp(steps, std::max(biased, 1) - bias - int(mantissa));
  return code == magnitude ? value : -value;
}

/// The value of a code, by a table in memory.
static Val lookUp(Lowering &l, StringRef name, unsigned count,
                  llvm::function_ref<double(unsigned)> value, Val code) {
  SmallVector<float> values;
  for (unsigned i = 0; i < count; ++i)
    values.push_back(static_cast<float>(value(i)));
  return l.e.load(l.table(name, values), {code});
}

static Val e4m3At(Lowering &l, Val code) {
  return lookUp(l, "e4m3", 256, [](unsigned i) { return e4m3.value(i); }, code);
}

static Val e2m1At(Lowering &l, Val code) {
  return lookUp(l, "e2m1", 16, [](unsigned i) { return e2m1.value(i); }, code);
}

static Val e8m0At(Lowering &l, Val code) {
  auto value = [](unsigned i) {
    return i == 255 ? notANumber : std::ldexp(1.0, static_cast<int>(i) - 127);
  };
  return lookUp(l, "e8m0", 256, value, code);
}

/// A vector of codes in i8 as f16, by shifts, and from there as floats: values
/// over the unit.
static Val widen(Emitter &e, const SmallFloat &small, Val codes) {
  Val bits = e.extend(codes, e.getI16Type());
  Val magnitude = bits & double(small.magnitudes() - 1);
  Val sign = bits & double(small.magnitudes());
  Val half = (magnitude << double(10 - small.mantissa)) |
             (sign << double(16 - small.bits()));
  if (small.hasNaN)
    half = e.select(magnitude == double(small.magnitudes() - 1),
                    half.like(0x7E00), half);
  return e.cast(e.bitcast(half, e.getF16Type()), e.real);
}

Weight::Weight(Lowering &l, Value buffer)
    : l(l), sizes(cast<MemRefType>(buffer.getType()).getShape()), data(buffer) {
}

Weight::Weight(Lowering &l, DecodeOp op)
    : l(l), sizes(op.getValues().getType().getShape()), data(l[op.getData()]),
      scales(l[op.getScales()]),
      zeros(op.getZeros() ? l[op.getZeros()] : Value()),
      globalScale(op.getGlobalScale() ? l[op.getGlobalScale()] : Value()),
      format(op.getFormat()) {}

/// A byte of a buffer, unsigned.
static Val byteAt(Emitter &e, Value buffer, ArrayRef<Val> at) {
  return e.extend(e.load(buffer, at), e.getIndexType());
}

/// Of a value, without its scale and zero.
Val Weight::code(ArrayRef<Val> at) const {
  Emitter &e = l.e;
  if (format.getValuesPerByte() == 1)
    return byteAt(e, data, at);
  SmallVector<Val, 3> pair(at);
  pair.back() = at.back() / 2;
  return (byteAt(e, data, pair) >> (at.back() % 2 * 4)) & 15;
}

/// The same as `code` in a vector of i8.
Val Weight::codes(ArrayRef<Val> at, int64_t lanes, int64_t valid) const {
  Emitter &e = l.e;
  if (format.getValuesPerByte() == 1)
    return e.loadVector(data, at, lanes, valid);
  if (lanes == 1)
    return e.broadcast(e.cast(code(at), e.getI8Type()), 1);
  SmallVector<Val, 3> pair(at);
  pair.back() = at.back() / 2;
  Val bytes = e.loadVector(data, pair, lanes / 2, valid / 2);
  return e.interleave(bytes & 15, bytes >> 4);
}

SmallVector<Val, 3> Weight::blockOf(ArrayRef<Val> at) const {
  auto divide = [&](Val index, int64_t size) {
    return size == 0 ? l.e.index(0) : size == 1 ? index : index / size;
  };
  SmallVector<Val, 3> block(at);
  Val &output = block[at.size() - 2];
  output = divide(output, format.getOutputs());
  block.back() = divide(block.back(), format.getInputs());
  return block;
}

Val Weight::scale(ArrayRef<Val> block) const {
  if (!format.hasSmallScales())
    return l.e.load(scales, block);
  Val code = byteAt(l.e, scales, block);
  return format.getKind() == WeightFormatKind::nvfp4 ? e4m3At(l, code)
                                                     : e8m0At(l, code);
}

/// What int4 means by 0.
Val Weight::zero(ArrayRef<Val> block) const {
  return zeros ? l.e.cast(byteAt(l.e, zeros, block), l.e.real) : l.e.real_(8);
}

Val Weight::load(ArrayRef<Val> at) const {
  Emitter &e = l.e;
  if (!format)
    return e.load(data, at);
  SmallVector<Val, 3> block = blockOf(at);
  Val value;
  switch (format.getKind()) {
  case WeightFormatKind::fp8_e4m3:
    value = e4m3At(l, code(at));
    break;
  case WeightFormatKind::int8:
    value = e.cast(e.load(data, at), e.real);
    break;
  case WeightFormatKind::int4:
    value = e.cast(code(at), e.real) - zero(block);
    break;
  default:
    value = e2m1At(l, code(at));
  }
  value = value * scale(block);
  if (globalScale)
    value = value * e.load(globalScale, at.drop_back(2));
  return value;
}

int64_t Weight::block() const {
  int64_t inputs = format ? format.getInputs() : 0;
  return inputs == 0 ? depth() : std::min(inputs, depth());
}

Weight::Common Weight::common(ArrayRef<Val> at, int64_t lanes) const {
  if (!format)
    return {};
  SmallVector<Val, 3> block = blockOf(at);
  Common common = {l.e.broadcast(scale(block), lanes), Val()};
  if (format.getKind() == WeightFormatKind::int4)
    common.zero = l.e.broadcast(zero(block), lanes);
  return common;
}

Val Weight::loadVector(ArrayRef<Val> at, int64_t lanes, int64_t valid,
                       const Common &common) const {
  Emitter &e = l.e;
  if (!format)
    return e.loadVector(data, at, lanes, valid);
  Val found = codes(at, lanes, valid);
  switch (format.getKind()) {
  case WeightFormatKind::fp8_e4m3:
    return widen(e, e4m3, found);
  case WeightFormatKind::int8:
    return e.cast(found, e.real);
  case WeightFormatKind::int4:
    return e.cast(e.extend(found, e.getI32Type()), e.real) - common.zero;
  default:
    return widen(e, e2m1, found);
  }
}

Val Weight::applyFactor(Val sum, ArrayRef<Val> at) const {
  if (!format)
    return sum;
  if (format.getKind() == WeightFormatKind::fp8_e4m3)
    sum = sum * e4m3.unit();
  if (format.hasSmallScales())
    sum = sum * e2m1.unit();
  if (globalScale)
    sum = sum * l.e.load(globalScale, at.drop_back(2));
  return sum;
}

bool moe::decodesWeights(GroupedMatmulOp op) {
  auto first = op.getWeights().front().getDefiningOp<DecodeOp>();
  return first && llvm::all_of(op.getWeights(), [&](Value weight) {
           auto decode = weight.getDefiningOp<DecodeOp>();
           return decode && decode.getFormat() == first.getFormat();
         });
}

/// Whether something looks at the values other than as the weight of a product
/// that decodes it.
static bool isRead(OpOperand &use) {
  auto product = dyn_cast<GroupedMatmulOp>(use.getOwner());
  if (!product || !decodesWeights(product))
    return true;
  OperandRange weights = product.getWeights();
  unsigned first = weights.getBeginOperandIndex();
  unsigned number = use.getOperandNumber();
  return number < first || number >= first + weights.size();
}

void moe::lower(Lowering &l, DecodeOp op) {
  if (llvm::none_of(op->getUses(), isRead))
    return;
  Emitter &e = l.e;
  Value values = l.result(op.getValues());
  Weight weight(l, op);
  ArrayRef<Extent> shape = l.shape(op.getValues());
  e.parallel(l.size(shape.front()), [&](Val i) {
    l.forEach(shape.drop_front(), [&](ArrayRef<Val> rest) {
      SmallVector<Val, 3> at = {i};
      llvm::append_range(at, rest);
      e.store(weight.load(at), values, at);
    });
  });
}
