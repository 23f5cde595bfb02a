//===- DType.cpp - Element types and checked sizes ------------------------===//
//
// Part of moe-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// The table of element types, and rounding to the narrow ones.
//
//===----------------------------------------------------------------------===//

#include "DType.h"
#include "Status.h"

#include <algorithm>
#include <cstring>

namespace moe::runtime {

namespace {
struct Row {
  const char *name, *fileName;
  uint8_t code, bits;
};
} // namespace

static constexpr Row rows[] = {
    {"f32", "F32", kDLFloat, 32},    {"f64", "F64", kDLFloat, 64},
    {"bf16", "BF16", kDLBfloat, 16}, {"f16", "F16", kDLFloat, 16},
    {"i8", "I8", kDLInt, 8},         {"u8", "U8", kDLUInt, 8},
    {"i32", "I32", kDLInt, 32},      {"i64", "I64", kDLInt, 64},
};

static const Row &row(DType type) { return rows[static_cast<size_t>(type)]; }

const char *name(DType type) { return row(type).name; }
const char *safetensorsName(DType type) { return row(type).fileName; }
int64_t bytes(DType type) { return row(type).bits / 8; }
DLDataType dlpack(DType type) { return {row(type).code, row(type).bits, 1}; }

std::optional<DType> dtypeNamed(std::string_view manifestName) {
  for (size_t i = 0; i < std::size(rows); ++i)
    if (rows[i].name == manifestName)
      return static_cast<DType>(i);
  return std::nullopt;
}

std::optional<DType> dtypeOf(DLDataType type) {
  for (size_t i = 0; i < std::size(rows); ++i)
    if (rows[i].code == type.code && rows[i].bits == type.bits &&
        type.lanes == 1)
      return static_cast<DType>(i);
  return std::nullopt;
}

std::string describe(DLDataType type) {
  if (std::optional<DType> known = dtypeOf(type))
    return name(*known);
  return text("code ", int(type.code), ", ", int(type.bits), " bits, ",
              type.lanes, type.lanes == 1 ? " lane" : " lanes");
}

std::string describe(const int64_t *shape, size_t rank) {
  std::string out = "[";
  for (size_t i = 0; i < rank; ++i)
    out += (i ? ", " : "") + std::to_string(shape[i]);
  return out + "]";
}

std::optional<int64_t> multiply(int64_t a, int64_t b) {
  int64_t result;
  if (__builtin_mul_overflow(a, b, &result))
    return std::nullopt;
  return result;
}

std::optional<int64_t> add(int64_t a, int64_t b) {
  int64_t result;
  if (__builtin_add_overflow(a, b, &result))
    return std::nullopt;
  return result;
}

std::optional<int64_t> byteCount(const int64_t *shape, size_t rank,
                                 DType type) {
  // Sizes that would overflow do so even where a later one is zero: whether a
  // shape is accepted does not depend on the order of its sizes.
  int64_t nonZero = bytes(type);
  bool empty = false;
  for (size_t i = 0; i < rank; ++i) {
    if (shape[i] < 0)
      return std::nullopt;
    empty |= shape[i] == 0;
    std::optional<int64_t> product =
        multiply(nonZero, std::max<int64_t>(shape[i], 1));
    if (!product)
      return std::nullopt;
    nonZero = *product;
  }
  return empty ? 0 : nonZero;
}

uint16_t toF16(float value) {
  uint32_t bits;
  std::memcpy(&bits, &value, sizeof bits);
  uint16_t sign = static_cast<uint16_t>(bits >> 16 & 0x8000);
  uint32_t magnitude = bits & 0x7fffffff;
  if (magnitude > 0x7f800000)
    return sign | 0x7e00;
  if (magnitude >= 0x477ff000) // 65520: halfway between the largest and 2^16
    return sign | 0x7c00;
  // The f32 significand, shifted until its unit is that of the result.
  int exponent = static_cast<int>(magnitude >> 23) - 127;
  uint32_t significand = (magnitude & 0x7fffff) | 0x800000;
  int shift = exponent >= -14 ? 13 : 13 + (-14 - exponent);
  if (exponent == -127 || shift > 25)
    return sign;
  uint32_t kept = significand >> shift;
  uint32_t rest = significand & ((1u << shift) - 1), half = 1u << (shift - 1);
  kept += rest > half || (rest == half && (kept & 1));
  // A normal number's implicit bit, and any carry, add up in the exponent.
  if (exponent >= -14)
    kept += static_cast<uint32_t>(exponent + 14) << 10;
  return sign | static_cast<uint16_t>(kept);
}

uint32_t f16ToF32Bits(uint16_t bits) {
  uint32_t sign = uint32_t(bits & 0x8000) << 16;
  uint32_t exponent = bits >> 10 & 31, significand = bits & 0x3ff;
  if (exponent == 31)
    return sign | 0x7f800000 | significand << 13;
  if (exponent)
    return sign | (exponent + 112) << 23 | significand << 13;
  if (!significand)
    return sign;
  // A subnormal number is a normal one in f32.
  exponent = 113;
  for (; !(significand & 0x400); --exponent)
    significand <<= 1;
  return sign | exponent << 23 | (significand & 0x3ff) << 13;
}

uint32_t e8m0ToF32Bits(uint8_t bits) {
  if (bits == 255)
    return 0x7fc00000;
  return bits ? uint32_t(bits) << 23 : 0x00400000;
}

} // namespace moe::runtime
