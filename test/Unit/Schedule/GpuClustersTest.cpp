//===- GpuClustersTest.cpp - When blocks share what they read -------------===//
//
// Part of moe-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "moe/Schedule/GpuClusters.h"

#include "gtest/gtest.h"

using namespace moe;

TEST(GpuClusters, PayFromSomeRowsOn) {
  // Two thirds of the bytes are left of a tile of 128 by 256.
  EXPECT_EQ(rowsForClusters({128, 256, 64, 2}), 256);
  // Codes have twice the depth in a step, and are multiplied twice as fast.
  EXPECT_EQ(rowsForClusters({128, 256, 128, 1}), 256);
  // Three quarters.
  EXPECT_EQ(rowsForClusters({128, 128, 64, 2}), 896);
}

TEST(GpuClusters, DoNotPayWhereTheWeightsAreFew) {
  EXPECT_EQ(rowsForClusters({128, 64, 64, 2}), std::nullopt);
  EXPECT_EQ(rowsForClusters({128, 8, 64, 2}), std::nullopt);
}

TEST(GpuClusters, PayLaterTheFewerWeightsThereAre) {
  std::optional<int64_t> before;
  for (int64_t outputs = 256; outputs > 0; outputs -= 8) {
    std::optional<int64_t> rows = rowsForClusters({128, outputs, 64, 2});
    if (before && rows) {
      EXPECT_GE(*rows, *before);
    }
    if (outputs < 256 && !before) {
      EXPECT_FALSE(rows);
    }
    before = rows;
  }
}
