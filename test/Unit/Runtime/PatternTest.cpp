//===- PatternTest.cpp - Rows from all to all -----------------------------===//
//
// Part of moe-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
// Every pattern and mode gives what moving row by row would.
//
//===----------------------------------------------------------------------===//

#include "Ranks.h"

using namespace moe::runtime;
using namespace moe::test;

namespace {
/// Counts between all pairs, and what each rank has and gets.
struct Plan {
  int32_t size;
  int64_t places, row;
  std::vector<int32_t> counts; ///< [from][to][place]
  std::vector<std::vector<int32_t>> send, expected;
  std::vector<std::vector<int32_t>> sendCounts, receiveCounts;

  int32_t &count(int32_t from, int32_t to, int64_t place) {
    return counts[static_cast<size_t>((from * size + to) * places + place)];
  }
  int32_t most() {
    int32_t out = 0;
    for (int32_t from = 0; from < size; ++from)
      for (int32_t to = 0; to < size; ++to) {
        int32_t total = 0;
        for (int64_t place = 0; place < places; ++place)
          total += count(from, to, place);
        out = std::max(out, total);
      }
    return out;
  }
  /// Every number says where it comes from and where it goes.
  void fill() {
    send.resize(static_cast<size_t>(size));
    expected = sendCounts = receiveCounts = send;
    for (int32_t from = 0; from < size; ++from)
      for (int32_t to = 0; to < size; ++to)
        for (int64_t place = 0; place < places; ++place) {
          sendCounts[from].push_back(count(from, to, place));
          for (int64_t i = 0; i < count(from, to, place) * row; ++i)
            send[from].push_back(static_cast<int32_t>(
                (int64_t(from * 8 + to) * 8 + place) * 10000 + i));
        }
    for (int32_t to = 0; to < size; ++to)
      for (int32_t from = 0; from < size; ++from)
        for (int64_t place = 0; place < places; ++place) {
          receiveCounts[to].push_back(count(from, to, place));
          for (int64_t i = 0; i < count(from, to, place) * row; ++i)
            expected[to].push_back(static_cast<int32_t>(
                (int64_t(from * 8 + to) * 8 + place) * 10000 + i));
        }
  }
};
} // namespace

static Plan randomPlan(int32_t size, int64_t row, Numbers &numbers) {
  Plan plan;
  plan.size = size;
  plan.row = row;
  plan.places = 1 + numbers.below(3);
  plan.counts.resize(static_cast<size_t>(plan.places) * size * size);
  int64_t kind = numbers.below(4);
  int32_t only = static_cast<int32_t>(numbers.below(size));
  for (int32_t from = 0; from < size; ++from)
    for (int32_t to = 0; to < size; ++to)
      for (int64_t place = 0; place < plan.places; ++place) {
        bool some = kind == 0   ? to == only
                    : kind == 1 ? from != only
                                : numbers.below(3) != 0;
        plan.count(from, to, place) =
            some ? static_cast<int32_t>(numbers.below(30)) : 0;
      }
  plan.fill();
  return plan;
}

static void checkPlan(Ranks &ranks, const Plan &plan, Collective collective) {
  ranks.run([&](moe_world &world) {
    size_t self = static_cast<size_t>(world.rank());
    Exchange exchange = makeExchange(world, collective);
    std::vector<int32_t> receive(plan.expected[self].size(), -1);
    EXPECT_MOE_OK(exchange.run(
        0, plan.send[self].data(), receive.data(),
        static_cast<int64_t>(plan.send[self].size()) / plan.row,
        plan.sendCounts[self].data(), plan.receiveCounts[self].data()));
    EXPECT_EQ(plan.expected[self], receive)
        << name(collective.pattern) << ' ' << name(collective.mode) << " on "
        << self << " of " << world.size();
  });
}

static constexpr Pattern allPatterns[] = {Pattern::allToAll,
                                          Pattern::pointToPoint,
                                          Pattern::hierarchical, Pattern::ring};

TEST(PatternTest, AllPatternsAndModes) {
  Numbers numbers(3);
  for (int32_t size = 1; size <= 8; ++size)
    for (int32_t nodeRanks : {1, 2, 3, 4}) {
      RanksOptions options;
      options.nodeRanks = nodeRanks;
      Ranks ranks(size, options);
      for (int seed = 0; seed < 3; ++seed) {
        Plan plan = randomPlan(size, 1 + numbers.below(5), numbers);
        for (Pattern pattern : allPatterns) {
          if (nodeRanks > 1 && pattern != Pattern::hierarchical)
            continue;
          Collective collective =
              makeCollective(CollectiveKind::allToAllV, MOE_I32, plan.row);
          collective.places = plan.places;
          collective.pattern = pattern;
          checkPlan(ranks, plan, collective);
          collective.mode = Mode::padded;
          collective.bound = plan.most();
          checkPlan(ranks, plan, collective);
        }
      }
    }
}

