//===- StripCodes.cpp - Packed weights of few bits ------------------------===//
//
// Part of moe-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Pairs of bf16 are decoded in registers as they are multiplied, a word of each
// output at a time: decoding takes other units of a CPU than multiply-adds do.
// For many rows, and where there are no pairs, a part of the strip is decoded
// once into memory of the thread's own, where it lies as a plain one does.
//
//===----------------------------------------------------------------------===//

#include "StripProduct.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"
#include "mlir/IR/BuiltinTypes.h"

using namespace mlir;
using namespace moe;

/// Rows of a tile, and for how many vectors of outputs. More leave no registers
/// for codes and keys.
static constexpr int64_t mostFew = 4, fewVectors = 4;
static constexpr int64_t fewHeights[] = {1, 2, mostFew};
static constexpr int64_t wholeHeight = 8, wholeVectors = 2;
static constexpr int64_t wholeHeights[] = {wholeHeight};
/// Of more rows, which come from the second-level cache then, a tile had better
/// take all outputs.
static constexpr int64_t mostWithoutPanel = 48;
static constexpr int64_t panelHeights[] = {6};

/// A word of each output.
Val StripProduct::wordsAt(const Tile &tile, Val c, Val first) {
  int64_t bytes = 4 * l.lanes, ofPlace = stripOutputs / weight().perElement();
  Val at = c * ofPlace + first * 4;
  Val found = e.loadRaw(tile.part.strips.values,
                        {tile.part.expert, tile.part.strip, at}, bytes, bytes);
  return e.regroup(found, VectorType::get(l.lanes, e.getI32Type()));
}

/// The scale of each output, which a turn has in common.
Val StripProduct::scaleBytes(const Tile &tile, Val c, Val first) {
  Val at = c / inTurn(tile) * stripOutputs + first;
  return e.loadRaw(tile.part.strips.scales,
                   {tile.part.expert, tile.part.strip, at}, l.lanes, l.lanes);
}

Emitter::Vals StripProduct::keysOfTurn(const Tile &tile, Val c,
                                       int64_t vectors) {
  Emitter::Vals keys(vectors, Val());
  if (!tile.part.strips.scales)
    return keys;
  for (int64_t vector = 0; vector < vectors; ++vector) {
    Val bytes = scaleBytes(tile, c, tile.first + double(vector * l.lanes));
    keys[vector] =
        tile.isUsual ? weight().stripKey(bytes) : weight().stripScales(bytes);
  }
  return keys;
}

/// Pairs of the depth, one after the other.
Emitter::Vals StripProduct::codedStep(const Tile &tile, ArrayRef<Val> sources,
                                      Val c, ArrayRef<Val> keys,
                                      ArrayRef<Val> sums) {
  Emitter::Vals next(sums), words;
  size_t vectors = keys.size();
  for (size_t vector = 0; vector < vectors; ++vector)
    words.push_back(wordsAt(tile, c, tile.first + double(vector * l.lanes)));
  auto type = VectorType::get(2 * l.lanes, e.getBF16Type());
  for (int64_t i = 0; i < inStep(tile) / 2; ++i) {
    Emitter::Vals ws;
    for (size_t vector = 0; vector < vectors; ++vector)
      ws.push_back(tile.isUsual
                       ? weight().stripPair(words[vector], i, keys[vector])
                       : weight().productPair(words[vector], i, keys[vector]));
    for (auto [r, source] : llvm::enumerate(sources)) {
      Val x = e.regroup(pairOf(source, c + double(2 * i)), type);
      for (size_t vector = 0; vector < vectors; ++vector) {
        Val &sum = next[r * vectors + vector];
        sum = e.multiplyAdd(ws[vector], x, sum);
      }
    }
  }
  return next;
}

/// Whether keys can be made of all scales; null if there are none.
Val StripProduct::areUsual(const Tile &tile) {
  if (!tile.part.strips.scales)
    return {};
  auto type = VectorType::get(stripOutputs, e.getI8Type());
  auto add = [&](Val c, ArrayRef<Val> found) {
    Val at = c / inTurn(tile) * stripOutputs;
    Val bytes = e.loadRaw(tile.part.strips.scales,
                          {tile.part.expert, tile.part.strip, at}, stripOutputs,
                          stripOutputs);
    Val above = bytes - double(Weight::leastUsualScale);
    return Emitter::Vals{
        e.val(arith::MaxUIOp::create(e, found[0], above).getResult())};
  };
  Val most = e.carry(tile.part.begin, tile.end, {e.constant(type, 0)}, add,
                     inTurn(tile))[0];
  most =
      e.val(vector::ReductionOp::create(e, vector::CombiningKind::MAXUI, most));
  return e.extend(most, e.getI32Type()) <=
         double(Weight::mostUsualScale - Weight::leastUsualScale);
}

void StripProduct::decodePart(const Tile &tile) {
  int64_t step = inStep(tile), inPanel = pairs ? 2 : 1;
  auto decode = [&](Val c, Val key, Val first) {
    Val words = wordsAt(tile, c, first);
    for (int64_t i = 0; i < step; i += inPanel) {
      Val value = pairs ? weight().stripPair(words, i / 2, key)
                        : weight().stripNumber(words, i, key);
      Val at =
          (c - tile.part.begin + double(i)) * stripOutputs + first * inPanel;
      e.storeVector(value, panel, {e.index(0), e.index(0), at},
                    l.lanes * inPanel);
    }
  };
  auto ofVector = [&](Val turn, Val first) {
    Val key;
    if (tile.part.strips.scales) {
      Val bytes = scaleBytes(tile, turn, first);
      key = pairs ? weight().stripKey(bytes) : weight().stripScales(bytes);
    }
    e.loop(
        turn, turn + double(inTurn(tile)),
        [&](Val c) { decode(c, key, first); }, step);
  };
  auto ofTurn = [&](Val turn) {
    e.loop(
        e.index(0), e.index(stripOutputs),
        [&](Val first) { ofVector(turn, first); }, l.lanes);
  };
  e.loop(tile.part.begin, tile.end, ofTurn, inTurn(tile));
}

/// Whole tiles, and less than half of one as one of few rows.
void StripProduct::codedTiles(const Place &place, const Tile &tile) {
  Val left = (place.rowEnd - place.rowBegin) % double(wholeHeight);
  Val end = place.rowEnd - e.select(left <= double(mostFew), left, e.index(0));
  Tile whole = tile;
  whole.rowEnd = end;
  Val areWhole = end > place.rowBegin;
  e.when(areWhole, [&] { addTiles(place, whole, wholeHeights, wholeVectors); });
  Tile rest = tile;
  rest.rowBegin = end;
  rest.asks = areWhole == 0;
  e.when(end < place.rowEnd,
         [&] { addTiles(place, rest, fewHeights, fewVectors); });
}

void StripProduct::codedPart(const Place &place, Tile tile) {
  Tile decoded = tile;
  decoded.fromPanel = true;
  if (!pairs) {
    decodePart(tile);
    return narrowTiles(place, decoded);
  }
  auto ofPairs = [&] {
    Val areMany = place.rowEnd - place.rowBegin > double(mostWithoutPanel);
    e.when(areMany, [&] {
      decodePart(tile);
      addTiles(place, decoded, panelHeights, mostVectors());
    });
    e.when(areMany == 0, [&] { codedTiles(place, tile); });
  };
  Val usual = areUsual(tile);
  if (!usual.value)
    return ofPairs();
  e.when(usual, ofPairs);
  // Others are rare: less code is better than the fastest.
  tile.isUsual = false;
  e.when(usual == 0, [&] { addTiles(place, tile, wholeHeights, 1); });
}
