//===- Elements.cpp - Numbers of the types that units multiply ------------===//
//
// Part of moe-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Elements.h"

#include <algorithm>
#include <cmath>
#include <cstring>

using namespace moe::sim;

template <typename T> static T at(const void *from, unsigned i) {
  T value;
  std::memcpy(&value, static_cast<const char *>(from) + i * sizeof(T),
              sizeof value);
  return value;
}

template <typename T> static void put(void *to, unsigned i, T value) {
  std::memcpy(static_cast<char *>(to) + i * sizeof(T), &value, sizeof value);
}

static float fromBits(uint32_t bits) { return at<float>(&bits, 0); }

/// A float of so many bits of exponent and mantissa. `finite` ones have no
/// infinity, and one NaN.
static float small(uint32_t bits, unsigned exponentBits, unsigned mantissaBits,
                   bool finite) {
  bool negative = bits >> (exponentBits + mantissaBits) & 1;
  uint32_t exponent = bits >> mantissaBits & ((1u << exponentBits) - 1);
  uint32_t mantissa = bits & ((1u << mantissaBits) - 1);
  int bias = (1 << (exponentBits - 1)) - 1;
  uint32_t top = (1u << exponentBits) - 1;
  float value;
  if (exponent == top && !finite)
    value = mantissa ? NAN : INFINITY;
  else if (finite && exponent == top && mantissa == (1u << mantissaBits) - 1)
    value = NAN;
  else if (exponent == 0)
    value = std::ldexp(float(mantissa), 1 - bias - int(mantissaBits));
  else
    value = std::ldexp(float(mantissa | 1u << mantissaBits),
                       int(exponent) - bias - int(mantissaBits));
  return negative ? -value : value;
}

float moe::sim::halfToFloat(uint16_t half) { return small(half, 5, 10, false); }

uint16_t moe::sim::floatToHalf(float value) {
  auto bits = at<uint32_t>(&value, 0);
  auto sign = uint16_t(bits >> 16 & 0x8000);
  if (std::isnan(value))
    return sign | 0x7fff;
  float magnitude = std::fabs(value);
  if (magnitude >= 65520.0f) // halfway between the largest and the next
    return sign | 0x7c00;
  if (magnitude < 0x1p-14f) // subnormal: a multiple of 2^-24
    return uint16_t(sign | uint16_t(std::nearbyint(magnitude * 0x1p24f)));
  bits = at<uint32_t>(&magnitude, 0);
  bits += 0xfff + (bits >> 13 & 1);
  return uint16_t(sign | ((bits >> 13) - (112u << 10)));
}

static uint16_t floatToBFloat(float value) {
  auto bits = at<uint32_t>(&value, 0);
  if (std::isnan(value))
    return 0x7fff;
  return uint16_t((bits + 0x7fff + (bits >> 16 & 1)) >> 16);
}

uint32_t moe::sim::floatToTensorFloat(float value, Rounding rounding) {
  constexpr uint32_t dropped = 0x1fff;
  auto bits = at<uint32_t>(&value, 0);
  if (std::isnan(value))
    return 0x7fffffff;
  if (rounding == Rounding::Away)
    bits += 0x1000;
  if (rounding == Rounding::Even)
    bits += 0xfff + (bits >> 13 & 1);
  return bits & ~dropped; // past the largest is infinity's place
}

double moe::sim::readElement(const void *from, unsigned i, Element type) {
  switch (type) {
  case Element::F16:
    return halfToFloat(at<uint16_t>(from, i));
  case Element::BF16:
    return fromBits(uint32_t(at<uint16_t>(from, i)) << 16);
  case Element::TF32: // the low bits of the register are not looked at
    return fromBits(at<uint32_t>(from, i) & ~0x1fffu);
  case Element::F32:
    return at<float>(from, i);
  case Element::S8:
    return at<int8_t>(from, i);
  case Element::U8:
    return at<uint8_t>(from, i);
  case Element::S32:
    return at<int32_t>(from, i);
  case Element::E4M3:
    return small(at<uint8_t>(from, i), 4, 3, true);
  case Element::E5M2:
    return small(at<uint8_t>(from, i), 5, 2, false);
  }
  return 0;
}

void moe::sim::writeElement(void *to, unsigned i, Element type, double value,
                            bool saturate) {
  switch (type) {
  case Element::F16:
    return put(to, i, floatToHalf(float(value)));
  case Element::BF16:
    return put(to, i, floatToBFloat(float(value)));
  case Element::S32:
    if (saturate)
      value = std::clamp(value, double(INT32_MIN), double(INT32_MAX));
    return put(to, i, int32_t(uint32_t(int64_t(value))));
  default:
    return put(to, i, float(value));
  }
}

MOE_SIM_CALL float moe_sim_half_to_float(uint32_t half) {
  return halfToFloat(uint16_t(half));
}

MOE_SIM_CALL uint32_t moe_sim_float_to_half(float value) {
  return floatToHalf(value);
}

MOE_SIM_CALL uint32_t moe_sim_float_to_tf32(float value, uint32_t rounding) {
  return floatToTensorFloat(value, static_cast<Rounding>(rounding));
}

MOE_SIM_CALL float moe_sim_approximate(uint32_t which, float x) {
  switch (static_cast<Approximate>(which)) {
  case Approximate::Exp2:
    return std::exp2(x);
  case Approximate::Log2:
    return std::log2(x);
  case Approximate::Reciprocal:
    return 1 / x;
  case Approximate::RootReciprocal:
    return 1 / std::sqrt(x);
  case Approximate::Root:
    return std::sqrt(x);
  case Approximate::Tanh:
    return std::tanh(x);
  case Approximate::Sine:
    return std::sin(x);
  case Approximate::Cosine:
    return std::cos(x);
  }
  return 0;
}
