//===- StripCodes.cpp - Packed weights of few bits ------------------------===//
//
// Part of moe-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Few rows decode in registers what they multiply, a word of each output at a
// time. For more, a part of the strip is decoded once into memory of the
// thread's own, where it lies as a plain one does. Values and their order are
// the same.
//
//===----------------------------------------------------------------------===//

#include "VectorProduct.h"

#include "mlir/Dialect/Vector/IR/VectorOps.h"
#include "mlir/IR/BuiltinTypes.h"

using namespace mlir;
using namespace moe;

/// Rows that decode in registers, and for how many vectors of outputs at once.
/// More leave no registers for codes and keys.
static constexpr int64_t fewHeights[] = {1, 2, 4}, someHeights[] = {8};

/// A word of each output.
Val VectorProduct::stripWords(const StripTile &tile, Val c, Val first) {
  int64_t bytes = 4 * l.lanes,
          ofPlace = stripOutputs / tile.weight->perElement();
  Val at = c * ofPlace + first * 4;
  Val found = e.loadRaw(tile.part.strips.values,
                        {tile.part.expert, tile.part.strip, at}, bytes, bytes);
  return e.regroup(found, VectorType::get(l.lanes, e.getI32Type()));
}

/// The scale of each output, which a turn has in common.
Val VectorProduct::scaleBytes(const StripTile &tile, Val c, Val first) {
  Val at = c / inTurn(tile) * stripOutputs + first;
  return e.loadRaw(tile.part.strips.scales,
                   {tile.part.expert, tile.part.strip, at}, l.lanes, l.lanes);
}

Emitter::Vals VectorProduct::keysOfTurn(const StripTile &tile, Val c,
                                        int64_t vectors) {
  Emitter::Vals keys(vectors, Val());
  if (tile.part.strips.scales)
    for (int64_t vector = 0; vector < vectors; ++vector)
      keys[vector] = tile.weight->stripKey(
          scaleBytes(tile, c, tile.first + double(vector * l.lanes)));
  return keys;
}

/// Pairs of the depth, one after the other.
Emitter::Vals VectorProduct::codedStep(const StripTile &tile,
                                       ArrayRef<Val> sources, Val c,
                                       ArrayRef<Val> keys, ArrayRef<Val> sums) {
  Emitter::Vals next(sums), words;
  size_t vectors = keys.size();
  for (size_t vector = 0; vector < vectors; ++vector)
    words.push_back(stripWords(tile, c, tile.first + double(vector * l.lanes)));
  auto type = VectorType::get(2 * l.lanes, e.getBF16Type());
  for (int64_t i = 0; i < inStep(tile) / 2; ++i) {
    Emitter::Vals ws;
    for (size_t vector = 0; vector < vectors; ++vector)
      ws.push_back(tile.weight->stripPair(words[vector], i, keys[vector]));
    for (auto [r, source] : llvm::enumerate(sources)) {
      Val x = e.regroup(stripPairs(source, c + double(2 * i)), type);
      for (size_t vector = 0; vector < vectors; ++vector) {
        Val &sum = next[r * vectors + vector];
        sum = e.multiplyAdd(ws[vector], x, sum);
      }
    }
  }
  return next;
}

/// Whether keys can be made of all scales; null if there are none.
Val VectorProduct::areUsual(const StripTile &tile) {
  if (!tile.part.strips.scales)
    return {};
  auto type = VectorType::get(l.lanes, e.getI32Type());
  auto add = [&](Val c, ArrayRef<Val> found) {
    Val all = found[0];
    for (int64_t first = 0; first < stripOutputs; first += l.lanes)
      all = all | tile.weight->unusual(scaleBytes(tile, c, e.index(first)));
    return Emitter::Vals{all};
  };
  Val all = e.carry(tile.part.begin, tile.end, {e.constant(type, 0)}, add,
                    inTurn(tile))[0];
  return e.val(vector::ReductionOp::create(e, vector::CombiningKind::OR,
                                           all)) >= 0;
}

void VectorProduct::decodeStrip(const StripTile &tile, bool areUsual) {
  const Weight &weight = *tile.weight;
  int64_t step = inStep(tile), inPanel = pairs ? 2 : 1;
  auto decode = [&](Val c, Val key, Val first) {
    Val words = stripWords(tile, c, first);
    for (int64_t i = 0; i < step; i += inPanel) {
      Val value = !pairs ? weight.stripNumber(words, i, key)
                  : areUsual
                      ? weight.stripPair(words, i / 2, key)
                      : weight.joined(weight.stripNumber(words, i, key),
                                      weight.stripNumber(words, i + 1, key));
      Val at =
          (c - tile.part.begin + double(i)) * stripOutputs + first * inPanel;
      e.storeVector(value, panel, {e.index(0), e.index(0), at},
                    l.lanes * inPanel);
    }
  };
  e.loop(
      tile.part.begin, tile.end,
      [&](Val c) {
        e.loop(
            e.index(0), e.index(stripOutputs),
            [&](Val first) {
              Val key;
              if (tile.part.strips.scales) {
                Val bytes = scaleBytes(tile, c, first);
                key = areUsual && pairs ? weight.stripKey(bytes)
                                        : weight.stripScales(bytes);
              }
              e.loop(
                  c, c + double(inTurn(tile)),
                  [&](Val c) { decode(c, key, first); }, step);
            },
            l.lanes);
      },
      inTurn(tile));
}

void VectorProduct::codedStrip(const Place &place, StripTile tile) {
  Val rows = place.rowEnd - place.rowBegin;
  Val usual = pairs ? areUsual(tile) : Val();
  auto fromPanel = [&] {
    if (usual.value)
      e.when(usual == 0, [&] { decodeStrip(tile, false); });
    auto decode = [&] { decodeStrip(tile, true); };
    if (usual.value)
      e.when(usual, decode);
    else
      decode();
    tile.fromPanel = true;
    narrowTiles(place, tile);
  };
  if (!pairs)
    return fromPanel();
  Val few = rows <= double(someHeights[0]);
  if (usual.value)
    few = few & usual;
  e.when(few == 0, fromPanel);
  tile.fromPanel = false;
  e.when(few, [&] {
    int64_t below = 0;
    auto tiles = [&](ArrayRef<int64_t> heights, int64_t vectors) {
      e.when((rows > double(below)) & (rows <= double(heights.back())),
             [&] { stripTiles(place, tile, heights, vectors); });
      below = heights.back();
    };
    tiles(fewHeights, 4);
    tiles(someHeights, 2);
  });
}
