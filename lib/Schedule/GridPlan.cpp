//===- GridPlan.cpp - How to place a layer on many devices ----------------===//
//
// Part of moe-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "moe/Schedule/GridPlan.h"

#include <algorithm>
#include <tuple>

using namespace moe;

static std::vector<int64_t> divisorsOf(int64_t number) {
  std::vector<int64_t> divisors;
  for (int64_t divisor = 1; divisor * divisor <= number; ++divisor) {
    if (number % divisor)
      continue;
    divisors.push_back(divisor);
    if (divisor * divisor != number)
      divisors.push_back(number / divisor);
  }
  std::sort(divisors.begin(), divisors.end());
  return divisors;
}

/// Whether each of so many parts has whole units.
static bool splits(int64_t size, int64_t parts, int64_t unit) {
  return parts == 1 || (size % parts == 0 && size / parts % unit == 0);
}

static bool keepsShares(const GridLayer &layer, const RankGrid &grid) {
  return std::any_of(
      layer.weights.begin(), layer.weights.end(),
      [&](const GridWeight &weight) { return isShared(grid, weight); });
}

std::optional<Reason> moe::violated(const GridLayer &layer,
                                    const Cluster &cluster,
                                    const RankGrid &grid, bool tpAcrossNodes) {
  bool onTp = grid.expertsOn == ExpertsOn::tp;
  if (cluster.devices % grid.ep)
    return Reason::world;
  if (cluster.nodeDevices() % grid.tp && !tpAcrossNodes)
    return Reason::node;
  if (layer.experts % grid.places())
    return onTp ? Reason::expertsOnTp : Reason::experts;
  if (!splits(layer.intermediate, grid.expertParts(), layer.unit))
    return Reason::intermediate;
  if (!splits(layer.sharedIntermediate,
              sharedParts(grid, layer.sharedIntermediate), layer.sharedUnit))
    return Reason::shared;
  if (grid.fsdp && !keepsShares(layer, grid))
    return Reason::fsdp;
  return std::nullopt;
}

std::string_view moe::name(Reason reason) {
  constexpr std::string_view names[] = {
      "world",        "node",   "experts", "experts_on_tp",
      "intermediate", "shared", "fsdp",    "memory"};
  return names[int(reason)];
}

/// Rows that pass through half of the others lose more with each of them.
static constexpr int64_t mostOfARing = 32;

std::vector<Exchange> moe::exchangesOf(const RankGrid &grid) {
  if (grid.ep == 1 || grid.expertsOn == ExpertsOn::tp)
    return {Exchange::all_to_all};
  std::vector<Exchange> exchanges = {Exchange::all_to_all,
                                     Exchange::point_to_point};
  if (hasLevels(grid))
    exchanges.push_back(Exchange::hierarchical);
  if (grid.ep <= mostOfARing)
    exchanges.push_back(Exchange::ring);
  return exchanges;
}

/// What can be chosen beside the sizes, where it makes a difference. With
/// experts on tp, ep would be more of dp.
template <typename Body> static void forEachChoice(RankGrid grid, Body body) {
  for (ExpertsOn expertsOn : {ExpertsOn::ep, ExpertsOn::tp})
    for (bool sequenceParallel : {false, true})
      for (bool fsdp : {false, true}) {
        grid.expertsOn = expertsOn;
        grid.sequenceParallel = sequenceParallel;
        grid.fsdp = fsdp;
        bool onTp = expertsOn == ExpertsOn::tp;
        if ((onTp && (grid.tp == 1 || grid.ep > 1)) ||
            (sequenceParallel && grid.tp == 1) || (fsdp && grid.dp == 1))
          continue;
        body(grid);
      }
}

namespace {

class Planner {
public:
  Planner(const GridLayer &layer, const Cluster &cluster, int64_t tokens)
      : layer(layer), cluster(cluster), tokens(tokens) {}

  GridPlan plan;
  void run();

private:
  const GridLayer &layer;
  const Cluster &cluster;
  const int64_t tokens;

  Exclusion &exclusion(Reason reason);
  void exclude(Reason reason, const RankGrid &grid);
  void excludeForMemory(const RankGrid &grid, const GridMemory &memory);
  void consider(const RankGrid &grid);
  void enumerate();
  bool fits(RankGrid grid) const;
  int64_t enoughDevices() const;
};

} // namespace

Exclusion &Planner::exclusion(Reason reason) {
  for (Exclusion &exclusion : plan.exclusions)
    if (exclusion.reason == reason)
      return exclusion;
  Exclusion &added = plan.exclusions.emplace_back();
  added.reason = reason;
  return added;
}

/// The size that is to blame.
static int64_t sizeOf(Reason reason, const RankGrid &grid) {
  switch (reason) {
  case Reason::world:
  case Reason::experts:
    return grid.ep;
  case Reason::fsdp:
    return grid.dp;
  default:
    return grid.tp;
  }
}

