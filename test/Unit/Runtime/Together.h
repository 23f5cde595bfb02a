//===- Together.h - Layers of all ranks in a test ---------------*- C++ -*-===//
//
// Part of moe-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
// Worlds on threads with a layer each, and splits of weights by chance.
//
//===----------------------------------------------------------------------===//

#ifndef MOE_TEST_UNIT_RUNTIME_TOGETHER_H
#define MOE_TEST_UNIT_RUNTIME_TOGETHER_H

#include "Support.h"

#include <random>

/// FakeShards.c, linked in: for its grid, and for one rank.
extern "C" const moe_package fake_shards, fake_shards_whole;

namespace moe::test {

class Together {
public:
  explicit Together(const moe_package *package, int64_t timeoutMs = 30000);
  ~Together();

  /// Calls `body(rank)` for each rank on a thread of its own.
  void run(const std::function<void(int)> &body) const;
  int size() const { return int(worlds.size()); }
  moe_world *world(int rank) const { return worlds[size_t(rank)]; }
  moe_layer *operator[](int rank) const { return layers[size_t(rank)].get(); }

private:
  std::vector<moe_world *> worlds;
  std::vector<Layer> layers;
};

/// Opens worlds on threads.
std::vector<moe_world *> openWorlds(int size, int64_t timeoutMs = 30000);

/// The weight's bytes.
std::string weightBytes(moe_layer *layer, const std::string &name);

using Chance = std::mt19937_64;
/// A grid, some of whose axes have the size of a divisor of one of these.
nlohmann::json chooseGrid(Chance &chance, const std::vector<int64_t> &sizes);
/// Splits a weight of the manifest in some way that its shape allows.
void chooseShard(Chance &chance, const nlohmann::json &grid,
                 nlohmann::json &weight);
/// What a rank has of a weight, one element at a time.
std::string expectedSlice(const std::string &whole, const nlohmann::json &grid,
                          const nlohmann::json &weight, int rank);

} // namespace moe::test

#endif // MOE_TEST_UNIT_RUNTIME_TOGETHER_H
