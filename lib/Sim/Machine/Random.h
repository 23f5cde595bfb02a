//===- Random.h - Choices that a seed repeats -------------------*- C++ -*-===//
//
// Part of moe-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef MOE_LIB_SIM_MACHINE_RANDOM_H
#define MOE_LIB_SIM_MACHINE_RANDOM_H

#include <cstdint>

namespace moe::sim {

/// splitmix64.
class Random {
public:
  explicit Random(uint64_t seed) : state(seed) {}

  uint64_t next() {
    uint64_t z = (state += 0x9e3779b97f4a7c15);
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
    z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
    return z ^ (z >> 31);
  }
  /// One of 0 ... count - 1.
  uint64_t below(uint64_t count) { return next() % count; }

private:
  uint64_t state;
};

} // namespace moe::sim

#endif // MOE_LIB_SIM_MACHINE_RANDOM_H
