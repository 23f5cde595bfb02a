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

#include "VectorProduct.h"

#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/IR/BuiltinTypes.h"

using namespace mlir;
using namespace moe;

/// Rows that one tile takes for half as many outputs: the time goes to weights
/// that come from memory, and each is read once.
static constexpr int64_t wideRows = 12;
/// Tiles of other heights take as long as one of the next that is here, where
/// they do not wait for memory anyway. Each is code that has to be compiled.
static constexpr int64_t narrowHeights[] = {1, 2, 4, 6};
static constexpr int64_t wideHeights[] = {wideRows};
/// How many turns ahead a tile asks that reads its part from memory itself, as
/// tried (0006), and how many rows of codes are not decoded for longer.
static constexpr int64_t turnsAhead = 4, turnsOfBytes = 2, mostOfCodes = 2;

int64_t VectorProduct::stripRows() const {
  return std::max(blocks.rowBlock, wideRows);
}

/// The halves of words of two bf16, as f32.
static Emitter::Vals halves(Emitter &e, Val words) {
  auto type = cast<VectorType>(words.type()).clone(e.getI32Type());
  Val bits = e.regroup(words, type);
  return {e.bitcast(bits << 16, e.real), e.bitcast(bits >> 16 << 16, e.real)};
}

/// How many values of an output lie together.
int64_t VectorProduct::inStep(const StripTile &tile) const {
  if (tile.fromPanel)
    return pairs ? 2 : 1;
  return 32 / tile.weight->bits();
}

int64_t VectorProduct::inTurn(const StripTile &tile) const {
  return stripTurn * inStep(tile);
}

