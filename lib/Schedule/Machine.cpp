//===- Machine.cpp - Caches of known CPUs ---------------------------------===//
//
// Part of moe-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "moe/Schedule/Machine.h"

using namespace moe;

namespace {

struct Caches {
  std::string_view cpu;
  int64_t l1, l2, l3; // in KiB
};

/// A level of x86-64 stands for many CPUs, so it has the caches of the least.
constexpr Caches knownCaches[] = {
    {"x86-64", 32, 256, 1024},          {"x86-64-v2", 32, 256, 1024},
    {"x86-64-v3", 32, 256, 1024},       {"x86-64-v4", 32, 1024, 1408},
    {"haswell", 32, 256, 2048},         {"broadwell", 32, 256, 2048},
    {"skylake", 32, 256, 2048},         {"skylake-avx512", 32, 1024, 1408},
    {"cascadelake", 32, 1024, 1408},    {"cooperlake", 32, 1024, 1408},
    {"icelake-server", 48, 1280, 1536}, {"sapphirerapids", 48, 2048, 1920},
    {"emeraldrapids", 48, 2048, 5120},  {"graniterapids", 48, 2048, 4032},
    {"znver1", 32, 512, 2048},          {"znver2", 32, 512, 4096},
    {"znver3", 32, 512, 4096},          {"znver4", 32, 1024, 4096},
    {"znver5", 48, 1024, 4096},
};

} // namespace

void moe::setCaches(Machine &machine, std::string_view cpu) {
  for (const Caches &caches : knownCaches)
    if (caches.cpu == cpu) {
      machine.l1 = caches.l1 << 10;
      machine.l2 = caches.l2 << 10;
      machine.l3 = caches.l3 << 10;
    }
}
