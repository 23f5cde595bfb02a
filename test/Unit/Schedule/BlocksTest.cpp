//===- BlocksTest.cpp - Blocks of any product -----------------------------===//
//
// Part of moe-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Machines.h"

#include "moe/Schedule/Blocks.h"

#include "gtest/gtest.h"

#include <random>

using namespace moe;

static std::vector<Machine> machines() {
  return {machineOf("x86-64", 4, 16), machineOf("x86-64-v3", 8, 16),
          machineOf("sapphirerapids", 16, 32), machineOf("znver5", 16, 32)};
}

static void expectValid(const Machine &machine, const ProductShape &shape) {
  Blocks b = chooseBlocks(machine, shape);
  SCOPED_TRACE(printBlocks(b) + " for " + std::to_string(shape.outputs) +
               " x " + std::to_string(shape.depth) + ", block " +
               std::to_string(shape.block));
  EXPECT_GE(b.tileRows, 1);
  EXPECT_GE(b.tileOutputs, 1);
  EXPECT_LE(b.tileOutputs, shape.outputs);
  EXPECT_LE(b.tileRows * b.tileOutputs + b.tileRows + 1, machine.registers);

  EXPECT_GE(b.depthChunk, 1);
  EXPECT_LE(b.depthChunk, shape.depth);
  if (b.depthChunk < shape.depth && shape.hasScalesInDepth()) {
    EXPECT_EQ(b.depthChunk % shape.block, 0);
  }
  if (b.depthChunk > shape.block && b.depthChunk * shape.xBytes > 64) {
    EXPECT_LE(b.depthChunk * b.tileOutputs * shape.xBytes, machine.l1);
  }

  EXPECT_GE(b.rowBlock, b.tileRows);
  EXPECT_EQ(b.rowBlock % b.tileRows, 0);
  EXPECT_GE(b.outBlock, b.tileOutputs);
  EXPECT_EQ(b.outBlock % b.tileOutputs, 0);
  EXPECT_EQ(b.outBlock % machine.lanes, 0);
  EXPECT_LT(b.outBlock, shape.outputs + std::max(b.tileOutputs, machine.lanes));
  EXPECT_EQ(b.taskOutputs % b.outBlock, 0);
  EXPECT_GE(b.taskOutputs, b.outBlock);
  if (b.rowBlock > b.tileRows) {
    EXPECT_LE(b.rowBlock * b.depthChunk * shape.xBytes, machine.l2 / 2);
    if (b.outBlock > std::max(b.tileOutputs, machine.lanes)) {
      EXPECT_LE(b.rowBlock * b.outBlock * 4 * shape.weights, machine.l2 / 4);
    }
  }
}

TEST(Blocks, Strips) {
  for (const Machine &machine : machines())
    for (int64_t bits : {16, 32})
      for (int64_t depth : {8, 64, 768, 2880, 14336})
        for (int64_t outputs : {64, 192, 2880, 4096}) {
          ProductShape shape = {outputs, depth, 2, bits / 8, bits};
          shape.packed = true;
          Blocks b = chooseBlocks(machine, shape);
          SCOPED_TRACE(printBlocks(b));
          EXPECT_EQ(b.depthChunk * bits % (stripTurn * 32), 0);
          EXPECT_LE(b.depthChunk, depth);
          EXPECT_LE(b.depthChunk * stripOutputs * bits / 8, machine.l1);
          EXPECT_EQ(b.rowBlock % b.tileRows, 0);
          EXPECT_EQ(b.outBlock % stripOutputs, 0);
          EXPECT_EQ(b.taskOutputs % b.outBlock, 0);
          EXPECT_EQ(chooseBlocks(machine, shape, "rows=7,outs=8").rowBlock, 12);
        }
  EXPECT_TRUE(fillsStrips(64, 8, 16));
  EXPECT_FALSE(fillsStrips(64, 4, 16));
  EXPECT_TRUE(fillsStrips(64, 4, 32));
  EXPECT_FALSE(fillsStrips(96, 8, 16));
}

TEST(Blocks, TileFitsRegisters) {
  Blocks wide = chooseBlocks(machineOf("znver5", 16, 32), {1024, 2048});
  EXPECT_EQ(wide.tileRows, 3);
  EXPECT_EQ(wide.tileOutputs, 8);
  Blocks narrow = chooseBlocks(machineOf("x86-64-v3", 8, 16), {1024, 2048});
  EXPECT_EQ(narrow.tileRows, 3);
  EXPECT_EQ(narrow.tileOutputs, 4);
  // Sums of a block beside those of all.
  Blocks scaled = chooseBlocks(machineOf("znver5", 16, 32),
                               {1024, 2048, 1, 2, 4, true, 32});
  EXPECT_EQ(scaled.tileRows, 3);
  EXPECT_EQ(scaled.tileOutputs, 4);
}