TEST(PatternTest, LargePiecesAreCopiedInParts) {
  Numbers numbers(4);
  for (int32_t size : {2, 3}) {
    Ranks ranks(size);
    Plan plan = randomPlan(size, 9000, numbers);
    for (Pattern pattern : allPatterns) {
      Collective collective =
          makeCollective(CollectiveKind::allToAllV, MOE_I32, plan.row);
      collective.places = plan.places;
      collective.pattern = pattern;
      checkPlan(ranks, plan, collective);
    }
  }
}

TEST(PatternTest, EqualBlocks) {
  for (int32_t size = 1; size <= 8; ++size)
    for (Pattern pattern : allPatterns) {
      RanksOptions options;
      options.nodeRanks = 2;
      Ranks ranks(size, options);
      ranks.run([&](moe_world &world) {
        Collective collective =
            makeCollective(CollectiveKind::allToAll, MOE_I32, 2);
        collective.pattern = pattern;
        Exchange exchange = makeExchange(world, collective);
        std::vector<int32_t> send, expected;
        for (int32_t other = 0; other < size; ++other)
          for (int32_t i = 0; i < 6; ++i) {
            send.push_back((world.rank() * 10 + other) * 10 + i);
            expected.push_back((other * 10 + world.rank()) * 10 + i);
          }
        std::vector<int32_t> receive(send.size());
        EXPECT_MOE_OK(exchange.run(0, send.data(), receive.data(),
                                   int64_t(size) * 3, nullptr, nullptr));
        EXPECT_EQ(expected, receive) << name(pattern) << " of " << size;
      });
    }
}

TEST(PatternTest, BytesAreCounted) {
  Ranks ranks(4);
  ranks.run([&](moe_world &world) {
    Collective collective =
        makeCollective(CollectiveKind::allToAllV, MOE_F32, 8);
    Collective sum = makeCollective(CollectiveKind::allReduce, MOE_F32);
    collective.mode = Mode::exact;
    Exchange exchange(world, {1, 4, 1}, {collective, sum});
    std::vector<int32_t> counts = {1, 2, 3, 4};
    std::vector<int32_t> received(4, world.rank() + 1);
    std::vector<float> send(80), receive(128);
    EXPECT_MOE_OK(exchange.run(0, send.data(), receive.data(), 10,
                               counts.data(), received.data()));
    moe_world_statistics statistics;
    ASSERT_MOE_OK(moe_world_get_statistics(&world, &statistics));
    EXPECT_EQ(1u, statistics.operations);
    EXPECT_EQ(32u * (10 - (world.rank() + 1)), statistics.sent_bytes);
    EXPECT_EQ(32u * 3 * (world.rank() + 1), statistics.received_bytes);
    uint64_t before = statistics.sent_bytes;
    EXPECT_MOE_OK(
        exchange.run(1, send.data(), send.data(), 64, nullptr, nullptr));
    ASSERT_MOE_OK(moe_world_get_statistics(&world, &statistics));
    // Three slices to their members, the sum of its own to three.
    EXPECT_EQ(64u * 3 + 64 * 3, statistics.sent_bytes - before);
    EXPECT_GE(statistics.waited_seconds, 0);
  });
}

TEST(PatternTest, CountsThatDoNotFit) {
  struct Case {
    std::vector<int32_t> send;
    int64_t rows;
    Mode mode;
    const char *message;
  };
  const Case cases[] = {
      {{1, -1}, 4, Mode::exact, "found a count of -1 rows"},
      {{3, 3}, 4, Mode::exact, "counts say 6 rows, there are 4"},
      {{1, 3},
       4,
       Mode::padded,
       "all_to_all_v 'test' over ep: rank 0 sends rank 1 12 bytes, expected at "
       "most 8"}};
  for (const Case &wrong : cases) {
    Ranks ranks(2);
    ranks.run([&](moe_world &world) {
      Collective collective =
          makeCollective(CollectiveKind::allToAllV, MOE_F32);
      collective.mode = wrong.mode;
      collective.bound = 2;
      Exchange exchange = makeExchange(world, collective);
      std::vector<int32_t> fine = {1, 1};
      std::vector<float> send(8), receive(8);
      bool first = world.rank() == 0;
      EXPECT_STATUS(MOE_OP_MISMATCH,
                    exchange.run(0, send.data(), receive.data(), wrong.rows,
                                 first ? wrong.send.data() : fine.data(),
                                 fine.data()),
                    wrong.message);
    });
  }
}
