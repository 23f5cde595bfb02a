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

  void block(Val expert, Val rowBegin, Val rowEnd, Val outBegin, Val outEnd);
  void tile(Val expert, Val row, int64_t rows, Val out, int64_t outs);
};

/// `rows` x `outs` sums for each weight.
void Tiles::tile(Val expert, Val row, int64_t rows, Val out, int64_t outs) {
  int64_t depth = product.depth(), lanes = l.lanes;
  SmallVector<Val> sources, outIndices;
  for (int64_t r = 0; r < rows; ++r)
    sources.push_back(product.row(row + r));
  for (int64_t o = 0; o < outs; ++o)
    outIndices.push_back(out + o);

  auto step = [&](Val c, int64_t valid, ArrayRef<Val> sums) {
    Emitter::Vals next(sums.begin(), sums.end());
    SmallVector<Val> xs;
    for (Val source : sources)
      xs.push_back(e.loadVector(product.x, {source, c}, lanes, valid));
    int64_t sum = 0;
    for (Value weight : product.weights)
      for (Val o : outIndices) {
        SmallVector<Val> at = {o, c};
        if (product.offsets)
          at.insert(at.begin(), expert);
        Val w = e.loadVector(weight, at, lanes, valid);
        for (Val x : xs) {
          next[sum] = e.fma(x, w, next[sum]);
          ++sum;
        }
      }
    return next;
  };

  Val zero = e.constant(VectorType::get(lanes, e.real), 0);
  Emitter::Vals sums(product.weights.size() * outs * rows, zero);
  int64_t whole = depth / lanes * lanes;
  if (whole)
    sums = e.carry(
        e.index(0), e.index(whole), sums,
        [&](Val c, ArrayRef<Val> sums) { return step(c, lanes, sums); }, lanes);
  if (whole < depth)
    sums = step(e.index(whole), depth - whole, sums);

  int64_t perWeight = outs * rows;
  for (int64_t o = 0; o < outs; ++o)
    for (int64_t r = 0; r < rows; ++r) {
      SmallVector<Val, 2> values;
      for (size_t w = 0; w < product.weights.size(); ++w)
        values.push_back(e.addLanes(sums[w * perWeight + o * rows + r]));
      product.finish(expert, row + r, outIndices[o], values);
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