TEST(Blocks, FillCaches) {
  Blocks b = chooseBlocks(machineOf("znver5", 16, 32), {2048, 14336, 2, 2});
  EXPECT_EQ(printBlocks(b), "rows=96,outs=128,depth=2048,task=128");
}

TEST(Blocks, ChunksAreEven) {
  Blocks b = chooseBlocks(machineOf("znver5", 16, 32),
                          {2880, 2880, 2, 2, 4, true, 32});
  EXPECT_EQ(b.depthChunk, 1440);
}

TEST(Blocks, AnyBlockOfScales) {
  ProductShape shape = {512, 4096, 1, 2, 8, true, 1000};
  Machine machine = machineOf("znver5", 16, 32);
  EXPECT_EQ(chooseBlocks(machine, shape).depthChunk % 1000, 0);
  shape.block = 3000; // over what the cache holds
  EXPECT_EQ(chooseBlocks(machine, shape).depthChunk, 3000);
  shape.block = 4096; // the same for all of the depth
  EXPECT_EQ(chooseBlocks(machine, shape).depthChunk, 2048);
}

TEST(Blocks, AnySize) {
  int64_t sizes[] = {1,  2,   3,   5,   7,    8,     17,     31,
                     33, 127, 129, 257, 2880, 14336, 1 << 20};
  for (const Machine &machine : machines())
    for (int64_t outputs : sizes)
      for (int64_t depth : sizes)
        for (int64_t weights : {1, 2})
          for (int64_t xBytes : {2, 4})
            for (int64_t block : {0, 1, 16, 32, 100, 128})
              expectValid(machine,
                          {outputs, depth, weights, xBytes, 8, true, block});
}

TEST(Blocks, AnyMachine) {
  std::mt19937_64 random(1);
  auto upTo = [&](int64_t most) {
    return std::uniform_int_distribution<int64_t>(1, most)(random);
  };
  for (int i = 0; i < 20000; ++i) {
    Machine machine;
    machine.lanes = int64_t(1) << upTo(5);
    machine.registers = 7 + upTo(60);
    machine.l1 = (16 << 10) + upTo(128 << 10);
    machine.l2 = machine.l1 * 4 + upTo(4 << 20);
    ProductShape shape = {upTo(1 << upTo(16)), upTo(1 << upTo(16)), upTo(2),
                          2 * upTo(2), 8};
    shape.block = upTo(300) - 1;
    expectValid(machine, shape);
  }
}

TEST(Blocks, AsTextAndBack) {
  Blocks defaults = chooseBlocks(machineOf("znver5", 16, 32), {1024, 2048});
  std::optional<Blocks> same = parseBlocks(printBlocks(defaults), defaults);
  ASSERT_TRUE(same);
  EXPECT_EQ(printBlocks(*same), printBlocks(defaults));
  std::optional<Blocks> b = parseBlocks("depth=512,outs=24", defaults);
  ASSERT_TRUE(b);
  EXPECT_EQ(b->depthChunk, 512);
  EXPECT_EQ(b->outBlock, 24);
  EXPECT_EQ(b->taskOutputs, 72); // 64 does not hold whole blocks
  EXPECT_EQ(b->rowBlock, defaults.rowBlock);
}

TEST(Blocks, ForcedOnesFitTheShape) {
  Machine machine = machineOf("znver5", 16, 32);
  ProductShape shape = {1024, 1000, 1, 2, 4, true, 32};
  Blocks b = chooseBlocks(machine, shape, "rows=6,depth=100,outs=8");
  EXPECT_EQ(b.rowBlock, 6);
  EXPECT_EQ(b.depthChunk, 128); // whole blocks of scales
  EXPECT_EQ(b.outBlock, 16);    // whole vectors
  EXPECT_EQ(b.taskOutputs, 64);
  EXPECT_EQ(chooseBlocks(machine, shape, "depth=4096").depthChunk, 1000);
  EXPECT_EQ(printBlocks(chooseBlocks(machine, {3, 64}, "rows=6,outs=64")),
            "rows=6,outs=16,depth=64,task=16");
  // What is none is as if it were not there.
  EXPECT_EQ(printBlocks(chooseBlocks(machine, shape, "rows=4")),
            printBlocks(chooseBlocks(machine, shape)));
}

TEST(Blocks, RefusesOtherText) {
  Blocks defaults = chooseBlocks(machineOf("znver5", 16, 32), {1024, 2048});
  for (const char *text :
       {"",        ",",       "rows",           "rows=",
        "=96",     "rows=0",  "rows=-3",        "rows=3x",
        "rows=3,", ",rows=3", "rows=3,,outs=8", "rows=3,rows=6",
        "cols=3",  "rows=4",  "outs=4",         "outs=16,task=24",
        "rows= 3", "rows=3 ", "depth=1048577",  "depth=99999999999999999999"})
    EXPECT_FALSE(parseBlocks(text, defaults)) << text;
}
