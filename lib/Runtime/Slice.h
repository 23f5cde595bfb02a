//===- Slice.h - What a rank has of a weight --------------------*- C++ -*-===//
//
// Part of moe-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
// A rank has some indices of each dimension, in an order of its own.
//
//===----------------------------------------------------------------------===//

#ifndef MOE_LIB_RUNTIME_SLICE_H
#define MOE_LIB_RUNTIME_SLICE_H

#include "Collective/Collective.h"

#include <cstddef>
#include <cstdint>
#include <vector>

namespace moe::runtime {

/// How many members a grid has along an axis, and which of them a rank is.
int64_t sizeAlong(const Grid &grid, int32_t axis);
int64_t membersOver(const Grid &grid, int32_t axes);
int64_t indexAlong(const Grid &grid, int64_t rank, int32_t axis);
/// Whether two ranks differ in none but these axes.
bool sameGroup(const Grid &grid, int64_t a, int64_t b, int32_t axes);

/// One dimension along one axis: a list for each member, or else equal shares
/// of each of `parts` blocks.
struct Split {
  size_t dim = 0;
  int32_t axis = dpAxis;
  std::vector<std::vector<int64_t>> experts; ///< -1: a place that is not used
  int64_t parts = 1;
};

struct Shard {
  std::vector<int64_t> whole; ///< the shape before it is split
  std::vector<Split> splits;
  int32_t onlyFirst = 0; ///< an axis: all but its first member have zeros
};

/// Indices [from, from + count) of a whole that become those from `to` on.
struct IndexRun {
  int64_t from = 0, to = 0, count = 0;
};

struct Slice {
  std::vector<int64_t> whole; ///< its shape
  /// For each dimension the whole's index of each of the rank's; -1: zeros.
  std::vector<std::vector<int64_t>> indices;
  bool zero = false; ///< all of it

  /// The same for the product of the dimensions [begin, end).
  std::vector<int64_t> product(size_t begin, size_t end) const;
  bool hasZeros() const;
};

Slice sliceOf(const Shard &shard, const Grid &grid, int64_t rank);

/// Indices that follow each other, as few runs; those of -1 are left out.
std::vector<IndexRun> runsOf(const std::vector<int64_t> &indices);

/// Copies a rank's elements out of a whole, or into one. Zeros of a slice are
/// written out, and change nothing in a whole.
void copyOut(const Slice &slice, const void *whole, void *part, int64_t bytes);
void copyIn(const Slice &slice, const void *part, void *whole, int64_t bytes);

} // namespace moe::runtime

#endif // MOE_LIB_RUNTIME_SLICE_H
