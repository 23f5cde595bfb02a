//===- Ceilings.cpp - What known CPUs can do at most ----------------------===//
//
// Part of moe-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "moe/Schedule/Ceilings.h"

using namespace moe;

namespace {

/// Of one core: clock with wide vectors, operations a cycle, and its share of
/// a machine's memory.
struct Core {
  std::string_view cpu;
  double gigahertz, f32, bf16, gigabytes;
};

/// The first stands for those that are not listed.
constexpr Core knownCores[] = {
    {"x86-64-v3", 3.0, 32, 0, 10},     {"x86-64", 3.0, 8, 0, 10},
    {"x86-64-v2", 3.0, 8, 0, 10},      {"x86-64-v4", 2.5, 64, 0, 10},
    {"haswell", 2.6, 32, 0, 6},        {"broadwell", 2.6, 32, 0, 6},
    {"skylake", 3.4, 32, 0, 9},        {"skylake-avx512", 2.4, 64, 0, 6},
    {"cascadelake", 2.6, 64, 0, 6},    {"cooperlake", 2.6, 64, 128, 6},
    {"icelake-server", 2.6, 64, 0, 6}, {"sapphirerapids", 2.6, 64, 64, 6},
    {"emeraldrapids", 2.6, 64, 64, 6}, {"graniterapids", 2.6, 64, 64, 8},
    {"znver2", 3.2, 32, 0, 6},         {"znver3", 3.4, 32, 0, 6},
    {"znver4", 3.5, 32, 64, 8},        {"znver5", 4.0, 64, 128, 16},
};

} // namespace

Ceilings moe::nominalCeilings(std::string_view cpu, int64_t cores) {
  const Core *core = knownCores;
  for (const Core &other : knownCores)
    if (other.cpu == cpu)
      core = &other;
  double gigas = double(cores) * 1e9;
  return {cores, core->gigabytes * gigas, core->f32 * core->gigahertz * gigas,
          core->bf16 * core->gigahertz * gigas};
}
