//===- TensorMap.h - What a tensor map says ---------------------*- C++ -*-===//
//
// Part of moe-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef MOE_LIB_SIM_OPERATIONS_TENSORMAP_H
#define MOE_LIB_SIM_OPERATIONS_TENSORMAP_H

#include <cstdint>

namespace moe::sim {

/// In the 128 bytes of a CUtensorMap, whose contents are the driver's own.
struct TensorMap {
  static constexpr uint64_t magicNumber = 0x70616d726f736e74; // "tnsormap"
  uint64_t magic;
  char *address;
  uint64_t extents[5];
  uint64_t strides[5]; // in bytes, of the first one the element's size
  uint16_t box[5];
  uint8_t rank;
  uint8_t elementBytes;
  uint8_t swizzle; // 0, 32, 64 or 128 bytes
  uint8_t fillIsNan;
  uint8_t isFloat;
};
static_assert(sizeof(TensorMap) <= 128, "fits into a CUtensorMap");

/// Where 16 bytes at an address of shared memory really are. What is exchanged
/// are bits of the address itself: 4 and up with 7 and up.
inline uint64_t swizzled(uint64_t address, unsigned bytes) {
  uint64_t mask = bytes == 128  ? 0x70
                  : bytes == 64 ? 0x30
                  : bytes == 32 ? 0x10
                                : 0;
  return address ^ ((address >> 3) & mask);
}

} // namespace moe::sim

#endif // MOE_LIB_SIM_OPERATIONS_TENSORMAP_H
