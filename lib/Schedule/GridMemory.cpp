//===- GridMemory.cpp - What a rank keeps in memory -----------------------===//
//
// Part of moe-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// A workspace has room for every value of the program, none of which reuses
// that of another.
//
//===----------------------------------------------------------------------===//

#include "moe/Schedule/GridPlan.h"

#include <algorithm>
#include <cmath>

using namespace moe;

bool moe::isCountable(const GridLayer &layer, int64_t tokens) {
  double rows = double(tokens) * double(layer.slots);
  double width = double(layer.hidden) + double(layer.width) +
                 double(layer.intermediate) + double(layer.sharedIntermediate) +
                 double(layer.experts) + double(layer.nullExperts);
  return rows < 0x1p44 && rows * width < 0x1p54;
}

/// The rows that an expert takes of so many tokens.
static double capacityOf(const GridLayer &layer, int64_t tokens) {
  const CapacitySpec &capacity = layer.capacity;
  if (capacity.tokens)
    return double(*capacity.tokens);
  return std::ceil(*capacity.factor * double(tokens) * double(layer.slots) /
                   double(layer.experts));
}

/// Rows that may come to the experts of a rank: all places of all tokens of its
/// group, or what its experts have room for.
static int64_t mostRows(const GridLayer &layer, const RankGrid &grid,
                        int64_t routed, int64_t groupTokens, int64_t tokens) {
  int64_t rows = groupTokens * layer.slots;
  if (!layer.capacity.limited())
    return rows;
  bool isLocal = layer.capacity.scope == Scope::local;
  double each = isLocal ? double(grid.ep) * capacityOf(layer, routed)
                        : capacityOf(layer, tokens);
  int64_t places = layer.experts / grid.places();
  double limit = each * double(places);
  return limit < double(rows) ? int64_t(limit) : rows;
}

GridMemory moe::memoryOf(const GridLayer &layer, const RankGrid &grid,
                         int64_t layers, int64_t tokens) {
  GridMemory memory;
  int64_t gathered = 0;
  for (const GridWeight &weight : layer.weights) {
    memory.weights += layers * rankBytes(grid, weight, /*gathered=*/false);
    if (isShared(grid, weight))
      gathered += rankBytes(grid, weight, /*gathered=*/true);
  }

  // The first rank has as many tokens as any, and so has its group.
  UniformRouting routing(layer, grid, tokens);
  int64_t own = routing.tokens(0), routed = routedTokens(grid, routing, 0);
  bool exchanges = grid.expertsOn == ExpertsOn::ep && grid.ep > 1;
  int64_t groupTokens = routing.groupTokens();
  auto arriving = int64_t(std::ceil(double(groupTokens) * layer.rowsPerToken /
                                    double(grid.places())));

  int64_t activation = layer.activationBytes;
  int64_t scores = layer.experts + layer.nullExperts;
  int64_t fixed = gathered + own * layer.hidden * 2 * activation;
  if (grid.sequenceParallel)
    fixed += routed * layer.hidden * (activation + 4);
  fixed += routed * (scores * 4 + layer.slots * 12 + layer.hidden * 4);
  if (layer.sharedIntermediate)
    fixed +=
        routed * (layer.sharedIntermediate /
                      sharedParts(grid, layer.sharedIntermediate) * activation +
                  layer.hidden * 4);
  int64_t sent = routed * layer.slots;
  // Rows that are sent as bytes are there as values, too.
  int64_t packedRow = layer.sentRowBytes == layer.width * layer.rowBytes
                          ? 0
                          : layer.sentRowBytes;
  int64_t packedResult =
      layer.sentResultBytes == layer.width * 4 ? 0 : layer.sentResultBytes;
  if (exchanges)
    fixed += sent * (layer.sentRowBytes + layer.width * 4 + packedResult);
  // A row, what is in the middle of its expert, and what comes out; for
  // another rank also in the order of arrival.
  int64_t row = layer.width * layer.rowBytes +
                layer.intermediate / grid.expertParts() * activation +
                layer.width * (exchanges ? 8 : 4) +
                (exchanges ? 12 + packedRow + packedResult : 0);
  memory.worst =
      fixed + row * mostRows(layer, grid, routed, groupTokens, tokens);
  memory.expected = std::min(memory.worst, fixed + row * arriving);
  return memory;
}
