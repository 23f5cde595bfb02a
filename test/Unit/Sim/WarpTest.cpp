//===- WarpTest.cpp - What lanes and blocks tell each other ---------------===//
//
// Part of moe-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Kernel.h"

#include <gtest/gtest.h>

using namespace simtest;

namespace {

constexpr uint32_t everyone = ~0u;

/// What each of 32 lanes gets.
std::vector<uint64_t> lanes(const std::function<uint64_t(unsigned)> &body,
                            unsigned threads = 32) {
  std::vector<uint64_t> all(threads);
  int status = runToEnd(threads, [&] { all[thread()] = body(thread()); });
  EXPECT_EQ(status, 0) << moe_sim_report();
  return all;
}

TEST(Warp, Shuffles) {
  enum { Butterfly, Up, Down, Index };
  uint64_t valid = uint64_t(1) << 32;
  auto butterfly = lanes([](unsigned lane) {
    return moe_sim_shuffle(Butterfly, everyone, lane * 10, 5, 31, 0);
  });
  auto up = lanes([](unsigned lane) {
    return moe_sim_shuffle(Up, everyone, lane * 10, 3, 0, 0);
  });
  auto down = lanes([](unsigned lane) {
    return moe_sim_shuffle(Down, everyone, lane * 10, 3, 31, 0);
  });
  // Segments of eight lanes: the mask of segments is 24.
  auto index = lanes([](unsigned lane) {
    return moe_sim_shuffle(Index, everyone, lane * 10, 2, 24 << 8 | 7, 0);
  });
  for (uint64_t lane = 0; lane < 32; ++lane) {
    EXPECT_EQ(butterfly[lane], valid | (lane ^ 5) * 10);
    EXPECT_EQ(up[lane], lane < 3 ? lane * 10 : valid | (lane - 3) * 10);
    EXPECT_EQ(down[lane], lane > 28 ? lane * 10 : valid | (lane + 3) * 10);
    EXPECT_EQ(index[lane], valid | (lane / 8 * 8 + 2) * 10);
  }
}

TEST(Warp, VotesReductionsAndMatches) {
  enum { Any, All, Ballot, Uniform };
  auto ballot = lanes([](unsigned lane) {
    return moe_sim_vote(Ballot, everyone, lane % 3 == 0, 0);
  });
  auto all = lanes(
      [](unsigned lane) { return moe_sim_vote(All, everyone, lane != 7, 0); });
  auto uniform =
      lanes([](unsigned) { return moe_sim_vote(Uniform, everyone, 0, 0); });
  auto sum = lanes([](unsigned lane) {
    return moe_sim_reduce(/*add*/ 1, everyone, lane, 0);
  });
  auto least = lanes([](unsigned lane) {
    return moe_sim_reduce(/*min*/ 4, everyone, lane - 5, 0);
  });
  auto same = lanes([](unsigned lane) {
    return moe_sim_match(/*any*/ 0, everyone, lane % 2, 0);
  });
  for (unsigned lane = 0; lane < 32; ++lane) {
    EXPECT_EQ(ballot[lane], 0x49249249u);
    EXPECT_EQ(all[lane], 0u);
    EXPECT_EQ(uniform[lane], 1u);
    EXPECT_EQ(sum[lane], 496u);
    EXPECT_EQ(uint32_t(least[lane]), uint32_t(-5));
    EXPECT_EQ(uint32_t(same[lane]), lane % 2 ? 0xaaaaaaaau : 0x55555555u);
  }
}

TEST(Warp, ElectsOneAndTheSameAgain) {
  auto twice = lanes([](unsigned) {
    uint32_t first = moe_sim_elect(everyone, 0);
    return uint64_t(first) << 32 | moe_sim_elect(everyone, 0);
  });
  unsigned elected = 0;
  for (uint64_t each : twice) {
    EXPECT_EQ(each >> 32, each & 1);
    elected += each & 1;
  }
  EXPECT_EQ(elected, 1u);
}

TEST(Warp, LanesThatHaveEndedAreNotWaitedFor) {
  std::vector<uint32_t> ballots(32);
  int status = runToEnd(32, [&] {
    if (thread() >= 20)
      return;
    ballots[thread()] = moe_sim_vote(2, everyone, 1, 0);
    moe_sim_barrier(0, -1, 0);
  });
  ASSERT_EQ(status, 0) << moe_sim_report();
  for (unsigned lane = 0; lane < 20; ++lane)
    EXPECT_EQ(ballots[lane], 0xfffffu);
}

TEST(Block, ReducesAtBarriers) {
  auto counts = lanes(
      [](unsigned t) { return moe_sim_barrier_reduce(0, -1, 0, t < 45, 0); },
      96);
  auto any = lanes(
      [](unsigned t) { return moe_sim_barrier_reduce(0, -1, 2, t == 95, 0); },
      96);
  for (unsigned t = 0; t < 96; ++t) {
    EXPECT_EQ(counts[t], 45u);
    EXPECT_EQ(any[t], 1u);
  }
}

/// Warps that do not take part in a barrier of others go on.
TEST(Block, BarriersOfSomeWarps) {
  std::vector<unsigned> order;
  int status = runToEnd(96, [&] {
    unsigned warp = thread() / 32;
    if (warp < 2)
      moe_sim_barrier(3, 64, 0);
    order.push_back(warp);
  });
  ASSERT_EQ(status, 0) << moe_sim_report();
  EXPECT_EQ(order.size(), 96u);
}

} // namespace
