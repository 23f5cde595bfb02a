//===- StripTile.cpp - Tiles of packed weights ----------------------------===//
//
// Part of moe-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// The lanes of a sum are outputs, each of which goes through the depth in
// order. A strip lies in memory as it is read, a part of the depth at a time:
// while tiles of rows go over one they ask for the one that is read next.
//
//===----------------------------------------------------------------------===//

#include "StripProduct.h"

#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/IR/BuiltinTypes.h"

using namespace mlir;
using namespace moe;

/// Tiles of other heights take as long as one of the next that is here, where
/// they do not wait for memory anyway. Each is code that has to be compiled.
static constexpr int64_t narrowHeights[] = {1, 2, 4, 6};
static constexpr int64_t wideHeights[] = {StripProduct::wideRows};
/// How many turns ahead a tile asks that reads its part from memory itself, as
/// tried (0006), and how many rows of codes are not decoded for longer.
static constexpr int64_t turnsAhead = 4, turnsOfBytes = 2, mostOfCodes = 2;

/// The halves of words of two bf16, as f32.
static Emitter::Vals halves(Emitter &e, Val words) {
  auto type = cast<VectorType>(words.type()).clone(e.getI32Type());
  Val bits = e.regroup(words, type);
  return {e.bitcast(bits << 16, e.real), e.bitcast(bits >> 16 << 16, e.real)};
}

/// How many values of an output lie together.
int64_t StripProduct::inStep(const Tile &tile) const {
  if (tile.fromPanel)
    return pairs ? 2 : 1;
  return 32 / weight().bits();
}

int64_t StripProduct::inTurn(const Tile &tile) const {
  return stripTurn * inStep(tile);
}

/// Of one output each, at one step of the depth: values to multiply one after
/// the other.
Emitter::Vals StripProduct::plainValues(const Tile &tile, Val c,
                                        int64_t vector) {
  int64_t count = inStep(tile) * l.lanes;
  Val at = tile.first * inStep(tile) + double(vector * count);
  if (tile.fromPanel)
    return {e.loadRaw(
        panel,
        {e.index(0), e.index(0), (c - tile.part.begin) * stripOutputs + at},
        count, count)};
  Val values = e.loadRaw(
      tile.part.strips.values,
      {tile.part.expert, tile.part.strip, c * stripOutputs + at}, count, count);
  if (!hasHalves())
    return {values};
  return halves(e, e.regroup(values, VectorType::get(l.lanes, e.real)));
}

/// Two values of a row, in all lanes.
Val StripProduct::pairOf(Val source, Val c) {
  Val both = e.loadRaw(product.x, {source, c}, 2, 2);
  Val word = e.extract(e.regroup(both, VectorType::get(1, e.real)), 0);
  return e.broadcast(word, l.lanes);
}

/// Those of one row, in all lanes.
Emitter::Vals StripProduct::rowValues(const Tile &tile, Val source, Val c) {
  Type element = cast<MemRefType>(product.x.getType()).getElementType();
  if (inStep(tile) == 2 && element.isBF16()) {
    Val words = pairOf(source, c);
    if (pairs)
      return {e.regroup(words, VectorType::get(2 * l.lanes, element))};
    return halves(e, words);
  }
  Emitter::Vals values;
  for (int64_t i = 0; i < inStep(tile); ++i)
    values.push_back(
        e.broadcast(e.load(product.x, {source, c + double(i)}), l.lanes));
  return values;
}

/// What `count` tiles of a part ask for as they go. One that is alone and waits
/// for memory had better ask in the order in which it reads: tried, 0006.
StripProduct::Part StripProduct::toAsk(const Tile &tile, Val count) {
  if (tile.fromPanel)
    return tile.next;
  Val isAlone = count == 1;
  if (hasCodes)
    isAlone = isAlone & (tile.rowEnd - tile.rowBegin <= double(mostOfCodes));
  const Part &part = tile.part, &next = tile.next;
  int64_t turns = weight().bits() == 8 ? turnsOfBytes : turnsAhead;
  double ahead = turns * inTurn(tile);
  Val values =
      e.select(isAlone, e.val(part.strips.values), e.val(next.strips.values));
  return {{values, Value()},
          e.select(isAlone, part.expert, next.expert),
          e.select(isAlone, part.strip, next.strip),
          e.select(isAlone, part.begin + ahead, next.begin)};
}

/// Some lines of what will be read, at each turn.
void StripProduct::askAhead(const Tile &tile, Val c) {
  const Part &next = tile.next;
  int64_t perElement = weight().perElement();
  int64_t inLine = weight().valuesPerLine() / perElement,
          ofPlace = stripOutputs / perElement;
  Val begin = (c - tile.part.begin + next.begin) * ofPlace;
  auto ask = [&](Val line, int64_t lines) {
    Val at = begin + (tile.firstAsked + line) * inLine;
    for (int64_t i = 0; i < lines; ++i)
      e.prefetch(next.strips.values,
                 {next.expert, next.strip, at + double(i * inLine)});
  };
  constexpr int64_t many = 8; // a tile that is alone asks for more
  Val ofMany = tile.asked / many * many;
  e.loop(e.index(0), ofMany, [&](Val line) { ask(line, many); }, many);
  e.loop(ofMany, tile.asked, [&](Val line) { ask(line, 1); });
}

