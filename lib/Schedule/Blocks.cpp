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

/// More do not pay: an expert often has few rows, and rows that fill no tile
/// cost as much as those that do.
static constexpr int64_t maxTileRows = 3;

/// The tile with the fewest loads per sum whose sums, rows of x and one vector
/// of w fit the registers. Where scales change along the depth, there are the
/// sums of one block beside those of all.
static void chooseTile(Blocks &blocks, const Machine &machine,
                       const ProductShape &shape) {
  int64_t each = shape.hasScalesInDepth() ? 2 : 1;
  double fewest = 0;
  for (int64_t outs = 1; outs <= std::min(shape.outputs, machine.lanes);
       outs *= 2) {
    int64_t rows =
        std::min((machine.registers - 1) / (each * outs + 1), maxTileRows);
    if (rows < 1)
      break;
    double loads = 1.0 / double(rows) + 1.0 / double(outs);
    if (outs == 1 || loads < fewest) {
      fewest = loads;
      blocks.tileRows = rows;
      blocks.tileOutputs = outs;
    }
  }
}

/// Rows of a tile whose sums are vectors of outputs.
static constexpr int64_t packedTileRows = 6;
/// Fewer in a block would read the weights again and again; rows that do not
/// fit the second-level cache come from the third fast enough.
static constexpr int64_t leastStripRows = 126;

/// What blocks of outputs are multiples of: whole tiles, and whole vectors of
/// results.
static int64_t outputUnit(const Machine &machine, const Blocks &tile) {
  return std::max(tile.tileOutputs, machine.lanes);
}

/// What every whole chunk is a multiple of, and at most `most` if that can be:
/// whole vectors and whole blocks that have a scale.
static int64_t chunkUnit(const ProductShape &shape, int64_t vector,
                         int64_t most) {
  if (!shape.hasScalesInDepth())
    return vector;
  int64_t unit = std::lcm(vector, shape.block);
  return unit <= most ? unit : shape.block;
}

static int64_t chooseDepthChunk(const Machine &machine,
                                const ProductShape &shape, const Blocks &tile) {
  int64_t bytes =
      std::min(chunkBytes, machine.l1 / (tile.tileRows + tile.tileOutputs));
  int64_t vector = std::max<int64_t>(1, machine.lanes * 4 / shape.xBytes);
  int64_t most = std::max(bytes / shape.xBytes, vector);
  if (shape.depth <= most)
    return shape.depth;
  int64_t unit = chunkUnit(shape, vector, most);
  int64_t chunks = ceilDiv(shape.depth, wholes(most, unit));
  return std::min(roundUp(ceilDiv(shape.depth, chunks), unit), shape.depth);
}

/// Once the rows of a block are chosen.
static void chooseOutBlock(const Machine &machine, const ProductShape &shape,
                           Blocks &blocks) {
  int64_t unit = outputUnit(machine, blocks);
  int64_t sums = machine.l2 / 8 / (blocks.rowBlock * 4 * shape.weights);
  int64_t most =
      wholes(std::min({sums, maxOutBlock, shape.outputs / minShares}), unit);
  int64_t shares = ceilDiv(shape.outputs, most);
  blocks.outBlock = roundUp(ceilDiv(shape.outputs, shares), unit);
  blocks.taskOutputs = blocks.outBlock;
}

/// A strip's part of the depth stays in the first-level cache, while the rows
/// of a block, all of the depth, stay in the second.
static Blocks chooseStrips(const Machine &machine, const ProductShape &shape) {
  Blocks blocks;
  blocks.tileRows = packedTileRows;
  blocks.tileOutputs = stripOutputs;
  // Of few bits there are decoded values in the cache.
  int64_t bytes = shape.hasCodes() ? shape.xBytes : shape.weightBits / 8;
  int64_t turn = stripTurn * 32 / shape.weightBits;
  int64_t most = wholes(machine.l1 * 2 / 3 / (stripOutputs * bytes), turn);
  int64_t chunks = ceilDiv(shape.depth, most);
  blocks.depthChunk =
      std::min(roundUp(ceilDiv(shape.depth, chunks), turn), shape.depth);

  int64_t rows = std::max(machine.l2 * 3 / 4 / (shape.depth * shape.xBytes),
                          leastStripRows);
  blocks.rowBlock = wholes(std::min(rows, maxRowBlock), blocks.tileRows);
  chooseOutBlock(machine, shape, blocks);
  return blocks;
}

static Blocks chooseBest(const Machine &machine, const ProductShape &shape) {
  if (shape.packed)
    return chooseStrips(machine, shape);
  Blocks blocks;
  chooseTile(blocks, machine, shape);
  blocks.depthChunk = chooseDepthChunk(machine, shape, blocks);

  int64_t rows = machine.l2 * 3 / 8 / (blocks.depthChunk * shape.xBytes);
  blocks.rowBlock = wholes(std::min(rows, maxRowBlock), blocks.tileRows);

  chooseOutBlock(machine, shape, blocks);
  return blocks;
}

Blocks moe::chooseBlocks(const Machine &machine, const ProductShape &shape,
                         std::string_view forced) {
  Blocks blocks = chooseBest(machine, shape);
  if (forced.empty())
    return blocks;
  Blocks any = blocks;
  if (shape.packed) // text is for tiles of weights in rows
    any.tileRows = any.tileOutputs = 1;
  if (std::optional<Blocks> wanted = parseBlocks(forced, any)) {
    wanted->tileRows = blocks.tileRows;
    wanted->tileOutputs = blocks.tileOutputs;
    wanted->rowBlock = roundUp(wanted->rowBlock, blocks.tileRows);
    blocks = *wanted;
  }
  if (shape.hasScalesInDepth())
    blocks.depthChunk = roundUp(blocks.depthChunk, shape.block);
  if (shape.packed)
    blocks.depthChunk =
        roundUp(blocks.depthChunk, stripTurn * 32 / shape.weightBits);
  blocks.depthChunk = std::min(blocks.depthChunk, shape.depth);
  int64_t unit = outputUnit(machine, blocks);
  blocks.outBlock =
      std::min(roundUp(blocks.outBlock, unit), roundUp(shape.outputs, unit));
  blocks.taskOutputs = std::min(roundUp(blocks.taskOutputs, blocks.outBlock),
                                roundUp(shape.outputs, blocks.outBlock));
  return blocks;
}
