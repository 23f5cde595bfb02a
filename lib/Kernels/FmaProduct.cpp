//===- FmaProduct.cpp - Tiles of multiply-adds ----------------------------===//
//
// Part of moe-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Factors become f32 on their way to the block's memory, where each thread
// reads a value of theirs for several sums.
//
//===----------------------------------------------------------------------===//

#include "FactorTile.h"

using namespace mlir;
using namespace moe;

static constexpr TileShape shape = {64, 64, 16, 256};
/// Sums of a thread: so many rows times so many outputs, each in steps of
/// `side` so that neighbours read and write what is side by side.
static constexpr int64_t side = 16, perThread = 4;
/// A row of the block's memory is a place of the depth, and a little more, so
/// that writes of neighbours do not fall together.
static constexpr int64_t lines = 64, pitch = lines + 1;

namespace {

class FmaTile {
public:
  FmaTile(Emitter &e, const FactorTile &tile);
  void run();

private:
  Emitter &e;
  const FactorTile &tile;
  Value rows;                    // [depth, pitch]
  SmallVector<Value, 2> weights; // the same of each right factor
  Val row, out;                  // of the thread's first sum, in the tile

  void read(const TileFactor &factor, Value to, Val begin, int64_t part);
  void read(Val begin);
  Emitter::Vals add(Emitter::Vals sums);
  void finish(ArrayRef<Val> sums);
};

} // namespace

FmaTile::FmaTile(Emitter &e, const FactorTile &tile)
    : e(e), tile(tile), row(tile.thread / double(side)),
      out(tile.thread % double(side)) {
  int64_t bytes = shape.depth * pitch * 4;
  auto view = [&](int64_t number) {
    return e.shared(tile.shared, number * bytes, e.getF32Type(),
                    {shape.depth, pitch});
  };
  rows = view(0);
  for (size_t i = 0; i < tile.rights.size(); ++i)
    weights.push_back(view(static_cast<int64_t>(i) + 1));
}

/// One value for each thread. Neighbours read neighbours.
void FmaTile::read(const TileFactor &factor, Value to, Val begin,
                   int64_t part) {
  Val number = tile.thread + double(part * shape.threads);
  double length = factor.isAcross ? lines : shape.depth;
  Val line = number / length, place = number % length;
  if (factor.isAcross)
    std::swap(line, place);
  Val from = factor.begin + line, c = begin + place;
  Val value = e.choose((c < tile.depthEnd) & (from < factor.end),
                       [&] { return factor.load(from, c); },
                       [&] { return e.real_(0); });
  e.store(value, to, {place, line});
}

void FmaTile::read(Val begin) {
  for (int64_t part = 0; part < lines * shape.depth / shape.threads; ++part) {
    read(tile.left, rows, begin, part);
    for (auto [factor, to] : llvm::zip_equal(tile.rights, weights))
      read(factor, to, begin, part);
  }
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
      Val r = tile.left.begin + row + double(i * side);
      Val o = tile.rights[0].begin + out + double(j * side);
      SmallVector<Val, 2> ofPlace;
      for (size_t w = 0; w < weights.size(); ++w)
        ofPlace.push_back(sums[(w * perThread + j) * perThread + i]);
      e.when((r < tile.left.end) & (o < tile.rights[0].end),
             [&] { tile.finish(r, o, ofPlace); });
    }
}

void FmaTile::run() {
  Emitter::Vals zeros(weights.size() * perThread * perThread, e.real_(0));
  Emitter::Vals sums = e.carry(
      tile.depthBegin, tile.depthEnd, zeros,
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

template <typename Kind>
static void emitFmaTiles(Lowering &l, const Kind &product, int64_t factors) {
  emitFactorTiles(l, product, shape, factors * shape.depth * pitch * 4,
                  [&](const FactorTile &tile) { FmaTile(l.e, tile).run(); });
}

void moe::emitFmaProduct(Lowering &l, const Product &product) {
  emitFmaTiles(l, product, 1 + static_cast<int64_t>(product.weights.size()));
}

void moe::emitFmaOuter(Lowering &l, const OuterProduct &product) {
  emitFmaTiles(l, product, 2);
}
