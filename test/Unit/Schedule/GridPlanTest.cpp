//===- GridPlanTest.cpp - How to place a layer on many devices ------------===//
//
// Part of moe-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "GridTesting.h"

#include <ctime>

using namespace moe;

static Cluster clusterOf(int64_t devices, int64_t nodes, int64_t memory) {
  Cluster cluster;
  cluster.devices = devices;
  cluster.nodes = nodes;
  cluster.memory = memory;
  cluster.flops = 1e15;
  cluster.bandwidth = 3e12;
  cluster.intra = {9e11, 3e-6};
  cluster.inter = {5e10, 1e-5};
  return cluster;
}

static const Exclusion *find(const GridPlan &plan, Reason reason) {
  for (const Exclusion &exclusion : plan.exclusions)
    if (exclusion.reason == reason)
      return &exclusion;
  return nullptr;
}

TEST(GridPlan, OneDevice) {
  GridPlan plan = planGrid(smallLayer(), clusterOf(1, 1, 1 << 20), 6);
  ASSERT_EQ(plan.candidates.size(), 1u);
  const Candidate &only = plan.candidates.front();
  EXPECT_TRUE(only.traffic.empty());
  EXPECT_EQ(only.sent(), 0);
  EXPECT_EQ(only.rows, 12);
  // The router, and three products for each row.
  EXPECT_EQ(only.operations, 6 * 2 * 16 + 12 * 2 * 96);
}

TEST(GridPlan, InsufficientMemory) {
  GridLayer layer = mediumLayer();
  int64_t all = layer.weightBytes();
  GridPlan plan = planGrid(layer, clusterOf(4, 1, all / 8), 64);
  EXPECT_TRUE(plan.candidates.empty());
  const Exclusion *memory = find(plan, Reason::memory);
  ASSERT_TRUE(memory);
  EXPECT_GT(memory->leastMemory.needed(), all / 8);
  EXPECT_GE(memory->most, memory->leastMemory.needed());

  EXPECT_GT(plan.enoughDevices, 4);
  EXPECT_EQ(planGrid(layer, clusterOf(4, 1, 1000), 64).enoughDevices, 0);
}

/// What is said to be enough is, and less, of whole nodes, is not.
TEST(GridPlan, EnoughDevices) {
  GridLayer layer = mediumLayer();
  int asked = 0;
  for (int64_t node : {1, 4, 6, 7})
    for (int64_t part : {2, 3, 5, 8}) {
      int64_t memory = layer.weightBytes() / part + 20000;
      GridPlan nothing = planGrid(layer, clusterOf(node, 1, memory), 4);
      if (!nothing.candidates.empty())
        continue;
      auto fits = [&](int64_t devices) {
        int64_t nodes = devices < node ? 1 : devices / node;
        GridPlan plan = planGrid(layer, clusterOf(devices, nodes, memory), 4);
        return !plan.candidates.empty() && !plan.tpAcrossNodes;
      };
      int64_t least = 1;
      while (least < 500 && ((least > node && least % node) || !fits(least)))
        ++least;
      EXPECT_EQ(nothing.enoughDevices, least) << node << " " << part;
      ++asked;
    }
  EXPECT_GT(asked, 5);
}

TEST(GridPlan, TpStaysOnANodeUnlessNothingElseIsPossible) {
  // One expert, of which a rank has room for a third.
  GridLayer layer =
      layerOf("{\"hidden\": 256, \"router\": {\"experts\": 1, \"top_k\": 1}, "
              "\"experts\": {\"intermediate\": 256}}");
  int64_t third = layer.weightBytes() / 3;
  GridPlan plan = planGrid(layer, clusterOf(4, 2, third), 4);
  EXPECT_TRUE(plan.tpAcrossNodes);
  ASSERT_FALSE(plan.candidates.empty());
  EXPECT_EQ(plan.candidates.front().grid.tp, 4);
  EXPECT_TRUE(find(plan, Reason::memory));
  plan = planGrid(mediumLayer(), clusterOf(4, 2, 1 << 30), 64);
  EXPECT_FALSE(plan.tpAcrossNodes);
  EXPECT_TRUE(find(plan, Reason::node));
}

TEST(GridPlan, MoreMemoryForWeightsInShares) {
  GridLayer layer = mediumLayer();
  Cluster cluster = clusterOf(4, 1, 1 << 30);
  cluster.layers = 1000;
  GridPlan plan = planGrid(layer, cluster, 64);
  for (const Candidate &candidate : plan.candidates) {
    RankGrid plain = candidate.grid;
    plain.fsdp = false;
    if (candidate.grid.fsdp) {
      EXPECT_LT(candidate.memory.weights,
                memoryOf(layer, plain, 1000, 64).weights);
    }
  }
}

