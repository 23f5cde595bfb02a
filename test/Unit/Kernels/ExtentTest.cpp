//===- ExtentTest.cpp - Sizes as text and back ----------------------------===//
//
// Part of moe-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "moe/Kernels/Extent.h"

#include "gtest/gtest.h"

using namespace moe;

TEST(Extent, ReadsWhatItWrites) {
  for (const char *text :
       {"T", "n", "batch_size2", "2*T", "9223372036854775807*n", "ceil(n/64)",
        "ceil(3*n/2)", "ceil(n/9223372036854775807)", "8*ceil(n/64)",
        "8*ceil(3*n/64)"}) {
    std::optional<Extent> extent = Extent::parse(text);
    ASSERT_TRUE(extent) << text;
    EXPECT_EQ(extent->str(), text);
    EXPECT_FALSE(extent->isConstant()) << text;
  }
}

TEST(Extent, HasParts) {
  std::optional<Extent> extent = Extent::parse("ceil(3*tokens/64)");
  ASSERT_TRUE(extent);
  EXPECT_EQ(extent->factor, 3);
  EXPECT_EQ(extent->divisor, 64);
  EXPECT_EQ(extent->size, "tokens");
}

TEST(Extent, OneIsNotWritten) {
  EXPECT_EQ(Extent::parse("1*T")->str(), "T");
  EXPECT_EQ(Extent::parse("ceil(T/1)")->str(), "T");
  EXPECT_EQ(Extent::parse("ceil(2*T/1)")->str(), "2*T");
  EXPECT_EQ(Extent::parse("3*ceil(2*T/1)")->str(), "6*T");
}

TEST(Extent, Constant) {
  EXPECT_TRUE(Extent::constant(64).isConstant());
  EXPECT_EQ(Extent::constant(64).str(), "64");
  EXPECT_EQ(Extent::constant(0).str(), "0");
  EXPECT_EQ(Extent::constant(64).times(3).str(), "192");
}

TEST(Extent, Times) {
  EXPECT_EQ(Extent::parse("T")->times(8).str(), "8*T");
  EXPECT_EQ(Extent::parse("2*T")->times(8).str(), "16*T");
  EXPECT_EQ(Extent::parse("ceil(n/64)")->times(2).str(), "2*ceil(n/64)");
  EXPECT_EQ(Extent::parse("2*ceil(n/64)")->times(3).str(), "6*ceil(n/64)");
}

TEST(Extent, DividedBy) {
  auto quotient = [](const char *text, int64_t number) {
    return Extent::parse(text)->dividedBy(number).str();
  };
  EXPECT_EQ(quotient("T", 8), "ceil(T/8)");
  EXPECT_EQ(quotient("192*ceil(n/192)", 64), "3*ceil(n/192)");
  EXPECT_EQ(quotient("192*ceil(n/192)", 192), "ceil(n/192)");
  EXPECT_EQ(quotient("64*ceil(n/192)", 4096), "ceil(n/12288)");
  // That is none; this is never less.
  EXPECT_EQ(quotient("5*ceil(n/4)", 3), "2*ceil(n/4)");
}

TEST(Extent, IsMultipleOf) {
  EXPECT_TRUE(Extent::parse("4*T")->isMultipleOf(2));
  EXPECT_FALSE(Extent::parse("3*T")->isMultipleOf(2));
  EXPECT_TRUE(Extent::parse("6*ceil(n/4)")->isMultipleOf(3));
  EXPECT_FALSE(Extent::parse("ceil(6*n/4)")->isMultipleOf(3));
}

TEST(Extent, RefusesWhatIsNone) {
  for (const char *text : {"",
                           "64",
                           "2*",
                           "0*ceil(n/2)",
                           "2*ceil(n)",
                           "*T",
                           "T*2",
                           "2T",
                           "-1*T",
                           "0*T",
                           "2*3",
                           "2*2*T",
                           " T",
                           "2 * T",
                           "T ",
                           "2*T/3",
                           "T/2",
                           "ceil(T)",
                           "ceil(T/0)",
                           "ceil(T/)",
                           "ceil(/2)",
                           "ceil(T/-2)",
                           "ceil(T/2",
                           "ceil(T/2/3)",
                           "ceil(T/x)",
                           "ceil(T/2)x",
                           "ceil()",
                           "Ceil(T/2)",
                           "_",
                           "T+1",
                           "T-1",
                           "two words",
                           "a.b",
                           "T)",
                           "(T)",
                           "2*(T)",
                           "é",
                           "2*T*U",
                           "ceil(ceil(T/2)/2)",
                           "9223372036854775808*T",
                           "ceil(T/9223372036854775808)"})
    EXPECT_FALSE(Extent::parse(text)) << text;
}
