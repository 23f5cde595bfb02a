//===- GridTesting.h - Layers and routings for tests of grids ---*- C++ -*-===//
//
// Part of moe-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef MOE_UNIT_SCHEDULE_GRIDTESTING_H
#define MOE_UNIT_SCHEDULE_GRIDTESTING_H

#include "moe/Import/Import.h"
#include "moe/Schedule/GridPlan.h"

#include "gtest/gtest.h"

#include <random>

namespace moe {

inline GridLayer layerOf(const std::string &spec) {
  ImportResult result = importSpec(spec);
  EXPECT_TRUE(result.spec) << spec;
  return gridLayerOf(result.spec.value());
}

/// hidden 4, experts 4, two for a token, intermediate 8, f32.
inline GridLayer smallLayer(const std::string &more = "",
                            const std::string &router = "",
                            const std::string &experts = "") {
  return layerOf("{\"hidden\": 4, \"router\": {\"experts\": 4, \"top_k\": 2" +
                 router + "}, \"experts\": {\"intermediate\": 8" + experts +
                 "}" + more + "}");
}

/// 60 experts, 4 for a token, hidden 96, intermediate 48.
inline GridLayer mediumLayer(const std::string &more = "",
                             const std::string &router = "",
                             const std::string &experts = "") {
  return layerOf("{\"hidden\": 96, \"router\": {\"experts\": 60, \"top_k\": 4" +
                 router + "}, \"experts\": {\"intermediate\": 48" + experts +
                 "}, \"dtype\": {\"activation\": \"bf16\"}" + more + "}");
}

inline RankGrid gridOf(int64_t dp, int64_t ep, int64_t tp) {
  RankGrid grid;
  grid.dp = dp;
  grid.ep = ep;
  grid.tp = tp;
  return grid;
}

/// As it was counted.
struct CountedRouting : Routing {
  std::vector<int64_t> tokensOf;
  std::vector<std::vector<int64_t>> rowsOf;

  int64_t tokens(int64_t rank) const override { return tokensOf[rank]; }
  int64_t rows(int64_t rank, int64_t member) const override {
    return rowsOf[rank][member];
  }
};

/// Any tokens to anyone, also none, but alike where the grid says so.
inline CountedRouting anyRouting(const RankGrid &grid, int64_t slots,
                                 std::mt19937 &random) {
  auto upTo = [&](int64_t most) {
    return std::uniform_int_distribution<int64_t>(0, most)(random);
  };
  CountedRouting routing;
  for (int64_t rank = 0; rank < grid.ranks(); ++rank) {
    bool fresh = grid.sequenceParallel || rank % grid.tp == 0;
    routing.tokensOf.push_back(fresh ? upTo(1) * upTo(9)
                                     : routing.tokensOf.back());
  }
  for (int64_t rank = 0; rank < grid.ranks(); ++rank) {
    int64_t left = slots * routedTokens(grid, routing, rank);
    std::vector<int64_t> rows(grid.ep);
    for (int64_t &count : rows) {
      count = upTo(left);
      left -= count;
    }
    routing.rowsOf.push_back(rank % grid.tp ? routing.rowsOf.back() : rows);
  }
  return routing;
}

} // namespace moe

#endif // MOE_UNIT_SCHEDULE_GRIDTESTING_H