TEST(GridPlan, Reasons) {
  struct Case {
    Reason reason;
    GridLayer layer;
  };
  for (const Case &one :
       {Case{Reason::world, mediumLayer()},
        {Reason::experts, mediumLayer()},
        {Reason::expertsOnTp, mediumLayer()},
        {Reason::intermediate,
         mediumLayer("", "",
                     ", \"quantization\": {\"kind\": \"int4\", \"block\": [1, "
                     "16]}")},
        {Reason::shared,
         mediumLayer(", \"shared\": {\"intermediate\": 64, \"quantization\": "
                     "{\"kind\": \"int8\", \"block\": [1, 32]}}")},
        {Reason::fsdp, mediumLayer()},
        {Reason::node, mediumLayer()}}) {
    GridPlan plan = planGrid(one.layer, clusterOf(64, 8, 1 << 30), 256);
    SCOPED_TRACE(name(one.reason));
    const Exclusion *found = find(plan, one.reason);
    ASSERT_TRUE(found);
    EXPECT_GT(found->count, 0);
    EXPECT_FALSE(found->sizes.empty());
  }
}

/// Every grid is a candidate or excluded, for the reason that is said.
TEST(GridPlan, CoversAllGrids) {
  std::mt19937 random(7);
  auto upTo = [&](int64_t most) { return int64_t(random() % most) + 1; };
  for (int round = 0; round < 150; ++round) {
    int64_t nodes = upTo(4), devices = nodes * upTo(8);
    GridLayer layer =
        mediumLayer(random() % 2 ? ", \"shared\": {\"intermediate\": 20}" : "",
                    random() % 4 ? "" : ", \"load_balancing\": \"load_aware\"");
    int64_t bytes = layer.weightBytes();
    Cluster cluster = clusterOf(devices, nodes, bytes * upTo(20) / 10);
    int64_t tokens = upTo(2000);
    GridPlan plan = planGrid(layer, cluster, tokens);

    int64_t grids = 0, excluded = 0, impossible = 0;
    for (int64_t dp = 1; dp <= devices; ++dp)
      for (int64_t ep = 1; dp * ep <= devices; ++ep) {
        if (devices % (dp * ep))
          continue;
        bool hasTp = dp * ep < devices;
        int64_t choices = dp > 1 ? 2 : 1;    // fsdp
        choices *= hasTp ? 2 : 1;            // sequence parallelism
        choices *= hasTp && ep == 1 ? 2 : 1; // experts on tp
        grids += choices;
      }
    for (const Exclusion &exclusion : plan.exclusions) {
      excluded += exclusion.count;
      impossible += exclusion.reason == Reason::world ? exclusion.count : 0;
      // What each of its sizes does not divide.
      int64_t whole = exclusion.reason == Reason::world  ? devices
                      : exclusion.reason == Reason::node ? devices / nodes
                      : exclusion.reason == Reason::intermediate
                          ? layer.intermediate
                          : layer.experts;
      bool divides = exclusion.reason == Reason::fsdp;
      for (int64_t size : exclusion.sizes)
        EXPECT_TRUE(divides || whole % size) << name(exclusion.reason);
      if (exclusion.reason == Reason::memory) {
        EXPECT_GT(exclusion.leastMemory.needed(), cluster.memory);
      }
    }
    EXPECT_EQ(int64_t(plan.candidates.size()) + excluded - impossible, grids);

    double last = 0;
    for (const Candidate &candidate : plan.candidates) {
      const RankGrid &grid = candidate.grid;
      EXPECT_EQ(grid.ranks(), devices);
      EXPECT_LE(candidate.memory.needed(), cluster.memory);
      EXPECT_LE(candidate.memory.expected, candidate.memory.worst);
      EXPECT_FALSE(violated(layer, cluster, grid, plan.tpAcrossNodes));
      EXPECT_GE(candidate.total, last);
      last = candidate.total;
      double sum = 0;
      for (double seconds : candidate.seconds)
        sum += seconds;
      EXPECT_EQ(sum, candidate.total);
      for (auto [exchange, seconds] : candidate.exchanges)
        EXPECT_LE(candidate.total, seconds);
    }
  }
}

