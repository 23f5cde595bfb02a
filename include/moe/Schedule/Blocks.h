//===- Blocks.h - How a product is cut into blocks --------------*- C++ -*-===//
//
// Part of moe-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// The names are those of docs/decisions/0006-cpu-kernels.md.
//
//===----------------------------------------------------------------------===//

#ifndef MOE_SCHEDULE_BLOCKS_H
#define MOE_SCHEDULE_BLOCKS_H

#include "moe/Schedule/Machine.h"
#include "moe/Support/Strips.h"

#include <optional>
#include <string>
#include <string_view>

namespace moe {

/// Rows of x times rows of w, each as long as the depth.
struct ProductShape {
  int64_t outputs = 1;
  int64_t depth = 1;
  int64_t weights = 1;     // 2: gate and up
  int64_t xBytes = 4;      // of an element of a row, and of a decoded weight
  int64_t weightBits = 32; // of an element in memory
  bool decoded = false;
  int64_t block = 0;   // of the depth, with a scale of its own; 0: all of it
  bool packed = false; // in strips of outputs

  bool hasScalesInDepth() const { return block > 0 && block < depth; }
  bool hasCodes() const { return weightBits < 16; }
};

/// Steps of the depth that are taken in one turn.
inline constexpr int64_t stripTurn = 4;

/// Whether a matrix of such values is whole strips of whole turns.
inline bool fillsStrips(int64_t outputs, int64_t depth, int64_t bits) {
  return outputs % stripOutputs == 0 && depth > 0 &&
         depth * bits % (stripTurn * 32) == 0;
}

struct Blocks {
  int64_t tileRows = 1;
  int64_t tileOutputs = 1;
  int64_t depthChunk = 1;  // the depth, or whole blocks that have a scale
  int64_t outBlock = 1;    // whole tiles and vectors
  int64_t rowBlock = 1;    // a multiple of tileRows
  int64_t taskOutputs = 1; // a multiple of outBlock
};

/// Valid for any shape whose sizes are at least 1. What `forced` says instead,
/// as parseBlocks reads it, is made to fit the shape.
Blocks chooseBlocks(const Machine &machine, const ProductShape &shape,
                    std::string_view forced = {});

/// Reads `rows=96,outs=64,depth=2048,task=128`, any of them, in any order.
/// What is left out is as in `defaults`, except that a task holds whole blocks
/// of outputs. Nothing, if it is not of that form or not for the tile of
/// `defaults`.
std::optional<Blocks> parseBlocks(std::string_view text, Blocks defaults);

/// `rows=96,outs=64,depth=2048,task=128`.
std::string printBlocks(const Blocks &blocks);

} // namespace moe

#endif // MOE_SCHEDULE_BLOCKS_H
