//===- TrafficTest.cpp - What ranks send each other -----------------------===//
//
// Part of moe-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
// Numbers are counted by hand.

#include "GridTesting.h"

using namespace moe;

/// `NAME SENT/RECEIVED` of each collective.
static std::string sent(const GridLayer &layer, const RankGrid &grid,
                        const Routing &routing, int64_t rank) {
  std::string text;
  for (const Traffic &one : exactBytes(layer, grid, routing, rank))
    text += (text.empty() ? "" : "; ") + one.name + " " +
            std::to_string(one.sent) + "/" + std::to_string(one.received);
  return text;
}

static const Traffic *find(const std::vector<Traffic> &traffic,
                           std::string_view name) {
  for (const Traffic &one : traffic)
    if (one.name == name)
      return &one;
  return nullptr;
}

TEST(Traffic, OfOneRankIsNone) {
  CountedRouting routing;
  routing.tokensOf = {5};
  routing.rowsOf = {{10}};
  EXPECT_EQ(sent(smallLayer(), gridOf(1, 1, 1), routing, 0), "");
}

TEST(Traffic, OfExpertsAndParts) {
  CountedRouting routing;
  routing.tokensOf = {3, 3, 5, 5};
  routing.rowsOf = {{2, 4}, {2, 4}, {7, 3}, {7, 3}};
  // 24 bytes to 3 ranks; 4 counts, which the first adds up and sends; 2 counts;
  // 4 rows of 16 bytes; 7 rows back; 12 values.
  EXPECT_EQ(sent(smallLayer(), gridOf(1, 2, 2), routing, 0),
            "sizes 72/72; counts of all tokens 16/16; counts of rows 8/8; "
            "rows to experts 64/112; results to tokens 112/64; "
            "parts of sums 48/48");
  EXPECT_EQ(sent(smallLayer(), gridOf(1, 2, 2), routing, 3),
            "sizes 72/72; counts of all tokens 16/16; counts of rows 8/8; "
            "rows to experts 112/64; results to tokens 64/112; "
            "parts of sums 80/80");
  // Rows go as bf16 and come back as f32.
  EXPECT_EQ(sent(smallLayer(", \"dtype\": {\"activation\": \"bf16\"}"),
                 gridOf(1, 2, 2), routing, 0),
            "sizes 72/72; counts of all tokens 16/16; counts of rows 8/8; "
            "rows to experts 32/56; results to tokens 112/64; "
            "parts of sums 48/48");
  // Both as 4 bytes and two scales; as bf16, which rows were.
  EXPECT_EQ(sent(smallLayer(", \"dtype\": {\"activation\": \"bf16\"}, "
                            "\"parallel\": {\"wire\": \"int8\", "
                            "\"wire_block\": 3}"),
                 gridOf(1, 2, 1), routing, 0),
            "sizes 24/24; counts of all tokens 16/16; counts of rows 8/8; "
            "rows to experts 48/24; results to tokens 24/48");
  EXPECT_EQ(sent(smallLayer(", \"parallel\": {\"wire\": \"bf16\"}"),
                 gridOf(1, 2, 1), routing, 0),
            "sizes 24/24; counts of all tokens 16/16; counts of rows 8/8; "
            "rows to experts 32/16; results to tokens 16/32");
}

TEST(Traffic, OfSequences) {
  CountedRouting routing;
  routing.tokensOf = {1, 2, 5, 0};
  routing.rowsOf = {{2, 4}, {2, 4}, {7, 3}, {7, 3}};
  RankGrid grid = gridOf(1, 2, 2);
  grid.sequenceParallel = true;
  // The number of rows, 8 bytes, and a row of 16.
  EXPECT_EQ(sent(smallLayer(), grid, routing, 0),
            "sizes 72/72; tokens of the sequence 24/40; "
            "counts of all tokens 16/16; counts of rows 8/8; "
            "rows to experts 64/112; results to tokens 112/64; "
            "rows of the sequence 40/24");
  EXPECT_EQ(sent(smallLayer(), grid, routing, 3),
            "sizes 72/72; tokens of the sequence 8/88; "
            "counts of all tokens 16/16; counts of rows 8/8; "
            "rows to experts 112/64; results to tokens 64/112; "
            "rows of the sequence 88/8");
}

TEST(Traffic, OfSlicesThatAreShort) {
  CountedRouting routing;
  routing.tokensOf = {1, 1, 1, 1};
  routing.rowsOf = {{2}, {2}, {2}, {2}};
  GridLayer layer = layerOf("{\"hidden\": 4, \"router\": {\"experts\": 40, "
                            "\"top_k\": 2}, \"experts\": {\"intermediate\": "
                            "8}}");
  // Slices of 64, 64, 32 and no bytes.
  EXPECT_EQ(sent(layer, gridOf(4, 1, 1), routing, 0),
            "sizes 72/72; counts of all tokens 288/288");
  EXPECT_EQ(sent(layer, gridOf(4, 1, 1), routing, 2),
            "sizes 72/72; counts of all tokens 224/224");
  EXPECT_EQ(sent(layer, gridOf(4, 1, 1), routing, 3),
            "sizes 72/72; counts of all tokens 160/160");
}

