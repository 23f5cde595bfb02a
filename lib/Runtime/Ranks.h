//===- Ranks.h - A layer as one of several ranks ----------------*- C++ -*-===//
//
// Part of moe-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
// Where a layer meets its world: before a run, and when one fails.
//
//===----------------------------------------------------------------------===//

#ifndef MOE_LIB_RUNTIME_RANKS_H
#define MOE_LIB_RUNTIME_RANKS_H

#include "Layer.h"
#include "Status.h"

namespace moe::runtime {

/// Fails unless the package is for one rank.
void requireOneRank(const Manifest &manifest);

/// Slices of all weights; of those that are not split, empty ones.
std::vector<Slice> slicesOf(const Manifest &manifest, int64_t rank);

/// Fails unless the layers of all ranks are of the same package.
void meetOthers(moe_layer &layer);

/// Fills in the sizes that are sums, from the tokens of all ranks.
void gatherSums(moe_layer &layer, size_t function);

/// Whether all ranks have the same number, and none has 0.
bool haveSame(moe_world &world, int64_t number);

/// Prepares the exchanges of a run whose sizes are known.
void beginExchanges(const Function &function, FunctionState &state);

/// Runs `body`, for which others wait: if it fails, so does the world.
template <typename Body> void amongRanks(moe_world *world, Body &&body) {
  try {
    body();
  } catch (...) {
    if (world) {
      moe_status status = recordException();
      world->end(status, moe_last_error());
    }
    throw;
  }
}

} // namespace moe::runtime

#endif // MOE_LIB_RUNTIME_RANKS_H
