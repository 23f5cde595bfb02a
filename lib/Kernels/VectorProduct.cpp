//===- VectorProduct.cpp - Products in tiles of dot products --------------===//
//
// Part of moe-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Weights are stored [out, in], so rows of x and rows of w run along the depth:
// a tile keeps one vector of partial sums per (row, output) and adds their
// lanes at the end. Every sum runs over the same lanes in the same order in
// every tile shape, which is why results do not depend on rows around them.
//
//===----------------------------------------------------------------------===//

#include "Product.h"

#include "mlir/IR/BuiltinTypes.h"

using namespace mlir;
using namespace moe;

namespace {

/// Registers: 4 rows x 4 outputs of sums, or 4 x 2 for two weights at once.
constexpr int64_t tileRows = 4;
constexpr int64_t tileSums = 4;
/// Outputs of one task: their weights stay in the second-level cache while all
/// rows pass by.
constexpr int64_t taskOutputs = 64;
/// Rows of one task of a dense product.
constexpr int64_t taskRows = 32;

class Tiles {
public:
  Tiles(Lowering &l, const Product &product)
      : l(l), e(l.e), product(product),
        tileOutputs(std::max<int64_t>(1, tileSums / product.weights.size())) {}

  void emit();

private:
  Lowering &l;
  Emitter &e;
  const Product &product;
  const int64_t tileOutputs;