TEST(Traffic, OfWeightsInShares) {
  CountedRouting routing;
  routing.tokensOf = {1, 1};
  routing.rowsOf = {{2}, {2}};
  RankGrid grid = gridOf(2, 1, 1);
  grid.fsdp = true;
  // That there is one row, and half of 4 x 4, of three times 4 x 8 x 4, and of
  // the biases but the router's, which is a vector.
  EXPECT_EQ(sent(smallLayer("", ", \"projection\": {\"bias\": true}",
                            ", \"bias\": true"),
                 grid, routing, 0),
            "sizes 24/24; router.weight 40/40; "
            "experts.gate.weight 264/264; experts.gate.bias 72/72; "
            "experts.up.weight 264/264; experts.up.bias 72/72; "
            "experts.down.weight 264/264; experts.down.bias 40/40; "
            "counts of all tokens 16/16");
  // Each rank has one expert: nothing to share but what all have.
  grid = gridOf(2, 4, 1);
  grid.fsdp = true;
  UniformRouting uniform(smallLayer(), grid, 8);
  std::vector<Traffic> traffic = exactBytes(smallLayer(), grid, uniform, 0);
  EXPECT_TRUE(find(traffic, "router.weight"));
  EXPECT_FALSE(find(traffic, "experts.gate.weight"));
}

TEST(Traffic, OfLosses) {
  CountedRouting routing;
  routing.tokensOf = {3, 1};
  routing.rowsOf = {{6}, {2}};
  // The number of rows; 4 logits of f32 or 2 indices for each token.
  EXPECT_EQ(sent(smallLayer(", \"losses\": {\"router_z\": 0.1}"),
                 gridOf(2, 1, 1), routing, 0),
            "sizes 24/24; logits 56/24; indices 32/16; "
            "counts of all tokens 16/16");
}

TEST(Traffic, OfSumsBeforeOtherOperations) {
  CountedRouting routing;
  routing.tokensOf = {3, 3};
  routing.rowsOf = {{6}, {6}};
  RankGrid grid = gridOf(1, 1, 2);
  auto sums = [&](const GridLayer &layer) {
    return sent(layer, grid, routing, 0)
        .substr(std::string("sizes 24/24; ").size());
  };
  EXPECT_EQ(sums(smallLayer()), "parts of sums 48/48");
  // Both are parts of one sum.
  EXPECT_EQ(sums(smallLayer(", \"shared\": {\"intermediate\": 8}")),
            "parts of sums 48/48");
  // The shared expert is whole on each rank.
  EXPECT_EQ(sums(smallLayer(", \"shared\": {\"intermediate\": 7}")),
            "parts of sums 48/48");
  // A projection of the sum, 2 wide; the shared expert has a sum of its own.
  EXPECT_EQ(sums(smallLayer("", "", ", \"latent\": 2")), "parts of sums 24/24");
  EXPECT_EQ(sums(smallLayer(", \"shared\": {\"intermediate\": 8}", "",
                            ", \"latent\": 2")),
            "parts of sums 24/24; parts of sums 48/48");
  // One rank adds tokens, before the sum.
  EXPECT_EQ(sums(smallLayer("", ", \"null_experts\": {\"count\": 2}")),
            "parts of sums 48/48");
  grid.sequenceParallel = true;
  // What is whole already goes back as it is: y in bf16.
  EXPECT_EQ(sums(smallLayer(", \"dtype\": {\"activation\": \"bf16\"}", "",
                            ", \"latent\": 2")),
            "tokens of the sequence 32/32; parts of sums 48/48; "
            "rows of the sequence 32/32");
}

TEST(Traffic, OfExpertsOnTp) {
  CountedRouting routing;
  routing.tokensOf = {3, 3};
  routing.rowsOf = {{6}, {6}};
  RankGrid grid = gridOf(1, 1, 2);
  grid.expertsOn = ExpertsOn::tp;
  EXPECT_EQ(sent(smallLayer(), grid, routing, 0),
            "sizes 24/24; parts of sums 48/48");
}