/// Of one output each, at one step of the depth: values to multiply one after
/// the other.
Emitter::Vals VectorProduct::stripWeights(const StripTile &tile, Val c,
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
Val VectorProduct::stripPairs(Val source, Val c) {
  Val both = e.loadRaw(product.x, {source, c}, 2, 2);
  Val word = e.extract(e.regroup(both, VectorType::get(1, e.real)), 0);
  return e.broadcast(word, l.lanes);
}

/// Those of one row, in all lanes.
Emitter::Vals VectorProduct::stripRow(const StripTile &tile, Val source,
                                      Val c) {
  Type element = cast<MemRefType>(product.x.getType()).getElementType();
  if (inStep(tile) == 2 && element.isBF16()) {
    Val words = stripPairs(source, c);
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
/// for memory goes through it in order, which is faster than in two places.
VectorProduct::StripPart VectorProduct::toAsk(const StripTile &tile,
                                              Val count) {
  if (tile.fromPanel)
    return tile.next;
  Val isAlone = count == 1;
  if (hasCodes)
    isAlone = isAlone & (tile.rowEnd - tile.rowBegin <= double(mostOfCodes));
  const StripPart &part = tile.part, &next = tile.next;
  int64_t turns = tile.weight->bits() == 8 ? turnsOfBytes : turnsAhead;
  double ahead = turns * inTurn(tile);
  Val values =
      e.select(isAlone, e.val(part.strips.values), e.val(next.strips.values));
  return {{values, Value()},
          e.select(isAlone, part.expert, next.expert),
          e.select(isAlone, part.strip, next.strip),
          e.select(isAlone, part.begin + ahead, next.begin)};
}

/// Some lines of what will be read, at each turn.
void VectorProduct::askForStrip(const StripTile &tile, Val c) {
  const StripPart &next = tile.next;
  int64_t perElement = tile.weight->perElement();
  int64_t inLine = tile.weight->valuesPerLine() / perElement,
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
void VectorProduct::stripTile(const Place &place, const StripTile &tile,
                              Val row, int64_t rows, int64_t vectors) {
  SmallVector<Val> sources;
  for (int64_t r = 0; r < rows; ++r)
    sources.push_back(product.row(e.min(row + double(r), place.rowEnd - 1)));
  auto advance = [&](Val c, ArrayRef<Val> sums) {
    Emitter::Vals next(sums);
    SmallVector<Emitter::Vals> ws;
    for (int64_t vector = 0; vector < vectors; ++vector)
      ws.push_back(stripWeights(tile, c, vector));
    for (int64_t r = 0; r < rows; ++r)
      for (auto [i, x] : llvm::enumerate(stripRow(tile, sources[r], c)))
        for (int64_t vector = 0; vector < vectors; ++vector) {
          Val &sum = next[r * vectors + vector];
          sum = e.multiplyAdd(ws[vector][i], x, sum);
        }
    return next;
  };
  int64_t step = inStep(tile);
  auto turn = [&](Val c, ArrayRef<Val> sums) {
    askForStrip(tile, c);
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
void VectorProduct::stripTiles(const Place &place, StripTile tile,
                               ArrayRef<int64_t> heights, int64_t vectors) {
  int64_t most = heights.back(), outs = vectors * l.lanes;
  int64_t parts = stripOutputs / outs;
  Val tiles = (tile.rowEnd - tile.rowBegin + double(most - 1)) / most;
  Val count = tiles * parts;
  // Values of a turn fill so many lines of memory.
  int64_t turnLines =
      inTurn(tile) * stripOutputs / tile.weight->valuesPerLine();
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
      e.when(fits, [&] { stripTile(place, tile, row, height, vectors); });
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

int64_t VectorProduct::stripVectors() const {
  int64_t vectors = l.unit.core.registers >= 32 ? 4 : 2;
  return std::min(hasHalves() ? vectors / 2 : vectors, stripOutputs / l.lanes);
}

/// Weights that are multiplied as they come from memory.
void VectorProduct::plainStrip(const Place &place, const StripTile &tile) {
  if (l.unit.core.registers < 32) // they would hold no wide tile
    return narrowTiles(place, tile);
  Val rows = place.rowEnd - place.rowBegin;
  Val isWide = (rows > double(blocks.tileRows)) & (rows <= double(wideRows));
  e.when(isWide, [&] {
    stripTiles(place, tile, wideHeights,
               std::max<int64_t>(stripVectors() / 2, 1));
  });
  e.when(isWide == 0, [&] { narrowTiles(place, tile); });
}

void VectorProduct::narrowTiles(const Place &place, const StripTile &tile) {
  stripTiles(place, tile, narrowHeights, stripVectors());
}

/// One of several buffers; their layouts may begin, and have experts, anywhere.
static Value pick(Emitter &e, ValueRange buffers, Val number) {
  auto type = cast<MemRefType>(buffers.front().getType());
  bool areAlike = llvm::all_equal(buffers.getTypes());
  if (!areAlike) {
    SmallVector<int64_t> strides = type.getStridesAndOffset().first;
    strides.front() = ShapedType::kDynamic;
    type = MemRefType::get(
        type.getShape(), type.getElementType(),
        StridedLayoutAttr::get(e.getContext(), ShapedType::kDynamic, strides));
  }
  Val picked;
  for (auto [i, buffer] : llvm::enumerate(buffers)) {
    Val other =
        e.val(areAlike ? buffer : memref::CastOp::create(e, type, buffer));
    picked = i ? e.select(number == double(i), other, picked) : other;
  }
  return picked;
}

/// The strips of one of the weights, `number` being one at run time.
VectorProduct::Strips VectorProduct::stripsOf(Val number) {
  SmallVector<Value> values, scales;
  for (const Strips &each : strips) {
    values.push_back(each.values);
    if (each.scales)
      scales.push_back(each.scales);
  }
  return {pick(e, values, number),
          scales.empty() ? Value() : pick(e, scales, number)};
}

/// All rows and outputs of a block, a part of each weight after the other.
/// Weights are alike: the same code goes over all of them.
void VectorProduct::stripRowsAndOutputs(const Place &place) {
  clearSums(place);
  int64_t depth = product.depth();
  Val none = e.index(0);
  auto expert = [&](Val number) { return product.isGrouped() ? number : none; };
  auto ofChunk = [&](Val out, Val begin) {
    Val nextBegin = begin + blocks.depthChunk;
    Val isInside = nextBegin < double(depth);
    Val nextOut = out + stripOutputs;
    Val isInBlock = isInside | (nextOut < place.outEnd);
    nextOut =
        e.select(isInside, out, e.select(isInBlock, nextOut, place.after.out));
    Val nextExpert = e.select(isInBlock, place.expert, place.after.expert);
    nextBegin = e.select(isInside, nextBegin, none);
    e.loop(e.index(weights.size()), [&](Val number) {
      Val isLast = number + 1 == double(weights.size());
      auto next = [&](Val after, Val same) {
        return e.select(isLast, after, same);
      };
      Val strip = out / stripOutputs;
      StripTile tile;
      tile.weight = weights.begin();
      tile.part = {stripsOf(number), expert(place.expert), strip, begin};
      tile.next = {stripsOf(next(none, number + 1)),
                   expert(next(nextExpert, place.expert)),
                   next(nextOut / stripOutputs, strip), next(nextBegin, begin)};
      tile.fromPanel = false;
      tile.isUsual = true;
      tile.rowBegin = place.rowBegin;
      tile.rowEnd = place.rowEnd;
      tile.sums = pick(e, sums, number);
      tile.end = e.min(begin + blocks.depthChunk, e.index(depth));
      if (hasCodes)
        codedStrip(place, tile);
      else
        plainStrip(place, tile);
    });
  };
  e.loop(
      place.outBegin, place.outEnd,
      [&](Val out) {
        e.loop(
            none, e.index(depth), [&](Val begin) { ofChunk(out, begin); },
            blocks.depthChunk);
      },
      stripOutputs);
}