  struct Tile {
    Val expert;
    SmallVector<Val> sources, outs;
  };
  Emitter::Vals span(const Tile &tile, Val begin, int64_t count,
                     ArrayRef<Weight::Common> common, Emitter::Vals sums);
  Emitter::Vals addBlock(const Tile &tile, Val begin, int64_t count,
                         ArrayRef<Val> totals);
  void block(Val expert, Val rowBegin, Val rowEnd, Val outBegin, Val outEnd);
  void tile(Val expert, Val row, int64_t rows, Val out, int64_t outs);
};

/// Adds to `sums` what `count` places of the depth give, all in one block.
Emitter::Vals Tiles::span(const Tile &tile, Val begin, int64_t count,
                          ArrayRef<Weight::Common> common, Emitter::Vals sums) {
  int64_t lanes = l.lanes;
  auto step = [&](Val c, int64_t valid, ArrayRef<Val> sums) {
    Emitter::Vals next(sums.begin(), sums.end());
    SmallVector<Val> xs;
    for (Val source : tile.sources)
      xs.push_back(e.loadVector(product.x, {source, c}, lanes, valid));
    int64_t sum = 0, column = 0;
    for (const Weight &weight : product.weights)
      for (Val o : tile.outs) {
        Val w = weight.loadVector(product.at(tile.expert, o, c), lanes, valid,
                                  common[column++]);
        for (Val x : xs) {
          next[sum] = e.fma(x, w, next[sum]);
          ++sum;
        }
      }
    return next;
  };

  int64_t whole = count / lanes * lanes;
  if (whole == lanes)
    sums = step(begin, lanes, sums);
  else if (whole)
    sums = e.carry(
        begin, begin + whole, sums,
        [&](Val c, ArrayRef<Val> sums) { return step(c, lanes, sums); }, lanes);
  if (whole < count)
    sums = step(begin + whole, count - whole, sums);
  return sums;
}

/// Adds to `totals` what a block gives, times its scales.
Emitter::Vals Tiles::addBlock(const Tile &tile, Val begin, int64_t count,
                              ArrayRef<Val> totals) {
  SmallVector<Weight::Common> common;
  for (const Weight &weight : product.weights)
    for (Val o : tile.outs)
      common.push_back(
          weight.common(product.at(tile.expert, o, begin), l.lanes));
  Val zero = e.constant(VectorType::get(l.lanes, e.real), 0);
  Emitter::Vals sums =
      span(tile, begin, count, common, Emitter::Vals(totals.size(), zero));
  for (auto [i, sum] : llvm::enumerate(sums))
    if (Val scale = common[i / tile.sources.size()].scale; scale.value)
      sum = e.fma(sum, scale, totals[i]);
  return sums;
}

/// `rows` x `outs` sums for each weight.
void Tiles::tile(Val expert, Val row, int64_t rows, Val out, int64_t outs) {
  Tile tile = {expert, {}, {}};
  for (int64_t r = 0; r < rows; ++r)
    tile.sources.push_back(product.row(row + r));
  for (int64_t o = 0; o < outs; ++o)
    tile.outs.push_back(out + o);

  int64_t depth = product.depth(), block = product.weights.front().block();
  Val zero = e.constant(VectorType::get(l.lanes, e.real), 0);
  Emitter::Vals sums(product.weights.size() * outs * rows, zero);
  int64_t whole = depth / block * block;
  if (whole == block)
    sums = addBlock(tile, e.index(0), block, sums);
  else if (whole)
    sums = e.carry(
        e.index(0), e.index(whole), sums,
        [&](Val c, ArrayRef<Val> sums) {
          return addBlock(tile, c, block, sums);
        },
        block);
  if (whole < depth)
    sums = addBlock(tile, e.index(whole), depth - whole, sums);

  int64_t perWeight = outs * rows;
  for (int64_t o = 0; o < outs; ++o)
    for (int64_t r = 0; r < rows; ++r) {
      SmallVector<Val, 2> values;
      for (auto [w, weight] : llvm::enumerate(product.weights))
        values.push_back(
            weight.applyFactor(e.addLanes(sums[w * perWeight + o * rows + r]),
                               product.at(expert, tile.outs[o], e.index(0))));
      product.finish(expert, row + r, tile.outs[o], values);
    }
}

/// Splits a range in whole tiles and single steps.
static void inTiles(Emitter &e, Val begin, Val end, int64_t size,
                    llvm::function_ref<void(Val, int64_t)> body) {
  Val whole = begin + (end - begin) / size * size;
  e.loop(begin, whole, [&](Val i) { body(i, size); }, size);
  e.loop(whole, end, [&](Val i) { body(i, 1); });
}

void Tiles::block(Val expert, Val rowBegin, Val rowEnd, Val outBegin,
                  Val outEnd) {
  inTiles(e, rowBegin, rowEnd, tileRows, [&](Val row, int64_t rows) {
    inTiles(e, outBegin, outEnd, tileOutputs,
            [&](Val out, int64_t outs) { tile(expert, row, rows, out, outs); });
  });
}

void Tiles::emit() {
  int64_t outputs = product.outputs();
  int64_t outTasks = llvm::divideCeil(outputs, taskOutputs);
  auto outRange = [&](Val task) {
    Val begin = task * taskOutputs;
    return std::pair(begin, e.min(begin + taskOutputs, e.index(outputs)));
  };
  if (!product.offsets) {
    Val rowTasks = (product.rows + (taskRows - 1)) / taskRows;
    e.parallel(rowTasks * outTasks, [&](Val task) {
      auto [outBegin, outEnd] = outRange(task % outTasks);
      Val rowBegin = task / outTasks * taskRows;
      Val rowEnd = e.min(rowBegin + taskRows, product.rows);
      block(e.index(0), rowBegin, rowEnd, outBegin, outEnd);
    });
    return;
  }
  // Experts vary fastest: a contiguous share of the tasks then holds a share of
  // every expert's outputs, even if one expert has all the rows.
  int64_t experts = product.experts();
  e.parallel(e.index(outTasks * experts), [&](Val task) {
    Val expert = task % experts;
    auto [outBegin, outEnd] = outRange(task / experts);
    Val rowBegin = e.asIndex(e.load(product.offsets, {expert}));
    Val rowEnd = e.asIndex(e.load(product.offsets, {expert + 1}));
    block(expert, rowBegin, rowEnd, outBegin, outEnd);
  });
}

} // namespace

void moe::emitVectorProduct(Lowering &l, const Product &product) {
  Tiles(l, product).emit();
}
