//===- PlannedBytes.cpp - What ranks send, by the planner -----------------===//
//
// Part of moe-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// planned-bytes SPEC [NODE_RANKS]: on the grid of a spec, with a routing from
// standard input: the tokens of each rank, then for each rank the rows that it
// sends to each member over ep. Prints `SENT RECEIVED` for each rank.
//
//===----------------------------------------------------------------------===//

#include "moe/Import/Import.h"
#include "moe/Schedule/Traffic.h"

#include <fstream>
#include <iostream>
#include <sstream>

using namespace moe;

namespace {
struct Counted : Routing {
  std::vector<int64_t> tokensOf;
  std::vector<std::vector<int64_t>> rowsOf;

  int64_t tokens(int64_t rank) const override { return tokensOf[rank]; }
  int64_t rows(int64_t rank, int64_t member) const override {
    return rowsOf[rank][member];
  }
};
} // namespace

static RankGrid gridOf(const ParallelSpec &parallel) {
  RankGrid grid;
  grid.dp = parallel.dp;
  grid.ep = parallel.ep;
  grid.tp = parallel.tp;
  grid.fsdp = parallel.fsdp;
  grid.sequenceParallel = parallel.sequenceParallel;
  grid.expertsOn = parallel.expertsOn;
  grid.exchange = parallel.exchange;
  return grid;
}

int main(int argc, char **argv) {
  if (argc < 2)
    return 2;
  std::ostringstream text;
  text << std::ifstream(argv[1]).rdbuf();
  ImportResult imported = importSpec(text.str());
  if (!imported.spec)
    return 2;
  RankGrid grid = gridOf(imported.spec->parallel);
  grid.nodeRanks = argc > 2 ? std::stoll(argv[2]) : 0;
  Counted routing;
  routing.tokensOf.resize(size_t(grid.ranks()));
  routing.rowsOf.resize(size_t(grid.ranks()),
                        std::vector<int64_t>(size_t(grid.ep)));
  for (int64_t &tokens : routing.tokensOf)
    std::cin >> tokens;
  for (std::vector<int64_t> &rows : routing.rowsOf)
    for (int64_t &count : rows)
      std::cin >> count;
  if (!std::cin)
    return 2;
  GridLayer layer = gridLayerOf(*imported.spec);
  for (int64_t rank = 0; rank < grid.ranks(); ++rank) {
    int64_t sent = 0, received = 0;
    for (const Traffic &one : exactBytes(layer, grid, routing, rank)) {
      sent += one.sent;
      received += one.received;
    }
    std::cout << sent << " " << received << "\n";
  }
}
