//===- ManifestShards.cpp - What the ranks of a grid have -----------------===//
//
// Part of moe-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
// The grid, and the slices of weights. What is split again makes the whole.
//
//===----------------------------------------------------------------------===//

#include "ManifestReader.h"

#include <algorithm>

namespace moe::runtime {

static constexpr int64_t maxRanks = 65536;

static int32_t readAxis(const JsonNode &node) {
  return 1 << readOneOf(node, {"dp", "ep", "tp"});
}

Grid readGrid(const JsonNode &node) {
  Grid grid;
  node.members([&](const std::string &key, const JsonNode &size) {
    if (key != "dp" && key != "ep" && key != "tp")
      size.failBecause("there is no such axis, expected dp, ep or tp");
    (key == "dp"   ? grid.dp
     : key == "ep" ? grid.ep
                   : grid.tp) = static_cast<int32_t>(size.integer(1, maxRanks));
  });
  if (grid.size() > maxRanks)
    node.failBecause(
        text("expected at most ", maxRanks, " ranks, found ", grid.size()));
  return grid;
}

int32_t readAxes(const JsonNode &list, size_t least) {
  size_t count = list.size(3);
  if (count < least)
    list.failBecause("expected at least one axis, found none");
  int32_t axes = 0;
  for (size_t i = 0; i < count; ++i) {
    int32_t axis = readAxis(list[i]);
    if (axes >= axis)
      list.failBecause("expected axes in the order dp ep tp, each once");
    axes |= axis;
  }
  return axes;
}

/// What each member has: lists of the same length with everything in them.
static std::vector<std::vector<int64_t>>
readExperts(const JsonNode &list, int64_t size, int64_t members) {
  if (int64_t(list.size(maxRanks)) != members)
    list.failBecause(text("expected a list for each of ", members,
                          " members, found ", list.size(maxRanks)));
  std::vector<std::vector<int64_t>> experts;
  std::vector<int64_t> all;
  for (size_t member = 0; member < size_t(members); ++member) {
    JsonNode places = list[member];
    std::vector<int64_t> &own = experts.emplace_back();
    for (size_t i = 0, e = places.size(INT32_MAX); i < e; ++i)
      own.push_back(places[i].integer(-1, size - 1));
    if (own.size() != experts[0].size())
      places.failBecause(text("expected ", experts[0].size(),
                              " places, as the first member has, found ",
                              own.size()));
    all.insert(all.end(), own.begin(), own.end());
  }
  std::sort(all.begin(), all.end());
  int64_t next = 0;
  for (int64_t expert : all)
    next += expert == next;
  if (next != size)
    list.failBecause(text("no member has expert ", next));
  return experts;
}

/// Reads one split and does it to the sizes.
static Split readSplit(const JsonNode &node, const Grid &grid,
                       std::vector<int64_t> &sizes) {
  Split split;
  if (sizes.empty())
    node.failBecause("a scalar has no dimension to split");
  split.dim = size_t(node["dim"].integer(0, int64_t(sizes.size()) - 1));
  split.axis = readAxis(node["axis"]);
  int64_t &size = sizes[split.dim];
  int64_t members = sizeAlong(grid, split.axis);
  if (node.has("experts")) {
    if (split.dim != 0)
      node["experts"].failBecause("only dimension 0 counts experts");
    if (node.has("parts"))
      node["parts"].failBecause("'experts' excludes 'parts'");
    split.experts = readExperts(node["experts"], size, members);
    size = int64_t(split.experts[0].size());
    return split;
  }
  if (node.has("parts"))
    split.parts = node["parts"].integer(1, maxParts);
  if (size % (split.parts * members) != 0)
    node.failBecause(text("dimension ", split.dim, " has ", size,
                          " entries, expected a multiple of ",
                          split.parts * members, ": ", split.parts,
                          " parts for ", members, " members"));
  size /= members;
  return split;
}

Shard readShard(const JsonNode &node, const Weight &weight, const Grid &grid) {
  Shard shard;
  JsonNode whole = node["whole"];
  for (size_t i = 0, e = whole.size(maxRank); i < e; ++i)
    shard.whole.push_back(whole[i].integer(0, INT32_MAX));
  if (shard.whole.size() != weight.shape.size())
    whole.failBecause(text("expected ", weight.shape.size(),
                           " dimensions, as the slice has, found ",
                           shard.whole.size()));
  if (!byteCount(shard.whole.data(), shard.whole.size(), weight.dtype))
    whole.failBecause("the tensor's size in bytes overflows");
  std::vector<int64_t> sizes = shard.whole;
  int32_t axes = 0;
  JsonNode list = node["split"];
  for (size_t i = 0, e = list.size(3); i < e; ++i) {
    shard.splits.push_back(readSplit(list[i], grid, sizes));
    int32_t axis = shard.splits.back().axis;
    if (axes & axis)
      list[i]["axis"].failBecause("the axis splits this weight twice");
    axes |= axis;
  }
  if (sizes != weight.shape)
    node.failBecause(text("splits ", describe(shard.whole), " into ",
                          describe(sizes), ", but the slice is ",
                          describe(weight.shape)));
  if (node.has("only_first")) {
    shard.onlyFirst = readAxis(node["only_first"]);
    if (axes & shard.onlyFirst)
      node["only_first"].failBecause("the axis splits this weight");
  }
  return shard;
}

} // namespace moe::runtime
