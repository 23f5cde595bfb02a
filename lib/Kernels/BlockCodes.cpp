//===- BlockCodes.cpp - Values of blockwise formats as codes --------------===//
//
// Part of moe-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "BlockCodes.h"

using namespace mlir;
using namespace moe;

namespace {

/// A small float: a sign bit, then `exponent bits` with `bias`, then
/// `mantissa`.
struct Format {
  int64_t mantissa, bias, largest; // largest: code of the largest magnitude
  double maximum;
  int64_t signBit;
};

Format formatOf(QuantKind kind) {
  switch (kind) {
  case QuantKind::fp8_e4m3:
    return {3, 7, 0x7E, 448.0, 7};
  case QuantKind::fp8_e5m2:
    return {2, 15, 0x7B, 57344.0, 7};
  case QuantKind::mxfp4:
    return {1, 1, 7, 6.0, 3};
  case QuantKind::int8:
  case QuantKind::int4:
    break;
  }
  llvm_unreachable("an integer is not a float");
}

} // namespace

/// 0 for floats.
static double largestInteger(QuantKind kind) {
  return kind == QuantKind::int8 ? 127 : kind == QuantKind::int4 ? 7 : 0;
}

Val moe::powerOfTwo(Val exponent) {
  return exponent.e->bitcast((exponent + 127) << 23, exponent.e->getF32Type());
}

Val moe::floorLog2(Val value) {
  Emitter &e = *value.e;
  return ((e.bitcast(value, e.getI32Type()) >> 23) & 255.0) - 127;
}

double moe::largestValue(QuantKind kind) {
  double integer = largestInteger(kind);
  return integer ? integer : formatOf(kind).maximum;
}

Val moe::toCode(Val value, QuantKind kind) {
  Emitter &e = *value.e;
  Type i32 = e.getI32Type();
  if (double largest = largestInteger(kind)) {
    Val rounded = e.roundEven(value);
    Val most = rounded.like(largest), least = rounded.like(-largest);
    Val whole = e.cast(e.min(e.max(rounded, least), most), i32);
    return kind == QuantKind::int4 ? whole & 15.0 : whole;
  }
  Format format = formatOf(kind);
  Val magnitude = e.abs(value);
  Val exponent = floorLog2(magnitude);
  exponent = e.max(exponent, exponent.like(double(1 - format.bias)));
  // Steps of the binade that holds the value; a carry out of the mantissa
  // lands in the next exponent by itself.
  Val steps = e.roundEven(
      magnitude *
      powerOfTwo(exponent.like(double(format.mantissa)) - exponent));
  Val code = ((exponent + double(format.bias)) << double(format.mantissa)) +
             e.cast(steps, i32) - double(int64_t(1) << format.mantissa);
  code = e.min(code, code.like(double(format.largest)));
  Val sign = e.bitcast(value, i32) >> 31;
  return code | (sign << double(format.signBit));
}

Val moe::fromCode(Val code, QuantKind kind) {
  Emitter &e = *code.e;
  Type f32 = e.getF32Type();
  if (kind == QuantKind::int8)
    return e.cast(code, f32);
  if (kind == QuantKind::int4) // whose sign is in bit 3
    return e.cast((code ^ code.like(8)) - code.like(8), f32);
  Format format = formatOf(kind);
  auto hidden = double(int64_t(1) << format.mantissa);
  Val magnitude = code & double((1 << format.signBit) - 1);
  Val exponent = magnitude >> double(format.mantissa);
  Val fraction = magnitude & (hidden - 1);
  Val isNormal = exponent > 0;
  Val steps = e.select(isNormal, fraction + hidden, fraction);
  Val scale = e.select(isNormal, exponent, exponent.like(1)) -
              double(format.bias + format.mantissa);
  Val value = e.cast(steps, f32) * powerOfTwo(scale);
  // Codes that no value has, but that others may send.
  if (kind == QuantKind::fp8_e4m3)
    value = e.select(magnitude == 0x7F, value.like(notANumber), value);
  if (kind == QuantKind::fp8_e5m2) {
    value = e.select(magnitude == 0x7C, value.like(infinity), value);
    value = e.select(magnitude > 0x7C, value.like(notANumber), value);
  }
  Val negative = ((code >> double(format.signBit)) & 1.0) != 0;
  return e.select(negative, value.like(-0.0) - value, value);
}