void Planner::exclude(Reason reason, const RankGrid &grid) {
  Exclusion &one = exclusion(reason);
  ++one.count;
  int64_t size = sizeOf(reason, grid);
  auto place = std::lower_bound(one.sizes.begin(), one.sizes.end(), size);
  if (place == one.sizes.end() || *place != size)
    one.sizes.insert(place, size);
}

void Planner::excludeForMemory(const RankGrid &grid, const GridMemory &memory) {
  Exclusion &one = exclusion(Reason::memory);
  if (one.count++ == 0 || memory.needed() < one.leastMemory.needed()) {
    one.least = grid;
    one.leastMemory = memory;
  }
  one.most = std::max(one.most, memory.needed());
  if (memory.weights + memory.expected <= cluster.memory)
    ++one.fitIfUniform;
}

/// With the exchange that is fastest.
void Planner::consider(const RankGrid &grid) {
  if (auto reason = violated(layer, cluster, grid, plan.tpAcrossNodes))
    return exclude(*reason, grid);
  GridMemory memory = memoryOf(layer, grid, cluster.layers, tokens);
  if (memory.needed() > cluster.memory)
    return excludeForMemory(grid, memory);
  std::vector<std::pair<Exchange, double>> times;
  std::optional<Candidate> best;
  for (Exchange exchange : exchangesOf(grid)) {
    RankGrid with = grid;
    with.exchange = exchange;
    Candidate candidate = predictGrid(layer, cluster, with, tokens);
    times.emplace_back(exchange, candidate.total);
    if (!best || candidate.total < best->total)
      best = std::move(candidate);
  }
  best->exchanges = std::move(times);
  plan.candidates.push_back(std::move(*best));
}

void Planner::enumerate() {
  for (int64_t tp : divisorsOf(cluster.devices))
    for (int64_t ep : divisorsOf(cluster.devices / tp)) {
      RankGrid grid;
      grid.dp = cluster.devices / tp / ep;
      grid.ep = ep;
      grid.tp = tp;
      grid.nodeRanks = cluster.nodeDevices();
      forEachChoice(grid, [&](const RankGrid &grid) { consider(grid); });
    }
  for (int64_t ep : divisorsOf(layer.experts))
    if (cluster.devices % ep) {
      RankGrid grid;
      grid.ep = ep;
      exclude(Reason::world, grid);
    }
}

/// Whether some choice beside the sizes is possible and fits.
bool Planner::fits(RankGrid grid) const {
  Cluster other = cluster;
  other.devices = grid.ranks();
  other.nodes = std::max<int64_t>(1, other.devices / cluster.nodeDevices());
  bool found = false;
  forEachChoice(grid, [&](const RankGrid &grid) {
    found = found || (!violated(layer, other, grid, false) &&
                      memoryOf(layer, grid, cluster.layers, tokens).needed() <=
                          cluster.memory);
  });
  return found;
}

/// Of whole nodes, or less than one: for each ep and tp the least dp.
int64_t Planner::enoughDevices() const {
  int64_t best = kMostDevices + 1, node = cluster.nodeDevices();
  for (int64_t ep : divisorsOf(layer.experts))
    for (int64_t tp = 1; tp <= node; ++tp) {
      if (!splits(layer.intermediate, tp, layer.unit) && layer.experts % tp)
        continue;
      // Whatever dp is, a rank computes with these.
      RankGrid alone;
      alone.ep = ep;
      alone.tp = tp;
      int64_t whole = 0;
      for (const GridWeight &weight : layer.weights)
        whole += rankBytes(alone, weight, /*gathered=*/true);
      if (whole > cluster.memory)
        continue;
      for (int64_t dp = 1; dp * ep * tp < best; ++dp) {
        RankGrid grid = alone;
        grid.dp = dp;
        int64_t devices = grid.ranks();
        if ((devices < node || devices % node == 0) && fits(grid))
          best = devices;
      }
    }
  return best > kMostDevices ? 0 : best;
}

/// The fastest first, then those that need less, then the simpler ones.
static auto rankOf(const Candidate &candidate) {
  const RankGrid &grid = candidate.grid;
  return std::tuple(candidate.total, candidate.memory.needed(), grid.tp,
                    grid.ep, grid.expertsOn, grid.sequenceParallel, grid.fsdp);
}

void Planner::run() {
  enumerate();
  if (plan.candidates.empty() && cluster.nodes > 1) {
    GridPlan within = std::move(plan);
    plan = {};
    plan.tpAcrossNodes = true;
    enumerate();
    if (plan.candidates.empty())
      plan = std::move(within);
  }
  if (plan.candidates.empty())
    plan.enoughDevices = enoughDevices();
  std::sort(plan.candidates.begin(), plan.candidates.end(),
            [](const Candidate &a, const Candidate &b) {
              return rankOf(a) < rankOf(b);
            });
  std::sort(plan.exclusions.begin(), plan.exclusions.end(),
            [](const Exclusion &a, const Exclusion &b) {
              return a.reason < b.reason;
            });
}

GridPlan moe::planGrid(const GridLayer &layer, const Cluster &cluster,
                       int64_t tokens) {
  Planner planner(layer, cluster, tokens);
  planner.run();
  return std::move(planner.plan);
}
