//===- CostTest.cpp - What blocks and tokens cost -------------------------===//
//
// Part of moe-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Machines.h"

#include "moe/Schedule/Cost.h"

#include "gtest/gtest.h"

#include <cmath>

using namespace moe;

namespace {

struct Case {
  Machine machine;
  Ceilings ceilings;
  bool bf16;
};

const Case cases[] = {
    {machineOf("znver5", 16, 32), nominalCeilings("znver5", 1), true},
    {machineOf("sapphirerapids", 16, 32), nominalCeilings("sapphirerapids", 1),
     true},
    {machineOf("x86-64-v4", 16, 32), nominalCeilings("x86-64-v4", 1), false},
    {machineOf("x86-64-v3", 8, 16), nominalCeilings("x86-64-v3", 1), false}};
const Case &zen = cases[0];

/// With plain weights of the type computed with.
Product productOf(const Case &c, int64_t outputs, int64_t depth,
                  int64_t weights = 1) {
  Product product;
  product.bf16 = c.bf16;
  product.shape = {outputs, depth, weights};
  product.shape.xBytes = c.bf16 ? 2 : 4;
  product.shape.weightBits = 8 * product.shape.xBytes;
  product.blocks = chooseBlocks(c.machine, product.shape);
  product.weightBytes =
      double(outputs * depth * weights * product.shape.xBytes);
  return product;
}

double efficiencyOf(const Case &c, const Product &product, int64_t rows) {
  return efficiency(c.machine, c.ceilings, product, rows);
}

double forced(Product product, const char *blocks, int64_t rows = 960) {
  product.blocks = chooseBlocks(zen.machine, product.shape, blocks);
  return efficiencyOf(zen, product, rows);
}

} // namespace

TEST(Cost, NothingIsBetterThanThePeak) {
  for (const Case &c : cases)
    for (int64_t outputs : {1, 3, 17, 64, 2880})
      for (int64_t depth : {1, 3, 17, 100, 2880})
        for (int64_t rows : {1, 2, 3, 4, 33, 257, 10000}) {
          double share = efficiencyOf(c, productOf(c, outputs, depth), rows);
          EXPECT_GT(share, 0);
          EXPECT_LE(share, 1) << outputs << " " << depth << " " << rows;
        }
}

TEST(Cost, ManyRowsComeNearThePeak) {
  Product product = productOf(zen, 1024, 2048, 2);
  EXPECT_GT(efficiencyOf(zen, product, 960), 0.8);
  EXPECT_GT(efficiencyOf(zen, product, 960), efficiencyOf(zen, product, 1));
}

TEST(Cost, RowsThatFillNoTileCostMore) {
  Product product = productOf(zen, 1024, 2048);
  EXPECT_GT(efficiencyOf(zen, product, 3), efficiencyOf(zen, product, 2));
  EXPECT_GT(efficiencyOf(zen, product, 3), efficiencyOf(zen, product, 4));
}

TEST(Cost, ManyRowsShareTheDecoding) {
  Product plain = productOf(zen, 1024, 2048), decoded = plain;
  decoded.shape.decoded = true;
  decoded.shape.weightBits = 4;
  auto slower = [&](int64_t rows) {
    return efficiencyOf(zen, plain, rows) / efficiencyOf(zen, decoded, rows);
  };
  EXPECT_GT(slower(1), slower(12));
  EXPECT_GT(slower(12), slower(96));
  EXPECT_GT(slower(96), 1);
}

TEST(Cost, BlocksMatter) {
  Product product = productOf(zen, 2048, 14336, 2);
  double best = efficiencyOf(zen, product, 960);
  EXPECT_LT(forced(product, "depth=128"), 0.9 * best);   // many sums
  EXPECT_LT(forced(product, "depth=14336"), 0.9 * best); // past the caches
  EXPECT_LT(forced(product, "rows=960"), 0.9 * best);    // past the second
  EXPECT_LT(forced(product, "outs=16"), 0.97 * best);    // x read again
}

TEST(Cost, ChosenBlocksAreNearTheBest) {
  for (const Case &c : cases)
    for (auto [outputs, depth, weights] :
         {std::array<int64_t, 3>{1024, 2048, 2},
          {2048, 1024, 1},
          {768, 2048, 2},
          {2880, 2880, 2},
          {14336, 4096, 2},
          {4096, 14336, 1}}) {
      Product product = productOf(c, outputs, depth, weights);
      double chosen = efficiencyOf(c, product, 960), best = chosen;
      const Blocks blocks = product.blocks;
      for (int64_t chunk : {256, 512, 1024, 2048, 4096})
        for (int64_t rows : {12, 24, 48, 96, 192, 384})
          for (int64_t outs : {16, 32, 64, 128}) {
            product.blocks = {blocks.tileRows,
                              blocks.tileOutputs,
                              std::min(chunk, depth),
                              outs,
                              rows,
                              outs};
            best = std::max(best, efficiencyOf(c, product, 960));
          }
      EXPECT_GE(chosen, 0.9 * best)
          << outputs << " x " << depth << " " << printBlocks(blocks);
    }
}

TEST(Cost, CountsExpectedExperts) {
  Part part = {"up", 64, 8.0 / 64, productOf(zen, 1024, 2048, 2), 0};
  double each = part.product->weightBytes;
  for (int64_t tokens : {1, 4, 16, 100, 4096}) {
    Cost cost = predict(zen.machine, zen.ceilings, part, tokens);
    double experts = 64 * (1 - std::pow(1 - 8.0 / 64, double(tokens)));
    EXPECT_NEAR(cost.weightBytes, experts * each, 1e-9 * each);
    EXPECT_DOUBLE_EQ(cost.operations,
                     2.0 * double(tokens) * 8 * 1024 * 2048 * 2);
    EXPECT_DOUBLE_EQ(cost.memorySeconds,
                     cost.weightBytes / zen.ceilings.bandwidth);
    EXPECT_DOUBLE_EQ(cost.computeSeconds, cost.operations / zen.ceilings.bf16);
  }
}

TEST(Cost, NoPredictionBeatsTheRoofline) {
  for (const Case &c : cases)
    for (int64_t experts : {1, 4, 64})
      for (int64_t tokens : {1, 2, 16, 300, 5000, 1 << 20}) {
        Part part = {"up", experts, 1.0 / double(experts),
                     productOf(c, 1024, 2048), 10};
        Cost cost = predict(c.machine, c.ceilings, part, tokens);
        EXPECT_TRUE(std::isfinite(cost.seconds));
        EXPECT_GE(cost.seconds, cost.memorySeconds * (1 - 1e-6));
        EXPECT_GE(cost.seconds, cost.computeSeconds * (1 - 1e-6));
      }
}

TEST(Cost, MoreThreadsTakeLess) {
  Part part = {"up", 8, 0.25, productOf(zen, 1024, 2048), 0};
  auto seconds = [&](int64_t threads) {
    return predict(zen.machine, nominalCeilings("znver5", threads), part, 4096)
        .seconds;
  };
  EXPECT_GT(seconds(1), 1.9 * seconds(2));
  EXPECT_GT(seconds(2), seconds(16));
  // Past the number of tasks no thread helps.
  EXPECT_GT(seconds(1 << 16), 1e-6);
  EXPECT_LT(seconds(1), 2.1 * seconds(2));
}
