//===- RowTile.cpp - Sums of a tile in registers --------------------------===//
//
// Part of moe-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "RowProduct.h"

#include "mlir/IR/BuiltinTypes.h"

using namespace mlir;
using namespace moe;

Val RowProduct::loadWeight(const Tile &tile, int64_t out, Val c, int64_t valid,
                           Val key) {
  if (tile.fromPanel)
    return e.loadRaw(panel, {e.index(out), c - tile.begin}, step, valid);
  return tile.weight.loadVector(product.at(tile.expert, tile.outs[out], c),
                                valid, key);
}

Emitter::Vals RowProduct::keysAt(const Tile &tile, Val c) {
  Emitter::Vals keys;
  for (Val out : tile.outs)
    keys.push_back(tile.weight.keyAt(product.at(tile.expert, out, c)));
  return keys;
}

/// Adds to `sums` what `count` places of the depth give, all in one block.
Emitter::Vals RowProduct::span(const Tile &tile, Val begin, int64_t count,
                               ArrayRef<Val> keys, Emitter::Vals sums) {
  auto advance = [&](Val c, int64_t valid, ArrayRef<Val> sums,
                     bool prefetches) {
    Emitter::Vals next(sums);
    SmallVector<Val> xs;
    for (Val source : tile.sources)
      xs.push_back(pairs ? e.loadRaw(product.x, {source, c}, step, valid)
                         : e.loadVector(product.x, {source, c}, step, valid));
    int64_t sum = 0;
    for (int64_t out = 0, outs = tile.outs.size(); out < outs; ++out) {
      Val w = loadWeight(tile, out, c, valid, keys[out]);
      if (prefetches && out < tile.asked)
        prefetch(tile, out, c);
      for (Val x : xs) {
        next[sum] = e.multiplyAdd(w, x, next[sum]);
        ++sum;
      }
    }
    return next;
  };

  // Steps that read one line of memory, or some of them, are one turn: it is
  // asked for once.
  bool prefetches = tile.asked != 0;
  int64_t together = tile.fromPanel ? 2 : 1;
  if (prefetches)
    together = std::min(tile.weight.valuesPerLine() / step,
                        tile.fromPanel ? together : tile.weight.stepsAtOnce());
  int64_t steps = count / step, whole = steps * step;
  int64_t turn = together > 1 && steps % together == 0 ? together : 1;
  auto takeTurn = [&](Val c, ArrayRef<Val> sums) {
    Emitter::Vals next(sums);
    for (int64_t i = 0; i < turn; ++i)
      next = advance(c + i * step, step, next, prefetches && i == 0);
    return next;
  };
  if (steps == turn)
    sums = takeTurn(begin, sums);
  else if (steps)
    sums = e.carry(begin, begin + whole, sums, takeTurn, turn * step);
  if (whole < count)
    sums = advance(begin + whole, count - whole, sums, prefetches);
  return sums;
}

/// What will be read at the same place after this tile.
void RowProduct::prefetch(const Tile &tile, int64_t out, Val c) {
  SmallVector<Val, 3> at(tile.next);
  at[at.size() - 2] = at[at.size() - 2] + out;
  at.back() = at.back() + (c - tile.begin);
  tile.nextWeight->prefetch(at);
}

/// The sums of the blocks in a blocks.depthChunk, each times its scale.
Emitter::Vals RowProduct::scaledBlocks(const Tile &tile, int64_t count) {
  int64_t block = weights.front().block();
  size_t number = tile.outs.size() * tile.sources.size();
  auto add = [&](Val begin, int64_t count, ArrayRef<Val> totals) {
    Emitter::Vals sums =
        span(tile, begin, count, keysAt(tile, begin), zeros(number));
    size_t sum = 0;
    for (Val out : tile.outs) {
      Val scale = tile.weight.scaleAt(product.at(tile.expert, out, begin));
      Val scales = e.like(sums[sum], scale);
      for (size_t row = 0; row < tile.sources.size(); ++row, ++sum)
        sums[sum] = e.fma(sums[sum], scales, totals[sum]);
    }
    return sums;
  };
  Emitter::Vals totals = zeros(number);
  int64_t whole = count / block * block;
  if (whole == block)
    totals = add(tile.begin, block, totals);
  else if (whole)
    totals = e.carry(
        tile.begin, tile.begin + whole, totals,
        [&](Val c, ArrayRef<Val> totals) { return add(c, block, totals); },
        block);
  if (whole < count)
    totals = add(tile.begin + whole, count - whole, totals);
  return totals;
}

/// One vector of sums for each row of the tile, outputs as lanes.
Emitter::Vals RowProduct::tileSums(const Tile &tile, int64_t count) {
  size_t rows = tile.sources.size(), outs = tile.outs.size();
  Val none = e.index(0);
  Emitter::Vals vectors = isScaledInTile
                              ? scaledBlocks(tile, count)
                              : span(tile, tile.begin, count,
                                     keysAt(tile, none), zeros(rows * outs));
  Emitter::Vals scales;
  for (Val out : tile.outs)
    if (Val scale = tile.weight.scaleAt(product.at(tile.expert, out, none));
        scale.value && !isScaledInTile)
      scales.push_back(scale);
  Emitter::Vals result;
  for (size_t row = 0; row < rows; ++row) {
    Emitter::Vals ofRow;
    for (size_t out = 0; out < outs; ++out)
      ofRow.push_back(vectors[out * rows + row]);
    Val sums = e.addLanes(ofRow);
    if (!scales.empty())
      sums = sums * e.gather(scales);
    result.push_back(sums);
  }
  return result;
}

/// Values of the weight as products take them, in memory of the thread's own.
void RowProduct::decodePanel(const Tile &tile, int64_t count) {
  int64_t place = 0;
  for (Val out : tile.outs) {
    Val row = e.index(place++);
    int64_t block = isScaledInTile ? weights.front().block() : count;
    auto decode = [&](Val begin, int64_t size) {
      Val key = tile.weight.keyAt(product.at(tile.expert, out, begin));
      auto at = [&](Val c, int64_t valid) {
        Val values =
            tile.weight.loadVector(product.at(tile.expert, out, c), valid, key);
        e.storeVector(values, panel, {row, c - tile.begin}, valid);
      };
      int64_t whole = size / step * step;
      e.loop(begin, begin + whole, [&](Val c) { at(c, step); }, step);
      if (whole < size)
        at(begin + whole, size - whole);
    };
    int64_t whole = count / block * block;
    e.loop(
        tile.begin, tile.begin + whole, [&](Val c) { decode(c, block); },
        block);
    if (whole < count)
      decode(tile.begin + whole, count - whole);
  }
}
