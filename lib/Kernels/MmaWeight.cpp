//===- MmaWeight.cpp - Weights as matrix instructions take them -----------===//
//
// Part of moe-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Codes have so few bits that bf16 and f16 hold what they stand for. Scales of
// blocks are applied to the sums of a block, in f32; those that are floats of 8
// bits themselves become part of the values.
//
//===----------------------------------------------------------------------===//

#include "MmaTile.h"

using namespace mlir;
using namespace moe;

static Staged stagedOf(const Weight &weight) {
  Type element = cast<MemRefType>(weight.stored().getType()).getElementType();
  return {element, weight.perElement(), mmaShape.outputs};
}

bool StagedWeight::fits(const Weight &weight, Type element) {
  // Copies start where 16 bytes do.
  if (weight.holds(element))
    return weight.isCompact() && weight.depth() % 8 == 0;
  Weight folded = weight;
  folded.usePairs();
  return weight.isCompact() && weight.isExactIn(element) &&
         weight.depth() % mmaShape.depth == 0 &&
         weight.storedBlock() % mmaDepth(element) == 0 &&
         folded.block() % mmaShape.depth == 0;
}

int64_t StagedWeight::bytes(const Weight &weight) {
  return stagedOf(weight).bytes();
}

StagedWeight::StagedWeight(Lowering &l, const Product &product,
                           const Weight &weight, Type element,
                           const ProductTile &tile, int64_t begin)
    : weight(weight), staged(stagedOf(weight)), e(l.e), product(product),
      tile(tile), element(element),
      lane(tile.thread % double(Emitter::lanesOfWarp)) {
  staged.memory = staged.view(e, tile.shared, begin, staged.element);
  if (weight.holds(element))
    return;
  this->weight.usePairs(); // their scales of 8 bits
  unsigned bits = 2 * staged.bits() / staged.perElement;
  pairs = {e.getIntegerType(bits), 2, staged.lines};
  pairs.memory = staged.view(e, tile.shared, begin, pairs.element);
}

/// Where an output of the tile is; for what is past the last one, the first.
SmallVector<Val, 3> StagedWeight::at(Val out, Val c) const {
  Val o = tile.out + out;
  Val isInside = o < double(product.outputs());
  return product.at(tile.expert, e.select(isInside, o, tile.out), c);
}

Value moe::packPair(Emitter &e, Type element, Val low, Val high) {
  Type i32 = e.getI32Type();
  if (element.isF16())
    return e.cast(e.gather({low, high}), element);
  // bf16 is the upper half of an f32 that it holds.
  Val lower = e.bitcast(low, i32) >> 16;
  Val upper = e.bitcast(high, i32) & double(int32_t(0xFFFF0000));
  return lower | upper;
}

Value StagedWeight::decodePair(Val stage, Val line, Val place, Val key) const {
  Val both = e.load(pairs.memory, {stage, line, place / 2.0});
  int64_t bits = int64_t(both.type().getIntOrFloatBitWidth()) / 2;
  both = e.extend(both, e.getI32Type());
  Val low = weight.decode(both & double((1 << bits) - 1), key);
  Val high = weight.decode(both >> double(bits), key);
  return packPair(e, element, low, high);
}

SmallVector<Value> StagedWeight::fragments(Val stage, Val out, int64_t place,
                                           Val begin) const {
  bool isFp8 = element.getIntOrFloatBitWidth() == 8;
  if (!pairs.memory || isFp8) {
    const Staged &from = isFp8 ? pairs : staged;
    int64_t first = place / from.perElement;
    Val even = lane / 8.0 % 2.0, inEight = lane % 8.0, high = lane / 16.0;
    return loadMatrices(e, from, stage, out + high * 8.0 + inEight,
                        even * 8.0 + double(first));
  }
  SmallVector<Value> result;
  for (int64_t eight : {0, 8}) {
    Val line = out + double(eight) + lane / 4.0;
    Val first = lane % 4.0 * 2.0 + double(place);
    Val key = weight.codeKey(at(line, begin + double(place)));
    for (int64_t half : {0, 8})
      result.push_back(decodePair(stage, line, first + double(half), key));
  }
  return result;
}

Val StagedWeight::scaleAt(Val out, Val c) const {
  // One address where a tile lies in one block.
  if (weight.isE4m3() && weight.scaledOutputs() % mmaShape.outputs == 0)
    out = e.index(0);
  return weight.scaleAt(at(out, c));
}

Val StagedWeight::finish(Val sum, Val out) const {
  return weight.applyGlobalScale(sum, at(out, e.index(0)));
}
