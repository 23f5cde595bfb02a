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

/// What the units are. Strips in pairs are of 128 outputs: one of those at even
/// places, and one of the others.
enum class StripOrder {
  rows,    // none: rows stay as they are
  words,   // 4 bytes
  nibbles, // 8 values of 4 bits, first those at even places, then the others
  bytes,   // a byte
  pairedWords,
  pairedNibbles,
  pairedBytes,
};

/// As manifests and attributes have them.
inline constexpr const char *stripOrderNames[] = {
    "rows",         "words",          "nibbles",     "bytes",
    "paired_words", "paired_nibbles", "paired_bytes"};

inline constexpr const char *nameOf(StripOrder order) {
  return stripOrderNames[static_cast<size_t>(order)];
}

inline constexpr bool arePaired(StripOrder order) {
  return order >= StripOrder::pairedWords;
}

/// The same units in pairs of strips, and the other way.
inline constexpr StripOrder paired(StripOrder order) {
  return StripOrder(int(order) + int(StripOrder::bytes));
}
inline constexpr StripOrder unpaired(StripOrder order) {
  return arePaired(order) ? StripOrder(int(order) - int(StripOrder::bytes))
                          : order;
}

/// Strips whose outputs take turns in rows.
inline constexpr int64_t stripsTogether(StripOrder order) {
  return arePaired(order) ? 2 : 1;
}

inline constexpr int64_t unitBytes(StripOrder order) {
  return unpaired(order) == StripOrder::bytes ? 1 : 4;
}

} // namespace moe

#endif // MOE_SUPPORT_STRIPS_H