/// More tokens are never less of anything.
TEST(GridPlan, IsMonotonicInTokens) {
  GridLayer layer = mediumLayer(", \"losses\": {\"router_z\": 1}");
  std::mt19937 random(3);
  auto oneOf = [&](std::initializer_list<int64_t> sizes) {
    return sizes.begin()[random() % sizes.size()];
  };
  for (int round = 0; round < 60; ++round) {
    RankGrid grid =
        gridOf(oneOf({1, 2, 3}), oneOf({1, 2, 4, 6}), oneOf({1, 2, 4}));
    grid.fsdp = grid.dp > 1 && random() % 2;
    grid.sequenceParallel = grid.tp > 1 && random() % 2;
    grid.exchange = Exchange(random() % 4);
    Cluster cluster = clusterOf(grid.ranks(), 1, 1 << 30);
    grid.nodeRanks = cluster.nodeDevices();
    int64_t sent = 0, worst = 0, rows = 0;
    double total = 0;
    for (int64_t tokens : {0, 1, 2, 3, 5, 8, 13, 64, 65, 100, 1000, 1001}) {
      Candidate one = predictGrid(layer, cluster, grid, tokens);
      EXPECT_GE(one.sent(), sent) << tokens;
      EXPECT_GE(one.memory.worst, worst) << tokens;
      EXPECT_GE(one.rows, rows) << tokens;
      EXPECT_GE(one.total, total) << tokens;
      sent = one.sent();
      worst = one.memory.worst;
      rows = one.rows;
      total = one.total;
    }
    EXPECT_GT(total, 0);
  }
}

/// Links and devices that are faster are never slower.
TEST(GridPlan, FasterDevices) {
  GridLayer layer = mediumLayer();
  Cluster slow = clusterOf(16, 2, 1 << 30), fast = slow;
  fast.inter.bandwidth *= 10;
  fast.flops *= 10;
  EXPECT_LE(planGrid(layer, fast, 4096).candidates.front().total,
            planGrid(layer, slow, 4096).candidates.front().total);
}

TEST(GridPlan, RowsInChunksTravelBesideExperts) {
  GridLayer layer = mediumLayer(", \"shared\": {\"intermediate\": 48}");
  Cluster cluster = clusterOf(4, 1, 1 << 30);
  cluster.flops = 1e11;
  RankGrid grid = gridOf(1, 4, 1);
  auto predict = [&](int64_t chunks, double bandwidth) {
    layer.chunks = chunks;
    cluster.intra.bandwidth = bandwidth;
    return predictGrid(layer, cluster, grid, 4096);
  };
  auto seconds = [](const Candidate &candidate, GridStep step) {
    return candidate.seconds[int(step)];
  };
  for (double bandwidth : {1e8, 1e9, 1e11}) {
    Candidate one = predict(1, bandwidth);
    EXPECT_EQ(one.hidden, 0);
    for (int64_t chunks : {2, 5, 15}) {
      Candidate many = predict(chunks, bandwidth);
      EXPECT_EQ(many.sent(), one.sent());
      double sum = 0;
      for (double step : many.seconds)
        sum += step;
      EXPECT_NEAR(many.total, sum - many.hidden, 1e-12);
      EXPECT_GT(many.hidden, 0);
      // Neither links nor experts are faster than they are.
      EXPECT_GT(many.total, seconds(one, GridStep::experts));
      EXPECT_GT(many.total,
                seconds(one, GridStep::back) + seconds(one, GridStep::router));
    }
  }
  // Slow links hide the shared expert, and all others but for one chunk.
  Candidate slow = predict(2, 1e6);
  double part = slow.hidden / seconds(slow, GridStep::experts);
  EXPECT_GT(part, 0.5);
  EXPECT_LT(part, 0.75);
  // No more chunks than experts, and none of steps.
  EXPECT_EQ(chunksOf(layer, gridOf(1, 60, 1)), 1);
  EXPECT_EQ(chunksOf(layer, grid), 2);
  grid.exchange = Exchange::ring;
  EXPECT_EQ(predict(2, 1e9).hidden, 0);
  grid.exchange = Exchange::all_to_all;
  layer.chunks = 1;
  std::vector<int64_t> numbers;
  for (auto [number, time] : predictChunks(layer, cluster, grid, 4096)) {
    numbers.push_back(number);
    EXPECT_GT(time, 0);
  }
  EXPECT_EQ(numbers, (std::vector<int64_t>{1, 2, 4, 8}));
}

TEST(GridPlan, SixteenThousandDevicesInASecond) {
  GridLayer layer = layerOf(
      "{\"hidden\": 7168, \"router\": {\"experts\": 256, \"top_k\": 8}, "
      "\"experts\": {\"intermediate\": 2048}, \"shared\": {\"intermediate\": "
      "2048}, \"losses\": {\"load_balance\": 0.01}, \"dtype\": "
      "{\"activation\": \"bf16\"}}");
  for (int64_t devices : {16384, 15120}) { // powers of two, and many divisors
    for (int64_t memory : {int64_t(80) << 30, int64_t(1) << 20}) {
      std::clock_t start = std::clock();
      GridPlan plan =
          planGrid(layer, clusterOf(devices, devices / 8, memory), 1 << 24);
      EXPECT_LT(double(std::clock() - start) / CLOCKS_PER_SEC, 1.0);
      EXPECT_EQ(plan.candidates.empty(), memory < int64_t(1) << 30);
    }
  }
}
