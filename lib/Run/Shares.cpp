//===- Shares.cpp - Which tokens each rank has ----------------------------===//
//
// Part of moe-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
// Rows are divided as evenly as they can be, in the order of the ranks.
//
//===----------------------------------------------------------------------===//

#include "Shares.h"

#include <cstring>

namespace moe::run {

using nlohmann::json;
using runtime::Grid;

Grid gridOf(const json &manifest) {
  Grid grid;
  if (manifest.contains("grid")) {
    grid.dp = manifest["grid"].value("dp", 1);
    grid.ep = manifest["grid"].value("ep", 1);
    grid.tp = manifest["grid"].value("tp", 1);
  }
  return grid;
}

static int32_t axisOf(const std::string &name) {
  return name == "dp"   ? runtime::dpAxis
         : name == "ep" ? runtime::epAxis
                        : runtime::tpAxis;
}

static int32_t axesOf(const json &names) {
  int32_t axes = 0;
  for (const json &name : names)
    axes |= axisOf(name.get<std::string>());
  return axes;
}

Shares::Shares(const json &manifest, const json &function, int64_t tokens)
    : grid(gridOf(manifest)), tokens(tokens) {
  if (function.contains("tokens_over"))
    axes = axesOf(function["tokens_over"]);
  if (function.contains("sums"))
    for (const auto &[size, sum] : function["sums"].items())
      sums[size] = axesOf(sum["axes"]);
  groupCount = membersOver(grid, axes);
}

int64_t Shares::groupOf(int rank, int32_t axes) const {
  int64_t group = 0;
  for (int32_t axis : {runtime::dpAxis, runtime::epAxis, runtime::tpAxis})
    if (axes & axis)
      group = group * sizeAlong(grid, axis) + indexAlong(grid, rank, axis);
  return group;
}

/// floor(group * tokens / groups), which the product may not hold.
int64_t Shares::firstOf(int64_t group) const {
  return group * (tokens / groupCount) +
         group * (tokens % groupCount) / groupCount;
}

bool Shares::isFirst(int rank) const {
  for (int32_t axis : {runtime::dpAxis, runtime::epAxis, runtime::tpAxis})
    if (!(axes & axis) && indexAlong(grid, rank, axis) != 0)
      return false;
  return true;
}

Shares::Rows Shares::rowsOf(const json &argument) const {
  const json &shape = argument["shape"];
  Rows rows;
  for (size_t i = 0; i < shape.size(); ++i) {
    if (!shape[i].is_string())
      continue;
    std::string entry = shape[i], size = entry.substr(entry.find('*') + 1);
    auto sum = sums.find(size);
    if (i != 0 || (size != "T" && sum == sums.end()))
      return {};
    rows.ofToken = size == entry ? 1 : std::stoll(entry);
    rows.gathered = sum == sums.end() ? 0 : sum->second;
  }
  return rows;
}

/// Of what is one step of the first dimension.
static size_t bytesOfRow(const Array &array) {
  size_t bytes = size_t(runtime::bytes(array.dtype));
  for (size_t i = 1; i < array.shape.size(); ++i)
    bytes *= size_t(array.shape[i]);
  return bytes;
}

Array Shares::split(const Array &whole, Rows rows, int rank) const {
  if (!rows)
    return whole;
  std::vector<int64_t> shape = whole.shape;
  shape[0] = count(rank) * rows.ofToken;
  Array part(whole.dtype, shape);
  size_t first = size_t(begin(rank) * rows.ofToken) * bytesOfRow(whole);
  if (!part.data.empty())
    std::memcpy(part.data.data(), whole.data.data() + first, part.data.size());
  return part;
}

Array Shares::join(const std::vector<Array> &parts, Rows rows,
                   const std::string &name) const {
  if (!rows)
    return parts[0];
  Array whole = parts[0];
  whole.shape[0] = tokens * rows.ofToken;
  whole.data.clear();
  int32_t apart = axes & ~rows.gathered;
  std::vector<int> firsts(size_t(membersOver(grid, apart)), -1);
  for (int rank = 0; rank < int(parts.size()); ++rank) {
    const std::vector<char> &data = parts[size_t(rank)].data;
    int &first = firsts[size_t(groupOf(rank, apart))];
    if (first < 0) {
      first = rank;
      whole.data.insert(whole.data.end(), data.begin(), data.end());
    } else if (parts[size_t(first)].data != data) {
      throw RunError("ranks " + std::to_string(first) + " and " +
                     std::to_string(rank) + " have the same tokens, but '" +
                     name + "' differs");
    }
  }
  return whole;
}

runtime::Slice sliceOf(const json &json, const Grid &grid, int rank) {
  runtime::Shard shard;
  shard.whole = json["whole"].get<std::vector<int64_t>>();
  for (const auto &entry : json["split"]) {
    runtime::Split split;
    split.dim = entry["dim"];
    split.axis = axisOf(entry["axis"]);
    split.parts = entry.value("parts", int64_t(1));
    if (entry.contains("experts"))
      split.experts = entry["experts"].get<std::vector<std::vector<int64_t>>>();
    shard.splits.push_back(std::move(split));
  }
  if (json.contains("only_first"))
    shard.onlyFirst = axisOf(json["only_first"]);
  return runtime::sliceOf(shard, grid, rank);
}

} // namespace moe::run
