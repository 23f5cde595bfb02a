//===- Together.cpp - Layers of all ranks in a test -----------------------===//
//
// Part of moe-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
// Slices are found here from the rank's index to the whole's, where the runtime
// goes from lists to lists.
//
//===----------------------------------------------------------------------===//

#include "Together.h"

#include <algorithm>
#include <thread>

namespace moe::test {

using nlohmann::json;

std::vector<moe_world *> openWorlds(int size, int64_t timeoutMs) {
  moe_world_options options = {};
  options.engine = "threads";
  options.size = size;
  options.timeout_ms = timeoutMs;
  std::vector<moe_world *> worlds(size_t(size), nullptr);
  EXPECT_MOE_OK(moe_world_open_threads(&options, worlds.data()));
  return worlds;
}

static int ranksOf(const json &grid) {
  return grid["dp"].get<int>() * grid["ep"].get<int>() * grid["tp"].get<int>();
}

Together::Together(const moe_package *package, int64_t timeoutMs)
    : worlds(openWorlds(ranksOf(json::parse(package->manifest)["grid"]),
                        timeoutMs)),
      layers(worlds.size()) {
  run([&](int rank) {
    moe_layer *layer = nullptr;
    EXPECT_MOE_OK(moe_layer_create_in(package, nullptr, world(rank), &layer));
    layers[size_t(rank)].reset(layer);
  });
}

Together::~Together() {
  layers.clear();
  for (moe_world *world : worlds)
    moe_world_close(world);
}

void Together::run(const std::function<void(int)> &body) const {
  std::vector<std::thread> threads;
  for (int rank = 0; rank < size(); ++rank)
    threads.emplace_back([&, rank] { body(rank); });
  for (std::thread &thread : threads)
    thread.join();
}

std::string weightBytes(moe_layer *layer, const std::string &name) {
  DLTensor view = {};
  EXPECT_MOE_OK(moe_layer_get(layer, name.c_str(), &view));
  if (!view.data)
    return {};
  size_t size = view.dtype.bits / 8;
  for (int i = 0; i < view.ndim; ++i)
    size *= size_t(view.shape[i]);
  return {static_cast<const char *>(view.data), size};
}

static int64_t below(Chance &chance, int64_t bound) {
  return int64_t(chance() % uint64_t(bound));
}

json chooseGrid(Chance &chance, const std::vector<int64_t> &sizes) {
  std::vector<int64_t> divisors = {1, 2};
  for (int64_t size : sizes)
    for (int64_t d = 2; d <= 6; ++d)
      if (size % d == 0)
        divisors.push_back(d);
  auto choose = [&] {
    return divisors[size_t(below(chance, int64_t(divisors.size())))];
  };
  int64_t dp = below(chance, 2) + 1, ep = choose(), tp = choose();
  if (dp * ep * tp > 12)
    (below(chance, 2) ? ep : tp) = dp = 1;
  return {{"dp", dp}, {"ep", ep}, {"tp", tp}};
}

/// All experts, at least once, in places of which some are not used.
static json chooseExperts(Chance &chance, int64_t experts, int64_t members) {
  std::vector<int64_t> places;
  for (int64_t e = 0; e < experts; ++e)
    places.push_back(e);
  while (below(chance, 3) || int64_t(places.size()) % members)
    places.push_back(below(chance, experts + 1) - 1);
  std::shuffle(places.begin(), places.end(), chance);
  json lists = json::array();
  size_t each = places.size() / size_t(members);
  for (size_t m = 0; m < size_t(members); ++m)
    lists.push_back(
        std::vector<int64_t>(places.begin() + std::ptrdiff_t(m * each),
                             places.begin() + std::ptrdiff_t((m + 1) * each)));
  return lists;
}

void chooseShard(Chance &chance, const json &grid, json &weight) {
  std::vector<int64_t> sizes = weight["shape"];
  json shard = {{"whole", sizes}, {"split", json::array()}};
  bool placed = false;
  for (const char *axis : {"dp", "ep", "tp"}) {
    int64_t members = grid[axis], choice = below(chance, 6);
    if (choice == 0)
      shard["only_first"] = axis;
    if (choice <= 1 || sizes.empty())
      continue;
    json split = {{"dim", below(chance, int64_t(sizes.size()))},
                  {"axis", axis}};
    int64_t &size = sizes[split["dim"].get<size_t>()];
    int64_t parts = 1 + below(chance, 2);
    if (split["dim"] == 0 && !placed && size > 0 && below(chance, 2)) {
      split["experts"] = chooseExperts(chance, size, members);
      size = int64_t(split["experts"][0].size());
      placed = true;
    } else if (size % (parts * members) == 0) {
      split["parts"] = parts;
      size /= members;
    } else {
      continue;
    }
    shard["split"].push_back(split);
  }
  std::vector<int64_t> whole = shard["whole"];
  if (!weight.contains("fan_in"))
    weight["fan_in"] = whole.empty() ? 1 : std::max<int64_t>(whole.back(), 1);
  weight["shape"] = sizes;
  weight["shard"] = shard;
}

static int64_t memberOf(const json &grid, const std::string &axis, int rank) {
  int64_t ep = grid["ep"], tp = grid["tp"];
  return axis == "tp"   ? rank % tp
         : axis == "ep" ? rank / tp % ep
                        : rank / (tp * ep);
}

/// Where an index of the rank's is in the whole; -1: nowhere.
static int64_t wholeIndex(const json &grid, const json &weight, size_t dim,
                          int64_t index, int rank) {
  std::vector<json> splits;
  std::vector<int64_t> sizes; // before each split
  sizes.push_back(weight["shard"]["whole"][dim]);
  for (const json &split : weight["shard"]["split"]) {
    if (split["dim"] != dim)
      continue;
    splits.push_back(split);
    int64_t members = grid[split["axis"].get<std::string>()];
    sizes.push_back(split.contains("experts")
                        ? int64_t(split["experts"][0].size())
                        : sizes.back() / members);
  }
  for (size_t i = splits.size(); i-- > 0 && index >= 0;) {
    const json &split = splits[i];
    std::string axis = split["axis"];
    int64_t member = memberOf(grid, axis, rank);
    if (split.contains("experts")) {
      index = split["experts"][size_t(member)][size_t(index)];
      continue;
    }
    int64_t block = sizes[i] / split.value("parts", int64_t(1));
    int64_t share = block / grid[axis].get<int64_t>();
    index = index / share * block + member * share + index % share;
  }
  return index;
}

std::string expectedSlice(const std::string &whole, const json &grid,
                          const json &weight, int rank) {
  std::vector<int64_t> shape = weight["shape"];
  std::vector<int64_t> wholeShape = weight["shard"]["whole"];
  size_t count = 1, wholeCount = 1;
  for (size_t d = 0; d < shape.size(); ++d) {
    count *= size_t(shape[d]);
    wholeCount *= size_t(wholeShape[d]);
  }
  size_t bytes = wholeCount ? whole.size() / wholeCount : 0;
  std::string slice(count * bytes, '\0');
  const json &shard = weight["shard"];
  if (shard.contains("only_first") &&
      memberOf(grid, shard["only_first"], rank) != 0)
    return slice;
  // Dimension by dimension first: one look at the manifest for each index.
  std::vector<std::vector<int64_t>> table;
  for (size_t d = 0; d < shape.size(); ++d) {
    table.emplace_back();
    for (int64_t i = 0; i < shape[d]; ++i)
      table.back().push_back(wholeIndex(grid, weight, d, i, rank));
  }
  for (size_t at = 0; at < count; ++at) {
    int64_t rest = int64_t(at), from = 0, scale = 1;
    for (size_t d = shape.size(); d-- > 0;) {
      int64_t index = table[d][size_t(rest % shape[d])];
      rest /= shape[d];
      from = index < 0 || from < 0 ? -1 : from + index * scale;
      scale *= wholeShape[d];
    }
    if (from >= 0)
      slice.replace(at * bytes, bytes, whole, size_t(from) * bytes, bytes);
  }
  return slice;
}

} // namespace moe::test
