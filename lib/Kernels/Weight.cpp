//===- Weight.cpp - Matrices as products read them ------------------------===//
//
// Part of moe-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Section 5.1 of docs/Spec.md. One code is looked up in a table. A vector of
// small floats becomes one of f16 by a shift: exponent and mantissa fall into
// their places, subnormals too, and what is left to do is to multiply by a
// power of two, because the exponents have another bias.
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

Weight::Weight(Lowering &l, Value buffer)
    : l(&l), sizes(cast<MemRefType>(buffer.getType()).getShape()),
      data(buffer) {}

Weight::Weight(Lowering &l, DecodeOp op)
    : l(&l), sizes(op.getValues().getType().getShape()), data(l[op.getData()]),
      scales(l[op.getScales()]),
      zeros(op.getZeros() ? l[op.getZeros()] : Value()),
      globalScale(op.getGlobalScale() ? l[op.getGlobalScale()] : Value()),
      format(op.getFormat()) {}

/// A byte of a buffer, unsigned.
static Val byteAt(Emitter &e, Value buffer, ArrayRef<Val> at) {
  return e.extend(e.load(buffer, at), e.getIndexType());
}

/// The byte that holds a value and another.
static SmallVector<Val, 3> pairOf(ArrayRef<Val> at) {
  SmallVector<Val, 3> pair(at);
  pair.back() = at.back() / 2;
  return pair;
}

/// Of a value, without its scale and zero.
Val Weight::code(ArrayRef<Val> at) const {
  Emitter &e = l->e;
  if (format.getValuesPerByte() == 1)
    return byteAt(e, data, at);
  return (byteAt(e, data, pairOf(at)) >> (at.back() % 2 * 4)) & 15;
}

/// A vector of i8 with codes in the upper bits, and something below them.
Val Weight::codes(ArrayRef<Val> at, int64_t valid) const {
  Emitter &e = l->e;
  if (format.getValuesPerByte() == 1)
    return e.loadRaw(data, at, l->lanes, valid);
  if (l->lanes == 1)
    return e.broadcast(e.cast(code(at) << 4, e.getI8Type()), 1);
  Val bytes = e.loadRaw(data, pairOf(at), l->lanes / 2, valid / 2);
  return e.interleave(bytes << 4, bytes);
}

SmallVector<Val, 3> Weight::blockOf(ArrayRef<Val> at) const {
  auto divide = [&](Val index, int64_t size) {
    return size == 0 ? l->e.index(0) : size == 1 ? index : index / size;
  };
  SmallVector<Val, 3> block(at);
  Val &output = block[at.size() - 2];
  output = divide(output, format.getOutputs());
  block.back() = divide(block.back(), format.getInputs());
  return block;
}

Val Weight::scale(ArrayRef<Val> block) const {
  if (!format.hasSmallScales())
    return l->e.load(scales, block);
  Val code = byteAt(l->e, scales, block);
  return format.getKind() == WeightFormatKind::nvfp4 ? e4m3At(*l, code)
                                                     : e8m0At(*l, code);
}

/// What int4 means by 0.
Val Weight::zero(ArrayRef<Val> block) const {
  return zeros ? l->e.cast(byteAt(l->e, zeros, block), l->e.real)
               : l->e.real_(8);
}

Val Weight::load(ArrayRef<Val> at) const {
  Emitter &e = l->e;
  if (!format)
    return e.load(data, at);
  SmallVector<Val, 3> block = blockOf(at);
  Val value;
  switch (format.getKind()) {
  case WeightFormatKind::fp8_e4m3:
    value = e4m3At(*l, code(at));
    break;
  case WeightFormatKind::int8:
    value = e.cast(e.load(data, at), e.real);
    break;
  case WeightFormatKind::int4:
    value = e.cast(code(at), e.real) - zero(block);
    break;
  default:
    value = e2m1At(*l, code(at));
  }
  value = value * scale(block);
  if (globalScale)
    value = value * e.load(globalScale, at.drop_back(2));
  return value;
}

int64_t Weight::storedBlock() const {
  int64_t inputs = format ? format.getInputs() : 0;
  return inputs == 0 ? depth() : std::min(inputs, depth());
}

int64_t Weight::block() const {
  return foldsScales() ? depth() : storedBlock();
}

bool Weight::holds(Type element) const {
  return !format &&
         cast<MemRefType>(data.getType()).getElementType() == element;
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
  Val bytes = e.extend(e.loadRaw(data, pairOf(at), l->lanes, valid / 2),
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

int64_t Weight::bits() const {
  Type element = cast<MemRefType>(data.getType()).getElementType();
  return element.getIntOrFloatBitWidth() /
         (format ? format.getValuesPerByte() : 1);
}

void Weight::prefetch(ArrayRef<Val> at) const {
  bool packed = format && format.getValuesPerByte() == 2;
  l->e.prefetch(data, packed ? pairOf(at) : SmallVector<Val, 3>(at));
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

static bool areDecodedAlike(ValueRange weights) {
  auto first = weights.front().getDefiningOp<DecodeOp>();
  return first && llvm::all_of(weights, [&](Value weight) {
           auto decode = weight.getDefiningOp<DecodeOp>();
           return decode && decode.getFormat() == first.getFormat();
         });
}

bool moe::decodesWeights(GroupedMatmulOp op) {
  return areDecodedAlike(op.getWeights());
}

bool moe::decodesUps(FeedForwardOp op) { return areDecodedAlike(op.getUps()); }

static bool holds(OperandRange range, OpOperand &use) {
  unsigned first = range.getBeginOperandIndex();
  unsigned number = use.getOperandNumber();
  return number >= first && number < first + range.size();
}

/// Whether something looks at the values other than as the weight of a product
/// that decodes it.
static bool isRead(OpOperand &use) {
  if (auto product = dyn_cast<GroupedMatmulOp>(use.getOwner()))
    return !decodesWeights(product) || !holds(product.getWeights(), use);
  if (auto both = dyn_cast<FeedForwardOp>(use.getOwner()))
    return !(decodesUps(both) && holds(both.getUps(), use)) &&
           &use != &both.getDownMutable();
  return true;
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
