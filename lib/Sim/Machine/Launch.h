//===- Launch.h - One grid of blocks ----------------------------*- C++ -*-===//
//
// Part of moe-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef MOE_LIB_SIM_MACHINE_LAUNCH_H
#define MOE_LIB_SIM_MACHINE_LAUNCH_H

#include "Memory.h"
#include "Random.h"
#include "Report.h"

#include "moe/Sim/Image.h"

#include <optional>
#include <string>
#include <unordered_map>
#include <unordered_set>
#include <vector>

namespace moe::sim {

struct Dim3 {
  unsigned x = 1, y = 1, z = 1;
  size_t count() const { return size_t(x) * y * z; }
  /// The i-th, x first.
  Dim3 at(size_t i) const {
    return {unsigned(i % x), unsigned(i / x % y), unsigned(i / x / y)};
  }
};
std::string text(Dim3 d);

/// What the device offers to blocks.
struct Limits {
  size_t shared; // bytes of a block with what it must ask for
  size_t threads = 1024;
  size_t cluster = 8;
};

struct Launch {
  const moe_sim_image *image;
  const moe_sim_kernel *kernel;
  Dim3 grid, block, cluster;
  size_t dynamicShared = 0;
  std::vector<void *> parameters;

  unsigned multiprocessors = 132;
  Memory *memory;
  Random *random;
  uint64_t electSeed = 0; // for elect.sync
  uint64_t time = 0;
  unsigned preempt = 0; // how many accesses on average until another's turn
  // By address of an atomic: the clusters that have released something there.
  std::unordered_map<void *, std::unordered_set<uint32_t>> released;

  /// Bytes of the parameters themselves, which a kernel may read by address.
  const void *parameterBase = nullptr;
  size_t parameterBytes = 0;

  /// A place in the source, in words.
  const char *site(unsigned index) const {
    return int64_t(index) < image->sites
               ? image->site_text + image->site_offset[index]
               : "a place that is not known";
  }
};

/// Runs it. What it found wrong ends it.
std::optional<Report> run(Launch &launch);

} // namespace moe::sim

#endif // MOE_LIB_SIM_MACHINE_LAUNCH_H
