//===- FmaProduct.cpp - Tiles of multiply-adds ----------------------------===//
//
// Part of moe-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Rows and weights become f32 on their way to the block's memory, where each
// thread reads a value of theirs for several sums.
//
//===----------------------------------------------------------------------===//

#include "TileProduct.h"

using namespace mlir;
using namespace moe;

static constexpr TileShape shape = {64, 64, 16, 256};
/// Sums of a thread: so many rows times so many outputs, each in steps of
/// `side` so that neighbours read and write what is side by side.
static constexpr int64_t side = 16, perThread = 4;
/// A row of the block's memory is a place of the depth, and a little more, so
/// that writes of neighbours do not fall together.
static constexpr int64_t pitch = 64 + 1;

namespace {

class FmaTile {
public:
  FmaTile(Lowering &l, const Product &product, const ProductTile &tile);
  void run();

private:
  Emitter &e;
  const Product &product;
  const ProductTile &tile;
  Value rows;                    // [depth, pitch]
  SmallVector<Value, 2> weights; // the same of each weight
  Val row, out;                  // of the thread's first sum, in the tile

  void read(Val begin);
  void readPart(Val begin, int64_t part);
  Emitter::Vals add(Emitter::Vals sums);
  void finish(ArrayRef<Val> sums);
};

} // namespace

FmaTile::FmaTile(Lowering &l, const Product &product, const ProductTile &tile)
    : e(l.e), product(product), tile(tile), row(tile.thread / double(side)),
      out(tile.thread % double(side)) {
  int64_t bytes = shape.depth * pitch * 4;
  auto view = [&](int64_t number) {
    return e.shared(tile.shared, number * bytes, e.getF32Type(),
                    {shape.depth, pitch});
  };
  rows = view(0);
  for (size_t i = 0; i < product.weights.size(); ++i)
    weights.push_back(view(static_cast<int64_t>(i) + 1));
}

/// One value of the rows and of each weight for each thread.
void FmaTile::readPart(Val begin, int64_t part) {
  Val number = tile.thread + double(part * shape.threads);
  Val line = number / double(shape.depth), place = number % double(shape.depth);
  Val c = begin + place;
  Val isInDepth = c < double(product.depth());
  Val r = tile.row + line, o = tile.out + line;
  Val zero = e.real_(0);
  auto orZero = [&](Val isInside, llvm::function_ref<Val()> value) {
    return e.choose(isInDepth & isInside, value, [&] { return zero; });
  };
  Val x = orZero(r < tile.rowEnd,
                 [&] { return e.load(product.x, {product.row(r), c}); });
  e.store(x, rows, {place, line});
  for (auto [weight, to] : llvm::zip_equal(product.weights, weights)) {
    Val w = orZero(o < double(product.outputs()), [&, &from = weight] {
      return from.load(product.at(tile.expert, o, c));
    });
    e.store(w, to, {place, line});
  }
}

void FmaTile::read(Val begin) {
  for (int64_t part = 0; part < shape.rows * shape.depth / shape.threads;
       ++part)
    readPart(begin, part);
}

/// Two places in a turn: with more, what is read ahead fills the registers.
Emitter::Vals FmaTile::add(Emitter::Vals sums) {
  auto addPlace = [&](Val c, Emitter::Vals sums) {
    auto several = [&](Value from, Val first) {
      Emitter::Vals values;
      for (int64_t i = 0; i < perThread; ++i)
        values.push_back(e.load(from, {c, first + double(i * side)}));
      return values;
    };
    Emitter::Vals x = several(rows, row);
    size_t sum = 0;
    for (Value weight : weights)
      for (Val w : several(weight, out))
        for (Val value : x) {
          sums[sum] = e.fma(value, w, sums[sum]);
          ++sum;
        }
    return sums;
  };
  return e.carry(
      e.index(0), e.index(shape.depth), sums,
      [&](Val c, ArrayRef<Val> before) {
        return addPlace(c + 1, addPlace(c, Emitter::Vals(before)));
      },
      2);
}

void FmaTile::finish(ArrayRef<Val> sums) {
  for (int64_t j = 0; j < perThread; ++j)
    for (int64_t i = 0; i < perThread; ++i) {
      Val r = tile.row + row + double(i * side);
      Val o = tile.out + out + double(j * side);
      SmallVector<Val, 2> ofPlace;
      for (size_t w = 0; w < weights.size(); ++w)
        ofPlace.push_back(sums[(w * perThread + j) * perThread + i]);
      e.when((r < tile.rowEnd) & (o < double(product.outputs())),
             [&] { product.finish(tile.expert, r, o, 1, ofPlace); });
    }
}

void FmaTile::run() {
  Emitter::Vals zeros(weights.size() * perThread * perThread, e.real_(0));
  Emitter::Vals sums = e.carry(
      e.index(0), e.index(product.depth()), zeros,
      [&](Val begin, ArrayRef<Val> sums) {
        read(begin);
        e.barrier();
        Emitter::Vals next = add(Emitter::Vals(sums));
        e.barrier();
        return next;
      },
      shape.depth);
  finish(sums);
}

void moe::emitFmaProduct(Lowering &l, const Product &product) {
  auto buffers = static_cast<int64_t>(1 + product.weights.size());
  emitTiles(l, product, shape, buffers * shape.depth * pitch * 4,
            [&](const ProductTile &tile) { FmaTile(l, product, tile).run(); });
}
