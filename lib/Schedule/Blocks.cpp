//===- Blocks.cpp - How a product is cut into blocks ----------------------===//
//
// Part of moe-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "moe/Schedule/Blocks.h"

#include <algorithm>
#include <numeric>

using namespace moe;

/// Of a row. More gains little, and needs more of the second-level cache.
static constexpr int64_t chunkBytes = 4096;
static constexpr int64_t maxRowBlock = 512;
static constexpr int64_t maxOutBlock = 128;
/// Shares of the outputs of one expert, which may have all the rows.
static constexpr int64_t minShares = 16;

static int64_t ceilDiv(int64_t a, int64_t b) { return (a + b - 1) / b; }
static int64_t roundUp(int64_t a, int64_t b) { return ceilDiv(a, b) * b; }
static int64_t wholes(int64_t a, int64_t b) {
  return std::max(a / b, int64_t(1)) * b;
}

/// The tile with the fewest loads per sum whose sums, rows of x and one vector
/// of w fit the registers. It has no fewer outputs than rows, since rows are
/// what there may be few of and every sum has to wait for the one before.
static void chooseTile(Blocks &blocks, const Machine &machine,
                       const ProductShape &shape) {
  double fewest = 0;
  for (int64_t outs = 1; outs <= std::min(shape.outputs, machine.registers);
       outs *= 2) {
    int64_t rows = std::min((machine.registers - 1) / (outs + 1), outs);
    if (rows < 1)
      break;
    double loads = 1.0 / rows + 1.0 / outs;
    if (outs == 1 || loads < fewest) {
      fewest = loads;
      blocks.tileRows = rows;
      blocks.tileOutputs = outs;
    }
  }
}

/// What every whole chunk is a multiple of, and at most `most` if that can be:
/// whole vectors and whole blocks of scales.
static int64_t chunkUnit(int64_t vector, int64_t block, int64_t depth,
                         int64_t most) {
  if (block >= depth)
    return vector;
  int64_t unit = std::lcm(vector, block);
  return unit <= most ? unit : block;
}

static int64_t chooseDepthChunk(const Machine &machine,
                                const ProductShape &shape, const Blocks &tile) {
  int64_t bytes =
      std::min(chunkBytes, machine.l1 / (tile.tileRows + tile.tileOutputs));
  int64_t vector = std::max<int64_t>(1, machine.lanes * 4 / shape.xBytes);
  int64_t most = std::max(bytes / shape.xBytes, vector);
  if (shape.depth <= most)
    return shape.depth;
  int64_t unit = chunkUnit(vector, shape.block, shape.depth, most);
  int64_t chunks = ceilDiv(shape.depth, wholes(most, unit));
  return std::min(roundUp(ceilDiv(shape.depth, chunks), unit), shape.depth);
}

static Blocks chooseBest(const Machine &machine, const ProductShape &shape) {
  Blocks blocks;
  chooseTile(blocks, machine, shape);
  int64_t tile = blocks.tileOutputs;
  blocks.depthChunk = chooseDepthChunk(machine, shape, blocks);

  int64_t rows = machine.l2 * 3 / 8 / (blocks.depthChunk * shape.xBytes);
  blocks.rowBlock = wholes(std::min(rows, maxRowBlock), blocks.tileRows);

  int64_t sums = machine.l2 / 8 / (blocks.rowBlock * 4 * shape.weights);
  int64_t most =
      wholes(std::min({sums, maxOutBlock, shape.outputs / minShares}), tile);
  int64_t shares = ceilDiv(shape.outputs, most);
  blocks.outBlock = roundUp(ceilDiv(shape.outputs, shares), tile);
  blocks.taskOutputs = blocks.outBlock;
  return blocks;
}

Blocks moe::chooseBlocks(const Machine &machine, const ProductShape &shape,
                         std::string_view forced) {
  Blocks blocks = chooseBest(machine, shape);
  std::optional<Blocks> other =
      forced.empty() ? std::nullopt : parseBlocks(forced, blocks);
  if (!other)
    return blocks;
  if (shape.block < shape.depth)
    other->depthChunk = roundUp(other->depthChunk, shape.block);
  other->depthChunk = std::min(other->depthChunk, shape.depth);
  return *other;
}
