//===- RankGrid.cpp - Ranks, and what each of them has --------------------===//
//
// Part of moe-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "moe/Schedule/Traffic.h"

#include <algorithm>
#include <cmath>

using namespace moe;

//===----------------------------------------------------------------------===//
// Ranks
//===----------------------------------------------------------------------===//

/// The axes are neighbours, so that the ranks are a stride apart.
RankGroup::RankGroup(const RankGrid &grid, Axes axes, int64_t rank)
    : stride(axes & kTp   ? 1
             : axes & kEp ? grid.tp
                          : grid.ep * grid.tp),
      size((axes & kDp ? grid.dp : 1) * (axes & kEp ? grid.ep : 1) *
           (axes & kTp ? grid.tp : 1)) {
  self = rank / stride % size;
  base = rank - self * stride;
}

std::pair<int64_t, int64_t> RankGroup::onNode(int64_t nodeRanks) const {
  if (nodeRanks == 0)
    return {0, size};
  int64_t node = rank(self) / nodeRanks * nodeRanks;
  auto atLeast = [&](int64_t rank) {
    return rank <= base ? 0 : (rank - base + stride - 1) / stride;
  };
  return {atLeast(node), std::min(size, atLeast(node + nodeRanks))};
}

int64_t moe::chunksOf(const GridLayer &layer, const RankGrid &grid) {
  bool canBe = grid.expertsOn == ExpertsOn::ep && grid.ep > 1 &&
               grid.exchange == Exchange::all_to_all;
  return canBe ? std::min(layer.chunks, layer.experts / grid.ep) : 1;
}

bool moe::hasLevels(const RankGrid &grid) {
  int64_t node = grid.nodeRanks, group = grid.ep * grid.tp;
  return node > grid.tp && node % grid.tp == 0 && group > node &&
         group % node == 0;
}

/// The first have one more.
static int64_t evenShare(int64_t total, int64_t parts, int64_t part) {
  return total / parts + (part < total % parts ? 1 : 0);
}

int64_t UniformRouting::tokens(int64_t rank) const {
  return evenShare(total, tokenRanks(),
                   grid.sequenceParallel ? rank : rank / grid.tp);
}

int64_t UniformRouting::groupTokens() const {
  int64_t ranks = tokenRanks(), first = ranks / grid.dp;
  return total / ranks * first + std::min(first, total % ranks);
}

int64_t UniformRouting::rows(int64_t rank, int64_t member) const {
  RankGroup group(grid, kEp, rank);
  double rows = double(routedTokens(grid, *this, rank)) * rowsPerToken;
  // Whom the odd rows go to differs from sender to sender.
  int64_t part = (member - group.self + group.size) % group.size;
  return evenShare(std::llround(rows), group.size, part);
}

int64_t moe::routedTokens(const RankGrid &grid, const Routing &routing,
                          int64_t rank) {
  if (!grid.sequenceParallel)
    return routing.tokens(rank);
  RankGroup group(grid, kTp, rank);
  int64_t tokens = 0;
  for (int64_t member = 0; member < group.size; ++member)
    tokens += routing.tokens(group.rank(member));
  return tokens;
}

//===----------------------------------------------------------------------===//
// Weights
//===----------------------------------------------------------------------===//

int64_t moe::sharedParts(const RankGrid &grid, int64_t intermediate) {
  return intermediate % grid.tp == 0 ? grid.tp : 1;
}

static int64_t partsOfWeight(const RankGrid &grid, const GridWeight &weight) {
  if (weight.split == GridWeight::Split::none)
    return 1;
  return weight.of == GridWeight::Of::experts ? grid.expertParts()
                                              : sharedParts(grid, weight.inner);
}

bool moe::isShared(const RankGrid &grid, const GridWeight &weight) {
  int64_t first = weight.first;
  if (weight.of == GridWeight::Of::experts)
    first /= grid.places();
  else if (weight.split == GridWeight::Split::outputs)
    first /= partsOfWeight(grid, weight);
  return grid.fsdp && grid.dp > 1 && !weight.isVector && first % grid.dp == 0;
}

int64_t moe::rankBytes(const RankGrid &grid, const GridWeight &weight,
                       bool gathered) {
  bool ofExperts = weight.of == GridWeight::Of::experts;
  int64_t bytes = weight.bytes / (ofExperts ? grid.places() : 1) /
                  partsOfWeight(grid, weight);
  return isShared(grid, weight) && !gathered ? bytes / grid.dp : bytes;
}

//===----------------------------------------------------------------------===//
// Names
//===----------------------------------------------------------------------===//

std::string_view moe::name(CollectiveKind kind) {
  constexpr std::string_view names[] = {"sizes",      "all_gather",
                                        "all_to_all", "all_to_all_v",
                                        "all_reduce", "reduce_scatter"};
  return names[int(kind)];
}

std::string moe::name(Axes axes) {
  std::string text;
  for (auto [axis, name] :
       {std::pair{kDp, "dp"}, std::pair{kEp, "ep"}, std::pair{kTp, "tp"}})
    if (axes & axis)
      text += (text.empty() ? "" : ",") + std::string(name);
  return text;
}

std::string_view moe::name(Exchange exchange) {
  constexpr std::string_view names[] = {"all_to_all", "point_to_point",
                                        "hierarchical", "ring"};
  return names[int(exchange)];
}
