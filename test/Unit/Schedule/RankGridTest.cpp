//===- RankGridTest.cpp - Ranks and what each of them has -----------------===//
//
// Part of moe-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "GridTesting.h"

using namespace moe;

using Members = std::pair<int64_t, int64_t>;

TEST(RankGroup, Members) {
  RankGrid grid = gridOf(2, 3, 4);
  RankGroup tp(grid, kTp, 17), ep(grid, kEp, 17), dp(grid, kDp, 17);
  EXPECT_EQ(std::tuple(tp.base, tp.stride, tp.size, tp.self),
            std::tuple(16, 1, 4, 1));
  EXPECT_EQ(std::tuple(ep.base, ep.stride, ep.size, ep.self),
            std::tuple(13, 4, 3, 1));
  EXPECT_EQ(std::tuple(dp.base, dp.stride, dp.size, dp.self),
            std::tuple(5, 12, 2, 1));
  RankGroup tokens(grid, kDpEp, 17), world(grid, kWorld, 17);
  EXPECT_EQ(std::tuple(tokens.base, tokens.stride, tokens.size, tokens.self),
            std::tuple(1, 4, 6, 4));
  EXPECT_EQ(std::tuple(world.base, world.stride, world.size, world.self),
            std::tuple(0, 1, 24, 17));
}

TEST(RankGroup, MembersOnANode) {
  // Ranks 0, 2, 4, ..., 10, three or so on each node of 5.
  RankGrid grid = gridOf(1, 6, 2);
  EXPECT_EQ(RankGroup(grid, kEp, 4).onNode(5), Members(0, 3));
  EXPECT_EQ(RankGroup(grid, kEp, 6).onNode(5), Members(3, 5));
  EXPECT_EQ(RankGroup(grid, kEp, 10).onNode(5), Members(5, 6));
  EXPECT_EQ(RankGroup(grid, kEp, 4).onNode(0), Members(0, 6));
}

TEST(UniformRouting, IsEvenAndWhole) {
  GridLayer layer = smallLayer();
  for (int64_t tokens : {0, 1, 5, 7, 64, 1001})
    for (bool sequenceParallel : {false, true}) {
      RankGrid grid = gridOf(2, 2, 2);
      grid.sequenceParallel = sequenceParallel;
      UniformRouting routing(layer, grid, tokens);
      int64_t all = 0, first = 0;
      for (int64_t rank = 0; rank < 8; ++rank) {
        int64_t routed = routedTokens(grid, routing, rank);
        all += routing.tokens(rank);
        first += rank < 4 && rank % 2 == 0 ? routed : 0;
        EXPECT_LE(routing.tokens(rank), routing.tokens(0));
        EXPECT_EQ(routing.rows(rank, 0) + routing.rows(rank, 1), 2 * routed);
        EXPECT_LE(std::abs(routing.rows(rank, 0) - routing.rows(rank, 1)), 1);
      }
      EXPECT_EQ(all, sequenceParallel ? tokens : 2 * tokens);
      EXPECT_EQ(routing.groupTokens(), first);
    }
}
