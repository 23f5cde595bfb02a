//===- Strips.h - Where packed weights lie ----------------------*- C++ -*-===//
//
// Part of moe-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef MOE_SUPPORT_STRIPS_H
#define MOE_SUPPORT_STRIPS_H

#include <cstddef>
#include <cstdint>

namespace moe {

/// Outputs of a strip: packed weights have, for each unit of the depth, those
/// of so many outputs next to each other.
inline constexpr int64_t stripOutputs = 64;

/// What the units are.
enum class StripOrder {
  rows,    // none: rows stay as they are
  words,   // 4 bytes
  nibbles, // 8 values of 4 bits, first those at even places, then the others
  bytes,   // a byte
};

/// As manifests and attributes have them.
inline constexpr const char *stripOrderNames[] = {"rows", "words", "nibbles",
                                                  "bytes"};

inline constexpr const char *nameOf(StripOrder order) {
  return stripOrderNames[static_cast<size_t>(order)];
}

inline constexpr int64_t unitBytes(StripOrder order) {
  return order == StripOrder::bytes ? 1 : 4;
}

} // namespace moe

#endif // MOE_SUPPORT_STRIPS_H
