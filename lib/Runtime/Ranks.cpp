//===- Ranks.cpp - A layer as one of several ranks ------------------------===//
//
// Part of moe-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
// Creation, sums over ranks, and what callers may exchange.
//
//===----------------------------------------------------------------------===//

#include "Ranks.h"

#include <algorithm>

namespace moe::runtime {

void requireOneRank(const Manifest &manifest) {
  const Grid &grid = manifest.grid;
  if (grid.size() > 1)
    fail(MOE_INVALID_ARGUMENT, "'", manifest.name, "' is for ", grid.size(),
         " ranks, dp ", grid.dp, ", ep ", grid.ep, ", tp ", grid.tp,
         ": expected moe_layer_create_in with a world of as many");
}

std::vector<Slice> slicesOf(const Manifest &manifest, int64_t rank) {
  std::vector<Slice> slices;
  for (const Weight &weight : manifest.weights)
    slices.push_back(weight.shard ? sliceOf(*weight.shard, manifest.grid, rank)
                                  : Slice());
  return slices;
}

/// What a rank does, by the index of its function.
static std::string describeCall(const Manifest &manifest, int64_t function) {
  size_t index = static_cast<size_t>(function);
  return index < manifest.functions.size()
             ? "'" + manifest.functions[index].name + "'"
             : "the creation of a layer";
}

void meetOthers(moe_layer &layer) {
  const Manifest &manifest = layer.manifest();
  std::vector<int64_t> tokens;
  gatherSizes(
      *layer.world, manifest.grid, {layer.package->fingerprint, -1, 0}, allAxes,
      [&](int64_t other) { return describeCall(manifest, other); }, tokens);
}

namespace {
/// The value of a size on any rank.
struct Summation {
  const Function &function;
  const Grid &grid;
  const std::vector<int64_t> &tokens; ///< of each rank

  /// Whether `other` has the smaller index on the first of these axes that
  /// differ.
  bool comesBefore(int64_t other, int64_t rank, int32_t axes) const {
    for (int32_t axis : {dpAxis, epAxis, tpAxis}) {
      int64_t theirs = indexAlong(grid, other, axis);
      int64_t ours = indexAlong(grid, rank, axis);
      if (axes & axis && theirs != ours)
        return theirs < ours;
    }
    return false;
  }

  int64_t valueOf(int size, int64_t rank) const {
    const Sum *sum = function.findSum(size);
    if (!sum)
      return tokens[static_cast<size_t>(rank)];
    auto range = [&](int32_t axis) -> std::pair<int64_t, int64_t> {
      int64_t index = indexAlong(grid, rank, axis);
      if (sum->axes & axis)
        return {0, sizeAlong(grid, axis)};
      return {index, index + 1};
    };
    auto [dpBegin, dpEnd] = range(dpAxis);
    auto [epBegin, epEnd] = range(epAxis);
    auto [tpBegin, tpEnd] = range(tpAxis);
    int64_t total = 0;
    for (int64_t dp = dpBegin; dp < dpEnd; ++dp)
      for (int64_t ep = epBegin; ep < epEnd; ++ep)
        for (int64_t tp = tpBegin; tp < tpEnd; ++tp) {
          int64_t other = (dp * grid.ep + ep) * grid.tp + tp;
          if (sum->before && !comesBefore(other, rank, sum->before))
            continue;
          int64_t more = valueOf(sum->of, other);
          std::optional<int64_t> next = add(total, more);
          if (!next)
            fail(MOE_SHAPE_MISMATCH, "function '", function.name,
                 "': ", function.sizes[static_cast<size_t>(size)],
                 " overflows");
          total = *next;
        }
    return total;
  }
};
} // namespace

void gatherSums(moe_layer &layer, size_t index) {
  const Manifest &manifest = layer.manifest();
  const Function &function = manifest.functions[index];
  FunctionState &state = layer.functions[index];
  int token = function.tokenSize();
  // Where there are no tokens, what there is instead is the same on all.
  if (token < 0 && !function.sizes.empty())
    token = 0;
  int64_t own = token < 0 ? 0 : state.sizes[static_cast<size_t>(token)];
  if (layer.world)
    gatherSizes(
        *layer.world, manifest.grid,
        {layer.package->fingerprint, static_cast<int64_t>(index), own},
        function.tokensOver,
        [&](int64_t other) { return describeCall(manifest, other); },
        state.tokens);
  else
    state.tokens.assign(1, own);
  int64_t rank = layer.world ? layer.world->rank() : 0;
  Summation summation = {function, manifest.grid, state.tokens};
  for (const Sum &sum : function.sums)
    state.sizes[static_cast<size_t>(sum.size)] =
        summation.valueOf(sum.size, rank);
}

static void gather(moe_world &world, Operation operation, const void *mine,
                   uint64_t bytes, void *all) {
  operation.kind = "all_gather";
  size_t ranks = static_cast<size_t>(world.size());
  std::vector<moe_piece> send(ranks, {const_cast<void *>(mine), bytes}),
      receive;
  for (size_t rank = 0; rank < ranks; ++rank)
    receive.push_back({static_cast<char *>(all) + rank * bytes, bytes});
  world.operate(operation, [&] {
    world.move(operation, world.everyone(), send.data(), receive.data());
  });
}

bool haveSame(moe_world &world, int64_t number) {
  Operation operation;
  operation.name = "graph";
  operation.what = "all_gather 'graph' over all ranks";
  operation.tag = 0x6772617068;
  std::vector<int64_t> &all = world.numbers[0];
  all.resize(static_cast<size_t>(world.size()));
  gather(world, operation, &number, sizeof number, all.data());
  return number && std::all_of(all.begin(), all.end(),
                               [&](int64_t other) { return other == number; });
}

void beginExchanges(const Function &function, FunctionState &state) {
  // A second size of a rank's own would be one that others do not know.
  bool tokensSayAll = function.sizes.size() <= function.sums.size() + 1;
  state.exchange->begin(state.sizes.data(),
                        tokensSayAll ? &state.tokens : nullptr);
}

} // namespace moe::runtime

using namespace moe::runtime;

moe_status moe_world_gather(moe_world *world, const void *mine, uint64_t bytes,
                            void *all) {
  return guard([&] {
    requireSet(world, "world");
    if (bytes) {
      requireSet(mine, "mine");
      requireSet(all, "all");
    }
    Operation operation;
    operation.name = "moe_world_gather";
    operation.what = "all_gather 'moe_world_gather' over all ranks";
    operation.tag = 0x676174686572 + bytes;
    gather(*world, operation, mine, bytes, all);
  });
}
