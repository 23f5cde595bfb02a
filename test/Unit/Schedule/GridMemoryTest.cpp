//===- GridMemoryTest.cpp - What a rank keeps in memory -------------------===//
//
// Part of moe-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "GridTesting.h"

using namespace moe;

static int64_t bytesOf(const GridLayer &layer, std::string_view name) {
  for (const GridWeight &weight : layer.weights)
    if (weight.name == name)
      return weight.bytes;
  ADD_FAILURE() << "no " << name;
  return 0;
}

TEST(GridLayer, Weights) {
  GridLayer layer = mediumLayer(
      ", \"shared\": {\"intermediate\": 40, \"gate\": \"sigmoid\"}", "",
      ", \"bias\": true, \"quantization\": {\"kind\": \"int4\", \"block\": [1, "
      "16], \"zero_points\": true}");
  EXPECT_EQ(bytesOf(layer, "router.weight"), 60 * 96 * 2);
  EXPECT_EQ(bytesOf(layer, "experts.gate.weight"), 60 * 48 * 96 / 2);
  EXPECT_EQ(bytesOf(layer, "experts.gate.scales"), 60 * 48 * 6 * 4);
  EXPECT_EQ(bytesOf(layer, "experts.down.zeros"), 60 * 96 * 3);
  EXPECT_EQ(bytesOf(layer, "experts.down.bias"), 60 * 96 * 4);
  EXPECT_EQ(bytesOf(layer, "shared.down.weight"), 40 * 96 * 2);
  EXPECT_EQ(bytesOf(layer, "shared.gate.weight"), 96 * 2);
  // Parts of the depth of `down` are whole blocks of 16.
  EXPECT_EQ(layer.unit, 16);
  EXPECT_EQ(layer.rowOperations, 6.0 * 48 * 96);
  EXPECT_EQ(layer.rowsPerToken, 4);
}

TEST(GridMemory, ByHand) {
  GridLayer layer = smallLayer();
  // 4 x 4 of the router and 3 x 4 x 8 x 4 of experts, f32.
  EXPECT_EQ(memoryOf(layer, gridOf(1, 1, 1), 1, 6).weights, 64 + 1536);
  EXPECT_EQ(memoryOf(layer, gridOf(1, 2, 2), 1, 6).weights, 64 + 1536 / 4);
  EXPECT_EQ(memoryOf(layer, gridOf(1, 2, 2), 3, 6).weights,
            3 * (64 + 1536 / 4));
  // For each of 6 tokens x and y, 4 logits, 2 places of 12 bytes, the sum of
  // its rows; of each of 12 rows what goes in, is in the middle and comes out.
  GridMemory memory = memoryOf(layer, gridOf(1, 1, 1), 1, 6);
  EXPECT_EQ(memory.worst, 6 * (32 + 16 + 24 + 16) + 12 * (16 + 32 + 16));
  EXPECT_EQ(memory.expected, memory.worst);
  // Of 3 tokens 6 rows go and come back; 12 may arrive, and 6 do.
  memory = memoryOf(layer, gridOf(1, 2, 1), 1, 6);
  int64_t fixed = 3 * (32 + 16 + 24 + 16) + 6 * 32;
  int64_t row = 16 + 32 + 32 + 12;
  EXPECT_EQ(memory.worst, fixed + 12 * row);
  EXPECT_EQ(memory.expected, fixed + 6 * row);
  // Shares of the weights, which the workspace has whole.
  RankGrid grid = gridOf(2, 1, 1);
  grid.fsdp = true;
  int64_t plain = memoryOf(layer, gridOf(2, 1, 1), 1, 6).worst;
  EXPECT_EQ(memoryOf(layer, grid, 1, 6).weights, (64 + 1536) / 2);
  EXPECT_EQ(memoryOf(layer, grid, 1, 6).worst, plain + 64 + 1536);
  // With a capacity no more than its experts have room for: 2 experts x 2
  // senders x 1 row.
  GridLayer limited =
      smallLayer(", \"capacity\": {\"tokens\": 1, \"scope\": \"local\"}");
  memory = memoryOf(limited, gridOf(1, 2, 1), 1, 6);
  EXPECT_EQ(memory.worst, fixed + 4 * row);
}
