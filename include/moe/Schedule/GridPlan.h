//===- GridPlan.h - How to place a layer on many devices --------*- C++ -*-===//
//
// Part of moe-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef MOE_SCHEDULE_GRIDPLAN_H
#define MOE_SCHEDULE_GRIDPLAN_H

#include "moe/Schedule/Traffic.h"

#include <array>

namespace moe {

/// Of one device, in one direction.
struct Link {
  double bandwidth = 0; // bytes a second
  double latency = 0;   // seconds
};

/// Devices that are alike, in nodes that are alike.
struct Cluster {
  int64_t devices = 1;
  int64_t nodes = 1;
  int64_t memory = 0;   // bytes of a device
  int64_t layers = 1;   // that a device has a share of, all like this one
  double flops = 0;     // operations a second of a device
  double bandwidth = 0; // bytes a second of its memory
  Link intra, inter;    // within a node, and between nodes

  int64_t nodeDevices() const { return devices / nodes; }
};

/// Bytes of a rank: weights of all layers, and the workspace of one.
struct GridMemory {
  int64_t weights = 0;
  int64_t worst = 0;    // workspace as reserved: all tokens may come here
  int64_t expected = 0; // workspace that is used where routing is uniform

  int64_t needed() const { return weights + worst; }
};

/// What is expected of the rank with most to do, where routing is uniform.
struct Candidate {
  RankGrid grid;
  GridMemory memory;
  int64_t tokens = 0;
  int64_t rows = 0; // that its experts compute
  double operations = 0;
  std::vector<Traffic> traffic;
  std::array<double, kGridSteps> seconds = {};
  double hidden = 0; // of them, as rows travel beside experts
  double total = 0;
  /// The time with each exchange that makes a difference.
  std::vector<std::pair<Exchange, double>> exchanges;

  int64_t sent() const;
};

/// Why some candidates are none.
enum class Reason {
  world,        // ep does not divide the devices
  node,         // tp goes beyond a node
  experts,      // ep does not divide the experts
  expertsOnTp,  // nor tp, with experts_on = tp
  intermediate, // nor tp the inner width, into whole units
  shared,       // the same of the shared expert
  fsdp,         // dp divides no weight's first dimension
  memory
};
std::string_view name(Reason reason);

struct Exclusion {
  Reason reason;
  int64_t count = 0;          // of candidates
  std::vector<int64_t> sizes; // of the axis, in ascending order
  // Of memory:
  RankGrid least;         // the one that needs least
  GridMemory leastMemory; // and what that is
  int64_t most = 0;
  int64_t fitIfUniform = 0; // candidates that only the worst case excludes
};

struct GridPlan {
  std::vector<Candidate> candidates; // the fastest first
  std::vector<Exclusion> exclusions; // in the order of reasons
  bool tpAcrossNodes = false;        // nothing else fits
  /// Where nothing fits, the fewest devices that would do; 0: none would.
  int64_t enoughDevices = 0;
};

GridPlan planGrid(const GridLayer &layer, const Cluster &cluster,
                  int64_t tokens);

/// Whether numbers of bytes of so many tokens surely fit an int64_t.
bool isCountable(const GridLayer &layer, int64_t tokens);

/// Why this grid cannot be, memory aside.
std::optional<Reason> violated(const GridLayer &layer, const Cluster &cluster,
                               const RankGrid &grid, bool tpAcrossNodes);

/// The exchanges that differ on this grid and may be worth it.
std::vector<Exchange> exchangesOf(const RankGrid &grid);

GridMemory memoryOf(const GridLayer &layer, const RankGrid &grid,
                    int64_t layers, int64_t tokens);
/// `grid.nodeRanks` are the devices of a node.
Candidate predictGrid(const GridLayer &layer, const Cluster &cluster,
                      const RankGrid &grid, int64_t tokens);

/// The times with rows in 1, 2, 4 and 8 chunks, as far as there can be.
std::vector<std::pair<int64_t, double>> predictChunks(const GridLayer &layer,
                                                      const Cluster &cluster,
                                                      const RankGrid &grid,
                                                      int64_t tokens);

/// So many devices are the most that are planned for.
constexpr int64_t kMostDevices = 1 << 16;

} // namespace moe

#endif // MOE_SCHEDULE_GRIDPLAN_H
