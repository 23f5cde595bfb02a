//===- GpuClusters.cpp - When blocks share what they read -----------------===//
//
// Part of moe-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// A step takes as long as its products at their peak, or as its bytes from the
// cache, whichever is longer.
//
//===----------------------------------------------------------------------===//

#include "moe/Schedule/GpuClusters.h"

#include <algorithm>
#include <cmath>

using namespace moe;

// Of an H100, for each clock: operations of a multiprocessor with values of two
// bytes, and what the cache gives to all of them.
static constexpr double peakOperations = 4096, peakCacheBytes = 5120;
static constexpr double processors = 132;

// Estimates, not measured.

/// Of the cache's peak, what blocks get.
static constexpr double cacheEfficiency = 2.0 / 3;
/// The time that clusters must save at least, by what is expected of them:
/// blocks that wait for each other lose some.
static constexpr double wantedSaving = 0.2;

/// In clocks, for a block that reads so much of the weights.
static double timeOf(const GpuTileStep &step, double part) {
  auto rows = double(step.rows), outputs = double(step.outputs),
       depth = double(step.depth), bytes = double(step.valueBytes);
  double operations = 2 * rows * outputs * depth;
  double read = (rows + part * outputs) * depth * bytes;
  return std::max(operations * bytes / 2 / peakOperations,
                  read * processors / (peakCacheBytes * cacheEfficiency));
}

/// Of tiles one by one, the last of an expert is half empty on average; of
/// tiles in pairs, a whole one is.
std::optional<int64_t> moe::rowsForClusters(const GpuTileStep &step) {
  double alone = timeOf(step, 1) * (1 - wantedSaving),
         shared = timeOf(step, 0.5);
  if (shared >= alone)
    return std::nullopt;
  // (tiles + 1) * shared <= (tiles + 1/2) * alone
  double tiles = std::max(0.0, (shared - alone / 2) / (alone - shared));
  return int64_t(std::ceil(tiles * double(step.rows)));
}
