//===- Reduce.h - Sums in the order of members ------------------*- C++ -*-===//
//
// Part of moe-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
// Floats are added in f32, doubles in f64, integers wrap. What an element
// becomes depends on nothing but the members' elements and their order.
//
//===----------------------------------------------------------------------===//

#ifndef MOE_LIB_RUNTIME_COLLECTIVE_REDUCE_H
#define MOE_LIB_RUNTIME_COLLECTIVE_REDUCE_H

#include "Collective.h"

#include <algorithm>
#include <cstring>

namespace moe::runtime {

/// Some elements while they are added.
class Accumulator {
public:
  static constexpr uint64_t capacity = 1024;

  void load(moe_element dtype, const char *from, uint64_t count);
  void apply(moe_reduction reduce, moe_element dtype, const char *from,
             uint64_t count);
  /// Rounds once.
  void store(moe_element dtype, char *to, uint64_t count) const;

private:
  alignas(64) char memory[capacity * 8];
};

/// Reduces `size` bytes of from(0), from(1), ... into to(0), to(1), ..., which
/// may be the same memory as any of the former.
template <typename From, typename To>
void reduceInOrder(moe_reduction reduce, moe_element dtype, int32_t sources,
                   const From &from, int32_t targets, const To &to,
                   uint64_t size) {
  Accumulator sum;
  uint64_t each = static_cast<uint64_t>(bytes(dtype));
  for (uint64_t at = 0; at < size; at += Accumulator::capacity * each) {
    uint64_t part = std::min(Accumulator::capacity * each, size - at);
    sum.load(dtype, from(0) + at, part / each);
    for (int32_t i = 1; i < sources; ++i)
      sum.apply(reduce, dtype, from(i) + at, part / each);
    sum.store(dtype, to(0) + at, part / each);
    for (int32_t i = 1; i < targets; ++i)
      std::memcpy(to(i) + at, to(0) + at, part);
  }
}

} // namespace moe::runtime

#endif // MOE_LIB_RUNTIME_COLLECTIVE_REDUCE_H
