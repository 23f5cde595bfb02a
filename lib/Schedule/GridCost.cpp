//===- GridCost.cpp - How long a step takes on a grid ---------------------===//
//
// Part of moe-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Devices compute at their peak or read memory at full bandwidth, whichever is
// longer; links carry bytes at full bandwidth after their latency. Nothing
// overlaps, but rows in chunks with the experts.
//
//===----------------------------------------------------------------------===//

#include "moe/Schedule/GridPlan.h"

#include <algorithm>
#include <cmath>

using namespace moe;

using Of = GridWeight::Of;

// Estimates, not measured.

/// To start a computation and wait for the last of its blocks.
static constexpr double secondsPerStart = 5e-6;
/// To start one message among several, and one that is started alone.
static constexpr double secondsPerMessage = 0.2e-6, secondsAlone = 1e-6;

namespace {

class GridCost {
public:
  GridCost(const GridLayer &layer, const Cluster &cluster, const RankGrid &grid,
           int64_t tokens)
      : layer(layer), cluster(cluster), grid(grid),
        routing(layer, grid, tokens), rank(slowestRank()) {
    candidate.grid = grid;
    candidate.memory = memoryOf(layer, grid, cluster.layers, tokens);
    candidate.tokens = routing.tokens(rank);
    candidate.traffic = exactBytes(layer, grid, routing, rank);
  }

  Candidate predict();

private:
  const GridLayer &layer;
  const Cluster &cluster;
  const RankGrid &grid;
  UniformRouting routing;
  const int64_t rank;
  Candidate candidate;
  /// Of the experts step: those that rows come to, and those that tokens do.
  double routedSeconds = 0, sharedSeconds = 0;

  int64_t slowestRank() const;
  double &at(GridStep step) { return candidate.seconds[int(step)]; }
  double compute(double operations, double bytes);
  double transfer(const Traffic &traffic) const;
  double weightBytes(Of of) const;
  void router();
  void experts();
  void overlap();
};

} // namespace

/// The first of those that reach fewest members of ep on their own node.
int64_t GridCost::slowestRank() const {
  int64_t group = grid.ep * grid.tp, node = cluster.nodeDevices();
  if (group == 1 || node % group == 0)
    return 0;
  auto mates = [&](int64_t rank) {
    auto [first, last] = RankGroup(grid, kEp, rank).onNode(node);
    return last - first;
  };
  int64_t slowest = 0, fewest = mates(0);
  bool alike = group % node == 0 && node % grid.tp == 0;
  for (int64_t rank = 1; !alike && rank < grid.ranks(); ++rank)
    if (int64_t found = mates(rank); found < fewest) {
      fewest = found;
      slowest = rank;
    }
  return slowest;
}

double GridCost::compute(double operations, double bytes) {
  candidate.operations += operations;
  return secondsPerStart +
         std::max(operations / cluster.flops, bytes / cluster.bandwidth);
}

double GridCost::transfer(const Traffic &traffic) const {
  const Link &intra = cluster.intra, &inter = cluster.inter;
  bool crosses = cluster.nodes > 1 && traffic.sent > traffic.sentOnNode;
  double onNode = double(traffic.sentOnNode) / intra.bandwidth;
  double across = double(traffic.sent - traffic.sentOnNode) / inter.bandwidth;
  double latency = crosses ? inter.latency : intra.latency;
  double rounds = double(traffic.rounds), messages = double(traffic.messages);
  if (traffic.kind == CollectiveKind::all_to_all_v) {
    if (grid.exchange == Exchange::hierarchical)
      return intra.latency + (rounds - 1) * latency +
             messages * secondsPerMessage + onNode + across;
    if (grid.exchange == Exchange::ring)
      // In each round all wait for the one whose rows cross.
      return rounds * (latency + secondsAlone) +
             double(traffic.sent) /
                 (crosses ? inter.bandwidth : intra.bandwidth);
    if (grid.exchange == Exchange::point_to_point)
      return rounds * latency + messages * secondsAlone +
             std::max(onNode, across);
  }
  return rounds * latency + messages * secondsPerMessage +
         std::max(onNode, across);
}

