//===- GpuClusters.h - When blocks share what they read ---------*- C++ -*-===//
//
// Part of moe-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Two blocks of a GPU with tiles of the same weights read half of them each.
// That is fewer bytes of the cache, but an expert's tiles come in pairs then,
// and the last may be half empty.
//
//===----------------------------------------------------------------------===//

#ifndef MOE_SCHEDULE_GPUCLUSTERS_H
#define MOE_SCHEDULE_GPUCLUSTERS_H

#include <cstdint>
#include <optional>

namespace moe {

/// Where products of warpgroups are made by blocks in clusters.
enum class GpuClusters { whereTheyPay, always, never };

/// What a block has to do with one part of the depth of a tile.
struct GpuTileStep {
  int64_t rows, outputs, depth; // outputs of all weights
  int64_t valueBytes;           // of rows and weights alike: 2, or 1 for codes
};

/// How many rows an expert must have on average for clusters of two to take
/// less time; none where they never do.
std::optional<int64_t> rowsForClusters(const GpuTileStep &step);

} // namespace moe

#endif // MOE_SCHEDULE_GPUCLUSTERS_H
