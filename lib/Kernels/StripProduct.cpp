//===- StripProduct.cpp - Products of packed weights ----------------------===//
//
// Part of moe-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Weights are alike: the same code goes over all of them, a part of each after
// the other.
//
//===----------------------------------------------------------------------===//

#include "StripProduct.h"

#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/IR/BuiltinTypes.h"

using namespace mlir;
using namespace moe;

StripProduct::StripProduct(Lowering &l, const Product &product)
    : VectorProduct(l, product), hasCodes(shape.hasCodes()) {
  for (const Weight &weight : weights)
    strips.push_back({weight.strips(), weight.scaleStrips()});
}

int64_t StripProduct::mostRows() const {
  return std::max(blocks.rowBlock, wideRows);
}

void StripProduct::allocatePanel() {
  if (hasCodes)
    panel = e.local(computed(), {1, 1, stripOutputs * blocks.depthChunk});
}

Val StripProduct::scaled(const Weight &weight, Val sum,
                         ArrayRef<Val> at) const {
  return weight.stripFactor(sum, at);
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
StripProduct::Strips StripProduct::stripsOf(Val number) {
  SmallVector<Value> values, scales;
  for (const Strips &each : strips) {
    values.push_back(each.values);
    if (each.scales)
      scales.push_back(each.scales);
  }
  return {pick(e, values, number),
          scales.empty() ? Value() : pick(e, scales, number)};
}

void StripProduct::sumBlock(const Place &place) {
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
      Tile tile;
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
        codedPart(place, tile);
      else
        plainTiles(place, tile);
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
