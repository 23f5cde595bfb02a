//===- DType.h - Element types and checked sizes ----------------*- C++ -*-===//
//
// Part of moe-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// One table of the element types of manifests, safetensors files and DLPack,
// and arithmetic on sizes that cannot wrap around.
//
//===----------------------------------------------------------------------===//

#ifndef MOE_LIB_RUNTIME_DTYPE_H
#define MOE_LIB_RUNTIME_DTYPE_H

#include "moe/Runtime/moe.h"

#include <cstring>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace moe::runtime {

enum class DType : uint8_t { f32, f64, bf16, f16, i8, u8, i32, i64 };

/// The name in manifests: "bf16".
const char *name(DType type);
/// The name in safetensors headers: "BF16".
const char *safetensorsName(DType type);
int64_t bytes(DType type);
DLDataType dlpack(DType type);
std::optional<DType> dtypeNamed(std::string_view manifestName);
std::optional<DType> dtypeOf(DLDataType type);
/// "bf16", or "code 5, 8 bits" for a type that no tensor here has.
std::string describe(DLDataType type);

/// "[2, 3]".
std::string describe(const int64_t *shape, size_t rank);
inline std::string describe(const std::vector<int64_t> &shape) {
  return describe(shape.data(), shape.size());
}

/// Products and sums of non-negative numbers; nothing where they overflow.
std::optional<int64_t> multiply(int64_t a, int64_t b);
std::optional<int64_t> add(int64_t a, int64_t b);
/// Bytes of a compact tensor; nothing where they overflow or a size is < 0.
std::optional<int64_t> byteCount(const int64_t *shape, size_t rank, DType type);

/// The bits of the nearest value, ties to even; NaN stays NaN.
inline uint16_t toBf16(float value) {
  uint32_t bits;
  std::memcpy(&bits, &value, sizeof bits);
  uint32_t rounded = (bits + 0x7fff + (bits >> 16 & 1)) >> 16;
  bool isNan = (bits & 0x7fffffff) > 0x7f800000;
  return static_cast<uint16_t>(isNan ? bits >> 16 | 0x40 : rounded);
}
uint16_t toF16(float value);

/// The bits of the same value in f32.
uint32_t f16ToF32Bits(uint16_t bits);
/// 2^(bits - 127); 255 is NaN.
uint32_t e8m0ToF32Bits(uint8_t bits);

} // namespace moe::runtime

#endif // MOE_LIB_RUNTIME_DTYPE_H