/// Adds a part of the depth to the sums of the block, for rows from `row` on.
/// Of rows past the last one the sums are of that one, and nobody reads them.
void StripProduct::addTile(const Place &place, const Tile &tile, Val row,
                           int64_t rows, int64_t vectors) {
  SmallVector<Val> sources;
  for (int64_t r = 0; r < rows; ++r)
    sources.push_back(product.row(e.min(row + double(r), place.rowEnd - 1)));
  auto advance = [&](Val c, ArrayRef<Val> sums) {
    Emitter::Vals next(sums);
    SmallVector<Emitter::Vals> ws;
    for (int64_t vector = 0; vector < vectors; ++vector)
      ws.push_back(plainValues(tile, c, vector));
    for (int64_t r = 0; r < rows; ++r)
      for (auto [i, x] : llvm::enumerate(rowValues(tile, sources[r], c)))
        for (int64_t vector = 0; vector < vectors; ++vector) {
          Val &sum = next[r * vectors + vector];
          sum = e.multiplyAdd(ws[vector][i], x, sum);
        }
    return next;
  };
  int64_t step = inStep(tile);
  auto turn = [&](Val c, ArrayRef<Val> sums) {
    askAhead(tile, c);
    Val end = c + double(inTurn(tile));
    if (hasCodes && !tile.fromPanel) {
      Emitter::Vals keys = keysOfTurn(tile, c, vectors);
      auto coded = [&](Val c, ArrayRef<Val> sums) {
        return codedStep(tile, sources, c, keys, sums);
      };
      return e.carry(c, end, sums, coded, step);
    }
    // Unrolled, compilers would first make numbers of all words of the turn.
    if (hasHalves())
      return e.carry(c, end, sums, advance, step);
    Emitter::Vals next(sums);
    for (int64_t i = 0; i < stripTurn; ++i)
      next = advance(c + double(i * step), next);
    return next;
  };
  Emitter::Vals sums = e.carry(tile.part.begin, tile.end, zeros(rows * vectors),
                               turn, inTurn(tile));
  Val column = tile.part.strip * stripOutputs + tile.first - place.outBegin;
  for (int64_t r = 0; r < rows; ++r)
    for (int64_t vector = 0; vector < vectors; ++vector) {
      SmallVector<Val> at = {row + double(r) - place.rowBegin,
                             column + double(vector * l.lanes)};
      Val sum = sums[r * vectors + vector];
      if (blocks.depthChunk < product.depth())
        sum = sum + e.loadVector(tile.sums, at, l.lanes, l.lanes);
      e.storeVector(sum, tile.sums, at, l.lanes);
    }
}

/// Tiles of at most `heights.back()` rows, which share the asking.
void StripProduct::addTiles(const Place &place, Tile tile,
                            ArrayRef<int64_t> heights, int64_t vectors) {
  int64_t most = heights.back(), outs = vectors * l.lanes;
  int64_t parts = stripOutputs / outs;
  Val tiles = (tile.rowEnd - tile.rowBegin + double(most - 1)) / most;
  Val count = tiles * parts;
  // Values of a turn fill so many lines of memory.
  int64_t turnLines = inTurn(tile) * stripOutputs / weight().valuesPerLine();
  Val asked = (count + double(turnLines - 1)) / count;
  tile.next = toAsk(tile, count);
  if (tile.asks.value)
    asked = e.select(tile.asks, asked, e.index(0));
  auto part = [&](Val row, Val number, Val first) {
    tile.first = first;
    tile.firstAsked = number * asked;
    tile.asked =
        e.select(tile.firstAsked < double(turnLines), asked, e.index(0));
    Val left = tile.rowEnd - row;
    int64_t below = 0;
    for (int64_t height : heights) {
      Val fits = left > double(below);
      if (height < most)
        fits = fits & (left <= double(height));
      e.when(fits, [&] { addTile(place, tile, row, height, vectors); });
      below = height;
    }
  };
  e.loop(tiles, [&](Val number) {
    Val row = tile.rowBegin + number * most;
    if (parts == 1)
      return part(row, number, e.index(0));
    e.loop(e.index(parts),
           [&](Val p) { part(row, number * parts + p, p * outs); });
  });
}

int64_t StripProduct::mostVectors() const {
  int64_t vectors = l.unit.core.registers >= 32 ? 4 : 2;
  return std::min(hasHalves() ? vectors / 2 : vectors, stripOutputs / l.lanes);
}

/// Weights that are multiplied as they come from memory.
void StripProduct::plainTiles(const Place &place, const Tile &tile) {
  if (l.unit.core.registers < 32) // they would hold no wide tile
    return narrowTiles(place, tile);
  Val rows = place.rowEnd - place.rowBegin;
  Val isWide = (rows > double(blocks.tileRows)) & (rows <= double(wideRows));
  e.when(isWide, [&] {
    addTiles(place, tile, wideHeights, std::max<int64_t>(mostVectors() / 2, 1));
  });
  e.when(isWide == 0, [&] { narrowTiles(place, tile); });
}

void StripProduct::narrowTiles(const Place &place, const Tile &tile) {
  addTiles(place, tile, narrowHeights, mostVectors());
}
