//===- Machine.h - What a schedule asks of a machine ------------*- C++ -*-===//
//
// Part of moe-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef MOE_SCHEDULE_MACHINE_H
#define MOE_SCHEDULE_MACHINE_H

#include <cstdint>
#include <string_view>

namespace moe {

/// One core. Caches are in bytes; `l3` is its share of what it shares.
struct Machine {
  int64_t lanes = 16; // f32 lanes of a vector
  int64_t registers = 32;
  int64_t l1 = 32 << 10;
  int64_t l2 = 1 << 20;
  int64_t l3 = 2 << 20;
};

/// Puts in the caches of a CPU that LLVM calls `cpu`; those of one that is not
/// known stay as they are.
void setCaches(Machine &machine, std::string_view cpu);

} // namespace moe

#endif // MOE_SCHEDULE_MACHINE_H
