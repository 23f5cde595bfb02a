//===- VectorProduct.cpp - Products of vectors, on all threads ------------===//
//
// Part of moe-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "RowProduct.h"
#include "StripProduct.h"

#include "mlir/IR/BuiltinTypes.h"

using namespace mlir;
using namespace moe;

VectorProduct::VectorProduct(Lowering &l, const Product &product)
    : l(l), e(l.e), product(product),
      weights(product.weights.begin(), product.weights.end()) {
  Type element = cast<MemRefType>(product.x.getType()).getElementType();
  pairs = l.unit.bf16Dot && element.isBF16() &&
          llvm::all_of(weights, [](const Weight &w) { return w.fitsPairs(); });
  if (pairs)
    for (Weight &weight : weights)
      weight.usePairs();
  shape.outputs = product.outputs();
  shape.depth = product.depth();
  shape.weights = weights.size();
  shape.xBytes = pairs ? 2 : 4;
  shape.weightBits = weights.front().bits();
  shape.decoded = !isHeldAs(computed());
  shape.packed = weights.front().isPacked();
  if (!shape.packed)
    shape.block = weights.front().block();
  blocks = chooseBlocks(l.unit.core, shape, l.unit.blocks);
}

std::unique_ptr<VectorProduct> VectorProduct::make(Lowering &l,
                                                   const Product &product) {
  if (product.weights.front().isPacked())
    return std::make_unique<StripProduct>(l, product);
  return std::make_unique<RowProduct>(l, product);
}

Type VectorProduct::computed() const {
  return pairs ? Type(e.getBF16Type()) : Type(e.real);
}

bool VectorProduct::isHeldAs(Type element) const {
  return llvm::all_of(weights,
                      [&](const Weight &w) { return w.holds(element); });
}

Emitter::Vals VectorProduct::zeros(int64_t count) {
  return Emitter::Vals(count, e.constant(VectorType::get(l.lanes, e.real), 0));
}

void VectorProduct::allocate() {
  sums.clear();
  int64_t columns = llvm::alignTo(blocks.outBlock, l.lanes);
  for (size_t i = 0; i < weights.size(); ++i)
    sums.push_back(e.local(e.real, {mostRows(), columns}));
  allocatePanel();
}

/// Sums of chunks are added to what is there.
void VectorProduct::clearSums(const Place &place) {
  if (blocks.depthChunk == product.depth())
    return;
  Val columns = e.index(llvm::alignTo(blocks.outBlock, l.lanes));
  Val zero = zeros(1)[0];
  e.loop(place.rowEnd - place.rowBegin, [&](Val row) {
    e.loop(
        e.index(0), columns,
        [&](Val out) {
          for (Value buffer : sums)
            e.storeVector(zero, buffer, {row, out}, l.lanes);
        },
        l.lanes);
  });
}

/// Hands the sums to `finish`, a vector of outputs at a time.
void VectorProduct::finish(const Place &place) {
  auto vector = [&](Val row, Val out, int64_t valid) {
    SmallVector<Val, 2> values;
    for (auto [weight, buffer] : llvm::zip_equal(weights, sums)) {
      SmallVector<Val, 3> at = product.at(place.expert, out, e.index(0));
      Val found =
          e.loadRaw(buffer, {row - place.rowBegin, out - place.outBegin},
                    l.lanes, l.lanes);
      values.push_back(scaled(weight, found, at));
    }
    product.finish(place.expert, row, out, valid, values);
  };
  int64_t rest = product.outputs() % l.lanes;
  e.loop(place.rowBegin, place.rowEnd, [&](Val row) {
    Val whole =
        place.outBegin + (place.outEnd - place.outBegin) / l.lanes * l.lanes;
    e.loop(
        place.outBegin, whole, [&](Val out) { vector(row, out, l.lanes); },
        l.lanes);
    if (rest)
      e.when(whole < place.outEnd, [&] { vector(row, whole, rest); });
  });
}

void VectorProduct::run(Val expert, Val rowBegin, Val rowEnd, Val outBegin,
                        Val outEnd, Position after) {
  e.loop(
      rowBegin, rowEnd,
      [&](Val row) {
        Val end = e.min(row + blocks.rowBlock, rowEnd);
        e.loop(
            outBegin, outEnd,
            [&](Val out) {
              Val next = out + blocks.outBlock, isInside = next < outEnd;
              Place place = {expert,
                             row,
                             end,
                             out,
                             e.min(next, outEnd),
                             {e.select(isInside, expert, after.expert),
                              e.select(isInside, next, after.out)}};
              clearSums(place);
              sumBlock(place);
              finish(place);
            },
            blocks.outBlock);
      },
      blocks.rowBlock);
}
