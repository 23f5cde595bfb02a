//===- Turn.h - Square tiles of a matrix, turned ----------------*- C++ -*-===//
//
// Part of moe-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
// In registers of 16 bytes, which every machine has.
//
//===----------------------------------------------------------------------===//

#ifndef MOE_LIB_RUNTIME_TURN_H
#define MOE_LIB_RUNTIME_TURN_H

#include <cstdint>
#include <cstring>

namespace moe::runtime {

/// A tile of `size` times `size` elements.
template <typename T> struct Tile {
  static constexpr int size = 16 / sizeof(T);
  typedef T Vector __attribute__((vector_size(16)));

  /// Row `i` is read at `from + i * pitch`.
  void load(const char *from, int64_t pitch) {
    for (int i = 0; i < size; ++i)
      std::memcpy(&rows[i], from + i * pitch, sizeof(Vector));
  }

  /// Rows become columns: as often as a row has halves, the rows of one half
  /// and those of the other take turns, element by element.
  void turn() {
    for (int stage = 1; stage < size; stage *= 2) {
      Vector next[size];
      for (int i = 0; i < size / 2; ++i) {
        next[2 * i] = low(rows[i], rows[i + size / 2]);
        next[2 * i + 1] = high(rows[i], rows[i + size / 2]);
      }
      std::memcpy(rows, next, sizeof rows);
    }
  }

  void store(int row, char *to) const {
    std::memcpy(to, &rows[row], sizeof(Vector));
  }

private:
  static Vector low(Vector a, Vector b) {
    if constexpr (size == 4)
      return __builtin_shufflevector(a, b, 0, 4, 1, 5);
    else if constexpr (size == 8)
      return __builtin_shufflevector(a, b, 0, 8, 1, 9, 2, 10, 3, 11);
    else
      return __builtin_shufflevector(a, b, 0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5,
                                     21, 6, 22, 7, 23);
  }
  static Vector high(Vector a, Vector b) {
    if constexpr (size == 4)
      return __builtin_shufflevector(a, b, 2, 6, 3, 7);
    else if constexpr (size == 8)
      return __builtin_shufflevector(a, b, 4, 12, 5, 13, 6, 14, 7, 15);
    else
      return __builtin_shufflevector(a, b, 8, 24, 9, 25, 10, 26, 11, 27, 12, 28,
                                     13, 29, 14, 30, 15, 31);
  }

  Vector rows[size];
};

} // namespace moe::runtime

#endif // MOE_LIB_RUNTIME_TURN_H
