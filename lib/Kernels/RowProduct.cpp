//===- RowProduct.cpp - Products of weights in rows -----------------------===//
//
// Part of moe-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Weights are stored [out, in], so rows of x and rows of w run along the depth:
// a tile keeps one vector of partial sums per (row, output) and adds their
// lanes at the end. docs/decisions/0006-cpu-kernels.md draws the nest of loops
// around it. Every sum runs over the same lanes in the same order in every tile
// shape, which is why results do not depend on rows around them.
//
//===----------------------------------------------------------------------===//

#include "RowProduct.h"

#include "mlir/IR/BuiltinTypes.h"

using namespace mlir;
using namespace moe;

RowProduct::RowProduct(Lowering &l, const Product &product)
    : VectorProduct(l, product), isScaledInTile(shape.hasScalesInDepth()),
      step(pairs ? 2 * l.lanes : l.lanes) {}

void RowProduct::allocatePanel() {
  if (isHeldAs(computed()))
    return;
  // A line more than a chunk: rows of w, and of x, need not be where they push
  // each other out of the cache.
  int64_t width = llvm::alignTo(blocks.depthChunk, step) + step;
  panel = e.local(computed(), {blocks.tileOutputs, width});
}

Val RowProduct::scaled(const Weight &weight, Val sum, ArrayRef<Val> at) const {
  return weight.applyFactor(sum, at);
}

/// Puts the sums of some rows of a tile where those of the block are.
void RowProduct::rowTile(const Place &place, Tile tile, size_t weight, Val row,
                         int64_t rows, int64_t count) {
  for (int64_t r = 0; r < rows; ++r)
    tile.sources.push_back(product.row(row + r));
  int64_t outs = tile.outs.size();
  for (auto [r, found] : llvm::enumerate(tileSums(tile, count))) {
    SmallVector<Val> at = {row + double(r) - place.rowBegin,
                           tile.outs[0] - place.outBegin};
    if (blocks.depthChunk < product.depth())
      found = found + e.loadVector(sums[weight], at, outs, outs);
    e.storeVector(found, sums[weight], at, outs);
  }
}

RowProduct::Tile RowProduct::makeTile(const Place &place, size_t weight,
                                      Val out, int64_t outs, Val begin) {
  Tile tile{weights[weight], false, place.expert, {}, {}, begin, {}, {}};
  for (int64_t o = 0; o < outs; ++o)
    tile.outs.push_back(out + o);
  return tile;
}

/// The outputs of a weight, tile by tile.
void RowProduct::eachTile(const Place &place,
                          llvm::function_ref<void(Val, int64_t)> body) {
  int64_t size = blocks.tileOutputs;
  Val whole = place.outBegin + (place.outEnd - place.outBegin) / size * size;
  e.loop(place.outBegin, whole, [&](Val out) { body(out, size); }, size);
  if (product.outputs() % size)
    e.loop(whole, place.outEnd, [&](Val out) { body(out, 1); });
}

void RowProduct::eachChunk(llvm::function_ref<void(Val, int64_t)> body) {
  int64_t depth = product.depth(), chunk = blocks.depthChunk;
  int64_t whole = depth / chunk * chunk;
  if (whole == chunk)
    body(e.index(0), chunk);
  else
    e.loop(
        e.index(0), e.index(whole), [&](Val begin) { body(begin, chunk); },
        chunk);
  if (whole < depth)
    body(e.index(whole), depth - whole);
}

/// What is read after a tile: the next weight if there is one chunk, else the
/// next chunk, and after the last of them outputs further on.
void RowProduct::setNext(const Place &place, Tile &tile, size_t weight,
                         int64_t count) {
  Val out = tile.outs[0], further = out + double(tile.outs.size());
  Val isInside = further + double(tile.outs.size()) <= place.outEnd;
  Val nextOut = e.select(isInside, further, out);
  tile.asked = tile.outs.size();
  if (blocks.depthChunk == product.depth()) {
    bool isLast = weight + 1 == weights.size();
    tile.nextWeight = &weights[isLast ? 0 : weight + 1];
    tile.next = product.at(place.expert, isLast ? nextOut : out, tile.begin);
    return;
  }
  Val isEnd = tile.begin + double(2 * count) > double(product.depth());
  tile.nextWeight = &weights[weight];
  tile.next =
      product.at(place.expert, e.select(isEnd, nextOut, out),
                 e.select(isEnd, e.index(0), tile.begin + double(count)));
}

