//===- Weight.cpp - Matrices as products read them ------------------------===//
//
// Part of moe-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Section 5.1 of docs/Spec.md. One code is looked up in a table.
//
//===----------------------------------------------------------------------===//

#include "Weight.h"

#include "SmallFloat.h"

#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/IR/BuiltinTypes.h"

#include <algorithm>
#include <cmath>

using namespace mlir;
using namespace moe;

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

Weight::Weight(Lowering &l, Value buffer)
    : l(&l), sizes(cast<MemRefType>(buffer.getType()).getShape()), data(buffer),
      packed(l.isPacked(buffer)) {}

Weight::Weight(Lowering &l, DecodeOp op)
    : l(&l), sizes(op.getValues().getType().getShape()), data(l[op.getData()]),
      scales(l[op.getScales()]),
      zeros(op.getZeros() ? l[op.getZeros()] : Value()),
      globalScale(op.getGlobalScale() ? l[op.getGlobalScale()] : Value()),
      format(op.getFormat()), packed(l.isPacked(data)) {}

/// A byte of a buffer, unsigned.
static Val byteAt(Emitter &e, Value buffer, ArrayRef<Val> at) {
  return e.extend(e.load(buffer, at), e.getIndexType());
}

/// Of a value, without its scale and zero.
Val Weight::code(ArrayRef<Val> at) const {
  Emitter &e = l->e;
  if (format.getValuesPerByte() == 1)
    return byteAt(e, data, at);
  return (byteAt(e, data, byteOf(at)) >> (at.back() % 2 * 4)) & 15;
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
  return applyGlobalScale(value, at);
}

Val Weight::applyGlobalScale(Val sum, ArrayRef<Val> at) const {
  if (!globalScale)
    return sum;
  return sum * l->e.like(sum, l->e.load(globalScale, at.drop_back(2)));
}

/// Powers of two as scales have more exponents than f16.
bool Weight::isExactIn(Type element) const {
  if (!format || !(element.isBF16() || element.isF16()))
    return false;
  return element.isBF16() || format.getKind() != WeightFormatKind::mxfp4;
}

Val Weight::codeKey(ArrayRef<Val> at) const {
  if (!format)
    return {};
  if (format.hasSmallScales())
    return scale(blockOf(at));
  return format.getKind() == WeightFormatKind::int4 ? zero(blockOf(at)) : Val();
}

/// Exponent and mantissa in the places of f32, whose exponents have another
/// bias.
static Val valueOf(const SmallFloat &small, Val code) {
  Emitter &e = *code.e;
  Val magnitude = code & double(small.magnitudes() - 1);
  Val sign = code >> double(small.bits() - 1) << 31;
  Val bits = sign | (magnitude << double(23 - small.mantissa));
  Val value =
      e.bitcast(bits, e.getF32Type()) * std::ldexp(1.0, 127 - small.bias);
  if (!small.hasNaN)
    return value;
  return e.select(magnitude == double(small.magnitudes() - 1),
                  value.like(notANumber), value);
}

Val moe::valueOfE4m3(Val code) { return valueOf(e4m3, code); }

Val Weight::decode(Val code, Val key) const {
  Emitter &e = l->e;
  switch (format.getKind()) {
  case WeightFormatKind::fp8_e4m3:
    return valueOfE4m3(code);
  case WeightFormatKind::int8:
    return e.cast(e.cast(code, e.getI8Type()), e.getF32Type());
  case WeightFormatKind::int4:
    return e.cast(code, e.getF32Type()) - key;
  default:
    return valueOf(e2m1, code) * key;
  }
}

int64_t moe::blockOf(FormatAttr format, int64_t depth) {
  int64_t inputs = format.getInputs();
  return inputs == 0 ? depth : std::min(inputs, depth);
}

int64_t Weight::storedBlock() const {
  return format ? moe::blockOf(format, depth()) : depth();
}

int64_t Weight::block() const {
  return foldsScales() ? depth() : storedBlock();
}

bool Weight::isE4m3() const {
  return format && format.getKind() == WeightFormatKind::fp8_e4m3;
}

bool Weight::holds(Type element) const {
  return !format &&
         cast<MemRefType>(data.getType()).getElementType() == element;
}

int64_t Weight::bits() const {
  Type element = cast<MemRefType>(data.getType()).getElementType();
  return element.getIntOrFloatBitWidth() /
         (format ? format.getValuesPerByte() : 1);
}

bool moe::areDecodedAlike(ValueRange weights) {
  auto first = weights.front().getDefiningOp<DecodeOp>();
  return first && llvm::all_of(weights, [&](Value weight) {
           auto decode = weight.getDefiningOp<DecodeOp>();
           return decode && decode.getFormat() == first.getFormat();
         });
}

bool moe::decodesWeights(GroupedMatmulOp op) {
  // Blocks of codes run along what is no longer the depth.
  return !op.getTransposed() && areDecodedAlike(op.getWeights());
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
  l.eachValue(l.shape(op.getValues()),
              [&](ArrayRef<Val> at) { e.store(weight.load(at), values, at); });
}
