//===- LowerAveraging.cpp - Blockwise formats, sums and means -------------===//
//
// Part of moe-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Section 7 of docs/Spec.md. Formats are defined in f32 arithmetic, so the
// reference computes them in f32 too.
//
//===----------------------------------------------------------------------===//

#include "BlockCodes.h"
#include "Lowering.h"

using namespace mlir;
using namespace moe;

namespace {

class Quantization {
public:
  Quantization(Lowering &l, QuantAttr format)
      : l(l), e(l.e), format(format), f32(e.getF32Type()), i32(e.getI32Type()),
        isMx(format.getKind() == QuantKind::mxfp4),
        isPacked(isMx || format.getKind() == QuantKind::int4) {}

  void quantize(QuantizeOp op);
  void dequantize(DequantizeOp op);

private:
  Lowering &l;
  Emitter &e;
  QuantAttr format;
  Type f32, i32;
  const bool isMx;
  const bool isPacked; // two values a byte

  Val read(Value buffer, Val i) { return e.cast(e.load(buffer, {i}), f32); }
  Val scaleOf(Val largest);
  Val scaleValue(Value scales, Val block);
  Val code(Val value, Val scale);
};

/// What the format stores for a block whose largest magnitude is `largest`.
Val Quantization::scaleOf(Val largest) {
  if (!isMx) {
    return largest / largestValue(format.getKind());
  }
  Val exponent = floorLog2(largest) - e.constant(i32, 2);
  exponent = e.max(exponent, e.constant(i32, -127));
  Val stored = exponent + 127;
  return e.select(largest > 0, stored, stored.like(0));
}

/// The factor that a stored scale stands for.
Val Quantization::scaleValue(Value scales, Val block) {
  Val scale = e.load(scales, {block});
  if (!isMx)
    return e.cast(scale, f32);
  Val code = e.cast(scale, i32) & 255.0;
  Val exponent = code - e.constant(i32, 127);
  // 2^-127 is not a normal f32, but half of the smallest one is exact.
  Val normal = e.max(exponent, e.constant(i32, -126));
  Val value = powerOfTwo(normal);
  value = e.select(exponent < normal, value * 0.5, value);
  return e.select(code == 255, value.like(notANumber), value);
}

Val Quantization::code(Val value, Val scale) {
  Val scaled = e.select(scale > 0, value / scale, scale.like(0));
  scaled = e.select(e.isFinite(value), scaled, scale.like(0));
  return toCode(scaled, format.getKind());
}

void Quantization::quantize(QuantizeOp op) {
  Value values = l[op.getValues()];
  Extent count = l.extent(op.getValues(), 0);
  Extent blocks = count.dividedBy(format.getBlock());
  Extent bytes = isPacked ? count.dividedBy(2) : count;
  Value data = l.result(op.getData(), {bytes});
  Value scales = l.result(op.getScales(), {blocks});
  Value status = l.result(op.getStatus());
  Val total = l.size(count);
  Type i8 = e.getI8Type();
  l.eachRow(l.size(blocks), format.getBlock(), [&](Val block) {
    Val first = block * format.getBlock();
    Val end = e.min(first + format.getBlock(), total);
    Val zero = e.constant(f32, 0);
    Val largest = e.foldByTurns(
        first, end, zero,
        [&](Val i) {
          Val magnitude = e.abs(read(values, i));
          return e.select(e.isFinite(magnitude), magnitude, zero);
        },
        [&](Val a, Val b) { return e.max(a, b); });
    Val stored = scaleOf(largest);
    e.once(
        [&] { e.store(isMx ? e.cast(stored, i8) : stored, scales, {block}); });
    e.meet();
    // The stored scale of a block of zeros is 0 for mxfp4 too, but means
    // 2^-127.
    Val scale = e.select(largest > 0, scaleValue(scales, block), zero);
    if (!isPacked)
      return e.byTurns(first, end, [&](Val i) {
        e.store(e.cast(code(read(values, i), scale), i8), data, {i});
      });
    // Blocks are even, so a byte never spans two of them.
    e.byTurns(
        first, end,
        [&](Val i) {
          Val low = code(read(values, i), scale);
          Val high = e.choose(
              i + 1 < end, [&] { return code(read(values, i + 1), scale); },
              [&] { return low.like(0); });
          e.store(e.cast(low | (high << 4), i8), data, {i / 2});
        },
        2);
  });
  Val found = emitFirstBad(
      l, count, 4096, [&](Val i) { return e.isFinite(read(values, i)) == 0; });
  e.store(found, status, {});
}

void Quantization::dequantize(DequantizeOp op) {
  Value data = l[op.getData()], scales = l[op.getScales()];
  Extent count = l.extent(op.getData(), 0);
  if (isPacked) {
    // ceil(n/2) bytes are those of n values; else the last may be half empty,
    // unless the result says so.
    Extent twice = count.divisor % 2 == 0 && count.multiplier == 1
                       ? Extent{count.factor, count.divisor / 2, count.size}
                       : count.times(2);
    count = l.knownExtent(op.getValues(), 0).value_or(twice);
  }
  Value values = l.result(op.getValues(), {count});
  e.parallel(l.size(op.getValues(), 0), [&](Val i) {
    Val scale = scaleValue(scales, i / format.getBlock());
    Val value;
    if (isPacked) {
      Val byte = e.cast(e.load(data, {i / 2}), i32);
      Val nibble = (byte >> (e.asI32(i % 2) * 4)) & 15.0;
      value = fromCode(nibble, format.getKind());
    } else {
      value = fromCode(e.cast(e.load(data, {i}), i32), format.getKind());
    }
    e.store(value * scale, values, {i});
  });
}

} // namespace

void moe::lower(Lowering &l, QuantizeOp op) {
  Quantization(l, op.getFormat()).quantize(op);
}

void moe::lower(Lowering &l, DequantizeOp op) {
  Quantization(l, op.getFormat()).dequantize(op);
}

void moe::lower(Lowering &l, AccumulateOp op) {
  Emitter &e = l.e;
  Value sum = l[op.getSum()], values = l[op.getValues()];
  auto add = [&](Value result, ArrayRef<Val> at) {
    Val total = e.load(sum, at);
    e.store(total + e.cast(e.load(values, at), total.type()), result, at);
  };
  if (op.getSum().getType().getRank() == 0)
    return add(l.result(op.getResult()), {});
  Value result = l.result(op.getResult(), {l.extent(op.getSum(), 0)});
  l.eachValue(l.shape(op.getSum()), [&](ArrayRef<Val> at) { add(result, at); });
}

void moe::lower(Lowering &l, AverageOp op) {
  Emitter &e = l.e;
  Value sets = l[op.getSets()];
  Extent count = l.extent(op.getSets(), 1);
  Value mean = l.result(op.getMean(), {count});
  Value status = l.result(op.getStatus());
  Type f64 = e.getF64Type();
  Val numSets = l.size(op.getSets(), 0);
  auto read = [&](Val m, Val i) { return e.cast(e.load(sets, {m, i}), f64); };
  e.parallel(l.size(count), [&](Val i) {
    Val total =
        e.sum(numSets, e.constant(f64, 0), [&](Val m) { return read(m, i); });
    e.store(total / e.cast(numSets, f64), mean, {i});
  });
  // The mean of no sets is not a number either.
  Val found = emitFirstBad(l, count, 4096, [&](Val i) {
    Val bad = e.sum(numSets, e.constant(f64, 0), [&](Val m) {
      Val value = read(m, i);
      return e.select(e.isFinite(value), value.like(0), value.like(1));
    });
    return (bad > 0) | (numSets == 0);
  });
  e.store(found, status, {});
}
