//===- Slice.cpp - What a rank has of a weight ----------------------------===//
//
// Part of moe-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
// Lists of indices, split one after the other.
//
//===----------------------------------------------------------------------===//

#include "Slice.h"

#include <algorithm>
#include <cstring>
#include <numeric>

namespace moe::runtime {

int64_t sizeAlong(const Grid &grid, int32_t axis) {
  return axis == dpAxis ? grid.dp : axis == epAxis ? grid.ep : grid.tp;
}

int64_t membersOver(const Grid &grid, int32_t axes) {
  int64_t members = 1;
  for (int32_t axis : {dpAxis, epAxis, tpAxis})
    members *= axes & axis ? sizeAlong(grid, axis) : 1;
  return members;
}

int64_t indexAlong(const Grid &grid, int64_t rank, int32_t axis) {
  return axis == dpAxis   ? rank / (int64_t(grid.ep) * grid.tp)
         : axis == epAxis ? rank / grid.tp % grid.ep
                          : rank % grid.tp;
}

bool sameGroup(const Grid &grid, int64_t a, int64_t b, int32_t axes) {
  for (int32_t axis : {dpAxis, epAxis, tpAxis})
    if (!(axes & axis) &&
        indexAlong(grid, a, axis) != indexAlong(grid, b, axis))
      return false;
  return true;
}

/// Where the member's indices are among `size` that were there before.
static std::vector<int64_t> chosenBy(const Split &split, int64_t size,
                                     int64_t members, int64_t member) {
  if (!split.experts.empty())
    return split.experts[static_cast<size_t>(member)];
  std::vector<int64_t> chosen;
  int64_t block = size / split.parts, share = block / members;
  for (int64_t part = 0; part < split.parts; ++part)
    for (int64_t i = 0; i < share; ++i)
      chosen.push_back(part * block + member * share + i);
  return chosen;
}

Slice sliceOf(const Shard &shard, const Grid &grid, int64_t rank) {
  Slice slice;
  slice.whole = shard.whole;
  for (int64_t size : shard.whole) {
    std::vector<int64_t> &all = slice.indices.emplace_back(size_t(size));
    std::iota(all.begin(), all.end(), int64_t(0));
  }
  for (const Split &split : shard.splits) {
    std::vector<int64_t> &before = slice.indices[split.dim];
    std::vector<int64_t> chosen =
        chosenBy(split, int64_t(before.size()), sizeAlong(grid, split.axis),
                 indexAlong(grid, rank, split.axis));
    for (int64_t &index : chosen)
      index = index < 0 ? -1 : before[size_t(index)];
    before = std::move(chosen);
  }
  slice.zero = shard.onlyFirst && indexAlong(grid, rank, shard.onlyFirst) != 0;
  return slice;
}

std::vector<int64_t> Slice::product(size_t begin, size_t end) const {
  std::vector<int64_t> result = {0};
  for (size_t dim = begin; dim < end; ++dim) {
    std::vector<int64_t> next;
    next.reserve(result.size() * indices[dim].size());
    for (int64_t outer : result)
      for (int64_t inner : indices[dim])
        next.push_back(outer < 0 || inner < 0 ? -1
                                              : outer * whole[dim] + inner);
    result = std::move(next);
  }
  return result;
}

bool Slice::hasZeros() const {
  return zero ||
         std::any_of(indices.begin(), indices.end(), [](const auto &list) {
           return std::count(list.begin(), list.end(), -1) != 0;
         });
}

std::vector<IndexRun> runsOf(const std::vector<int64_t> &indices) {
  std::vector<IndexRun> runs;
  for (size_t i = 0; i < indices.size(); ++i) {
    if (indices[i] < 0)
      continue;
    int64_t to = int64_t(i);
    if (!runs.empty() && runs.back().to + runs.back().count == to &&
        runs.back().from + runs.back().count == indices[i])
      ++runs.back().count;
    else
      runs.push_back({indices[i], to, 1});
  }
  return runs;
}

/// Calls `visit(in the whole, in the slice, count)` for elements that follow
/// each other in both.
template <typename Visit>
static void visitRuns(const Slice &slice, Visit &&visit) {
  size_t last = slice.indices.empty() ? 0 : slice.indices.size() - 1;
  std::vector<int64_t> rows = slice.product(0, last);
  std::vector<int64_t> columns = slice.product(last, slice.indices.size());
  int64_t rowLength = slice.indices.empty() ? 1 : slice.whole[last];
  std::vector<IndexRun> runs = runsOf(columns);
  for (size_t row = 0; row < rows.size(); ++row)
    for (const IndexRun &run : runs)
      if (rows[row] >= 0)
        visit(rows[row] * rowLength + run.from,
              int64_t(row * columns.size()) + run.to, run.count);
}

void copyOut(const Slice &slice, const void *whole, void *part, int64_t bytes) {
  if (slice.hasZeros()) {
    size_t count = 1;
    for (const std::vector<int64_t> &list : slice.indices)
      count *= list.size();
    if (count)
      std::memset(part, 0, count * size_t(bytes));
  }
  if (slice.zero)
    return;
  visitRuns(slice, [&](int64_t from, int64_t to, int64_t count) {
    std::memcpy(static_cast<char *>(part) + to * bytes,
                static_cast<const char *>(whole) + from * bytes,
                size_t(count * bytes));
  });
}

void copyIn(const Slice &slice, const void *part, void *whole, int64_t bytes) {
  if (slice.zero)
    return;
  visitRuns(slice, [&](int64_t to, int64_t from, int64_t count) {
    std::memcpy(static_cast<char *>(whole) + to * bytes,
                static_cast<const char *>(part) + from * bytes,
                size_t(count * bytes));
  });
}

} // namespace moe::runtime