/// What one computes with, of one layer.
double GridCost::weightBytes(Of of) const {
  int64_t bytes = 0;
  for (const GridWeight &weight : layer.weights)
    if (weight.of == of)
      bytes += rankBytes(grid, weight, /*gathered=*/true);
  return double(bytes);
}

void GridCost::router() {
  auto routed = double(routedTokens(grid, routing, rank));
  double x = double(layer.hidden * layer.activationBytes);
  at(GridStep::router) += compute(routed * layer.routerOperations,
                                  weightBytes(Of::router) + routed * x);
}

void GridCost::experts() {
  RankGroup group(grid, kEp, rank);
  double rows = 0, tokens = 0; // those that come here, and of whom
  for (int64_t member = 0; member < group.size; ++member) {
    rows += double(routing.rows(group.rank(member), group.self));
    tokens += double(routedTokens(grid, routing, group.rank(member)));
  }
  if (grid.expertsOn == ExpertsOn::tp)
    rows = std::ceil(rows / double(grid.tp));
  candidate.rows = int64_t(rows);
  double touched = 1 - std::pow(1 - layer.probability, tokens);
  double parts = double(grid.expertParts());
  double rowBytes =
      double(layer.width * (layer.rowBytes + 4)) +
      double(layer.intermediate) / parts * 2 * double(layer.activationBytes);
  routedSeconds =
      compute(rows * layer.rowOperations / parts,
              touched * weightBytes(Of::experts) + rows * rowBytes) +
      secondsPerStart * double(chunksOf(layer, grid) - 1);

  auto routed = double(routedTokens(grid, routing, rank));
  double operations =
      routed * (layer.tokenOperations +
                layer.sharedOperations /
                    double(sharedParts(grid, layer.sharedIntermediate)));
  if (operations > 0)
    sharedSeconds =
        compute(operations, weightBytes(Of::shared) + weightBytes(Of::other));
  at(GridStep::experts) = routedSeconds + sharedSeconds;
}

/// The first chunk of rows travels beside the shared expert, the others beside
/// the experts, and so do results but for the last. Either the experts never
/// wait, or the links never do.
void GridCost::overlap() {
  auto chunks = double(chunksOf(layer, grid));
  if (chunks == 1)
    return;
  double there = 0, back = 0;
  for (const Traffic &traffic : candidate.traffic)
    if (traffic.kind == CollectiveKind::all_to_all_v)
      (traffic.step == GridStep::back ? back : there) += transfer(traffic);
  double computing =
      std::max(there / chunks, sharedSeconds) + routedSeconds + back / chunks;
  double moving = there + routedSeconds / chunks + back;
  candidate.hidden = there + sharedSeconds + routedSeconds + back -
                     std::max(computing, moving);
}

Candidate GridCost::predict() {
  router();
  experts();
  for (const Traffic &traffic : candidate.traffic)
    at(traffic.step) += transfer(traffic);
  overlap();
  for (double seconds : candidate.seconds)
    candidate.total += seconds;
  candidate.total -= candidate.hidden;
  return std::move(candidate);
}

int64_t Candidate::sent() const {
  int64_t bytes = 0;
  for (const Traffic &one : traffic)
    bytes += one.sent;
  return bytes;
}

Candidate moe::predictGrid(const GridLayer &layer, const Cluster &cluster,
                           const RankGrid &grid, int64_t tokens) {
  return GridCost(layer, cluster, grid, tokens).predict();
}

std::vector<std::pair<int64_t, double>>
moe::predictChunks(const GridLayer &layer, const Cluster &cluster,
                   const RankGrid &grid, int64_t tokens) {
  std::vector<std::pair<int64_t, double>> times;
  for (int64_t chunks : {1, 2, 4, 8}) {
    GridLayer divided = layer;
    divided.chunks = chunks;
    if (chunksOf(divided, grid) == chunks)
      times.emplace_back(chunks,
                         predictGrid(divided, cluster, grid, tokens).total);
  }
  return times;
}