/// How many outputs a tile of these rows has that decodes as it goes: no more
/// than leave room in registers for what decoding needs.
int64_t RowProduct::outputsThatFit(int64_t rows) const {
  Weight::Registers needed = weights.front().registers();
  int64_t sums = rows * (isScaledInTile ? 2 : 1), outs = blocks.tileOutputs;
  // Found by trial, as Weight::registers.
  int64_t spare = rows > blocks.tileRows ? 4 : 0;
  while (outs > 1 && outs * (sums + needed.perOutput) + rows + needed.others >
                         l.unit.core.registers - spare)
    outs /= 2;
  return outs;
}

/// Rows that are best taken at once, with half the outputs if they are many:
/// the time goes to weights that come from memory, and each is read once.
int64_t RowProduct::mostOfFewRows() const {
  int64_t rows = blocks.tileRows;
  while (outputsThatFit(rows + 1) > 1 &&
         2 * outputsThatFit(rows + 1) >= blocks.tileOutputs)
    ++rows;
  return rows;
}

/// Some outputs of a tile.
RowProduct::Tile RowProduct::partOf(const Tile &tile, Val first, int64_t outs) {
  Tile part = tile;
  part.outs.clear();
  for (int64_t o = 0; o < outs; ++o)
    part.outs.push_back(tile.outs[0] + first + o);
  part.asked = outs;
  Val &nextOut = part.next.end()[-2];
  nextOut = nextOut + first;
  return part;
}

/// All rows in one tile: it reads each weight once, from one end to the other,
/// and decodes it in registers.
void RowProduct::fewRows(const Place &place) {
  Val rows = place.rowEnd - place.rowBegin;
  eachTile(place, [&](Val out, int64_t outs) {
    for (size_t weight = 0; weight < weights.size(); ++weight)
      eachChunk([&](Val begin, int64_t count) {
        Tile tile = makeTile(place, weight, out, outs, begin);
        setNext(place, tile, weight, count);
        auto sumsOf = [&](const Tile &tile, int64_t few) {
          rowTile(place, tile, weight, place.rowBegin, few, count);
        };
        for (int64_t few = 1, most = mostOfFewRows(); few <= most; ++few)
          e.when(rows == double(few), [&] {
            int64_t part = outputsThatFit(few);
            if (part >= outs)
              return sumsOf(tile, few);
            e.loop(
                e.index(0), e.index(outs),
                [&](Val first) { sumsOf(partOf(tile, first, part), few); },
                part);
          });
      });
  });
}

/// All rows of the block, for some outputs of one weight and a chunk.
void RowProduct::manyRows(const Place &place, size_t weight, Val out,
                          int64_t outs, Val begin, int64_t count) {
  Tile tile = makeTile(place, weight, out, outs, begin);
  if (panel) {
    decodePanel(tile, count);
    tile.fromPanel = true;
  }
  // The tile after this one is of the next weight, or else further on. Of its
  // outputs each tile of rows asks for some as it goes: the more tiles there
  // are, the fewer at a time.
  bool isLast = weight + 1 == weights.size();
  Val nextOut =
      isLast ? e.select(out + 2 * outs <= place.outEnd, out + outs, out) : out;
  int64_t size = blocks.tileRows, most = std::max<int64_t>(outs / 2, 1);
  Val row = place.rowBegin, tiles = (place.rowEnd - row) / size;
  for (int64_t asked = most; asked; asked /= 2) {
    int64_t needed = outs / asked;
    Val end = place.rowBegin + e.min(tiles, e.index(needed)) * size;
    if (asked < most)
      end = e.select(tiles >= double(needed), end, row);
    if (asked > 1)
      end = e.select(tiles < double(2 * needed), end, row);
    e.loop(
        row, end,
        [&](Val row) {
          Tile asking = tile;
          Val first = (row - place.rowBegin) / size * asked;
          asking.nextWeight = &weights[isLast ? 0 : weight + 1];
          asking.next = product.at(place.expert, nextOut + first, begin);
          asking.asked = asked;
          rowTile(place, asking, weight, row, size, count);
        },
        size);
    row = end;
  }
  Val whole = place.rowBegin + tiles * size;
  e.loop(
      row, whole,
      [&](Val row) { rowTile(place, tile, weight, row, size, count); }, size);
  for (int64_t rest = 1; rest < size; ++rest)
    e.when(place.rowEnd - whole == double(rest),
           [&] { rowTile(place, tile, weight, whole, rest, count); });
}

void RowProduct::sumBlock(const Place &place) {
  Val rows = place.rowEnd - place.rowBegin;
  int64_t few = mostOfFewRows();
  e.when(rows <= double(few), [&] { fewRows(place); });
  e.when(rows > double(few), [&] {
    eachChunk([&](Val begin, int64_t count) {
      eachTile(place, [&](Val out, int64_t outs) {
        for (size_t weight = 0; weight < weights.size(); ++weight)
          manyRows(place, weight, out, outs, begin, count);
      });
    });
  });
}