TEST(Traffic, OnNodes) {
  RankGrid grid = gridOf(1, 4, 1);
  grid.nodeRanks = 2;
  CountedRouting routing;
  routing.tokensOf = {5, 5, 5, 5};
  routing.rowsOf = {{1, 2, 3, 4}, {4, 3, 2, 1}, {0, 0, 0, 10}, {5, 5, 0, 0}};
  const GridLayer layer = smallLayer();
  auto toExperts = [&](int64_t rank) {
    return *find(exactBytes(layer, grid, routing, rank), "rows to experts");
  };
  EXPECT_EQ(toExperts(0).sent, (2 + 3 + 4) * 16);
  EXPECT_EQ(toExperts(0).sentOnNode, 2 * 16);
  grid.exchange = Exchange::point_to_point;
  EXPECT_EQ(toExperts(2).sent, 10 * 16);
  EXPECT_EQ(toExperts(2).messages, 1);
  // 4 sizes of 8 bytes to each other rank. Rank 0 gives rank 1 what is for 1
  // and 3, and sends to 2 what is for it from both of them.
  grid.exchange = Exchange::hierarchical;
  EXPECT_EQ(toExperts(0).sentOnNode, 32 + (2 + 4) * 16);
  EXPECT_EQ(toExperts(0).sent, 96 + (2 + 4 + 3 + 2) * 16);
  // It gets what rank 1 has for 0 and 2, and from 2 what 2 and 3 have for it.
  EXPECT_EQ(toExperts(0).received, 96 + (4 + 2 + 0 + 5) * 16);
  // Rank 0 sends its own, then what rank 3 has for 1 and 2, then what rank 2
  // has for 1; it gets what 3 has for all, 2 for 0 and 1, and 1 for 0.
  grid.exchange = Exchange::ring;
  EXPECT_EQ(toExperts(0).sent, 96 + (9 + (5 + 0) + 0) * 16);
  EXPECT_EQ(toExperts(0).sentOnNode, 32 + (9 + (5 + 0) + 0) * 16);
  EXPECT_EQ(toExperts(0).received, 96 + (10 + (0 + 0) + 4) * 16);
  EXPECT_EQ(toExperts(1).sentOnNode, 32);
}

TEST(Traffic, OnNodesThatDiffer) {
  // Members 0 to 2 are on one node, and 3 alone on another, which forwards to
  // all of the first.
  RankGrid grid = gridOf(1, 4, 1);
  grid.nodeRanks = 3;
  grid.exchange = Exchange::hierarchical;
  CountedRouting routing;
  routing.tokensOf = {5, 5, 5, 5};
  routing.rowsOf = {{1, 2, 3, 4}, {4, 3, 2, 1}, {0, 0, 0, 10}, {5, 5, 0, 0}};
  const GridLayer layer = smallLayer();
  auto toExperts = [&](int64_t rank) {
    return *find(exactBytes(layer, grid, routing, rank), "rows to experts");
  };
  // Rank 0 forwards to 3 what is on its node.
  EXPECT_EQ(toExperts(0).sentOnNode, 2 * 32 + (2 + 3) * 16);
  EXPECT_EQ(toExperts(0).sent, 96 + (2 + 3 + 4 + 1 + 10) * 16);
  EXPECT_EQ(toExperts(3).sent, 96 + 10 * 16);
  EXPECT_EQ(toExperts(3).received, 96 + 15 * 16);
}

/// What someone sends, someone gets.
TEST(Traffic, AllThatIsSentArrives) {
  std::mt19937 random(1);
  auto oneOf = [&](std::initializer_list<int64_t> sizes) {
    return sizes.begin()[random() % sizes.size()];
  };
  for (int round = 0; round < 400; ++round) {
    RankGrid grid =
        gridOf(oneOf({1, 2, 3}), oneOf({1, 2, 4, 8}), oneOf({1, 2, 4}));
    grid.fsdp = random() % 2;
    grid.sequenceParallel = random() % 2;
    grid.nodeRanks = oneOf({0, 2, 4, 6, 8});
    grid.exchange = Exchange(random() % 4);
    bool losses = random() % 2, bf16 = random() % 2, shared = random() % 2;
    GridLayer layer = layerOf(
        std::string("{\"hidden\": 12, \"router\": {\"experts\": 8, \"top_k\": "
                    "3}, \"experts\": {\"intermediate\": 8}") +
        (losses ? ", \"losses\": {\"importance\": 1}" : "") +
        (bf16 ? ", \"dtype\": {\"activation\": \"bf16\"}" : "") +
        (shared ? ", \"shared\": {\"intermediate\": 6}" : "") + "}");
    CountedRouting routing = anyRouting(grid, layer.slots, random);
    std::vector<int64_t> difference;
    int64_t all = 0;
    for (int64_t rank = 0; rank < grid.ranks(); ++rank) {
      std::vector<Traffic> traffic = exactBytes(layer, grid, routing, rank);
      difference.resize(traffic.size());
      for (size_t i = 0; i < traffic.size(); ++i) {
        const Traffic &one = traffic[i];
        difference[i] += one.sent - one.received;
        all += one.sent;
        EXPECT_GE(one.sent, one.sentOnNode) << one.name;
        EXPECT_GE(one.sentOnNode, 0) << one.name;
        EXPECT_GT(one.members, 1) << one.name;
      }
    }
    for (int64_t one : difference)
      EXPECT_EQ(one, 0);
    EXPECT_EQ(all > 0, grid.ranks() > 1);
  }
}
