//===- Launch.cpp - One grid of blocks ------------------------------------===//
//
// Part of moe-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Launch.h"

#include "Cluster.h"

#include <numeric>

using namespace moe::sim;

std::optional<Report> moe::sim::run(Launch &launch) {
  static Window window;
  static Cluster::Stacks stacks;
  static uint32_t number = 0;

  Dim3 clusters = {launch.grid.x / launch.cluster.x,
                   launch.grid.y / launch.cluster.y,
                   launch.grid.z / launch.cluster.z};
  std::vector<uint32_t> order(clusters.count());
  std::iota(order.begin(), order.end(), 0);
  for (size_t i = order.size(); i > 1; --i)
    std::swap(order[i - 1], order[launch.random->below(i)]);

  uint32_t first = number + 1;
  std::optional<Report> report;
  for (uint32_t index : order) {
    Dim3 at = clusters.at(index);
    Dim3 origin = {at.x * launch.cluster.x, at.y * launch.cluster.y,
                   at.z * launch.cluster.z};
    Cluster cluster(launch, window, stacks, origin, ++number, first);
    cluster.run();
    report = std::move(cluster.report);
    if (report)
      break;
  }
  launch.memory->forget();
  return report;
}
