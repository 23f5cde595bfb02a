//===- MatrixTile.cpp - Tiles of matrix instructions, any way round -------===//
//
// Part of moe-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Of factors that lie along the depth or across it, of bf16, f16, or f32 that
// is rounded to tf32.
//
//===----------------------------------------------------------------------===//

#include "MatrixFactor.h"
#include "WarpQuarter.h"

using namespace mlir;
using namespace moe;

namespace {

class MatrixTile {
public:
  MatrixTile(Emitter &e, const FactorTile &tile);
  void run();

private:
  Emitter &e;
  const FactorTile &tile;
  Type element;
  WarpQuarter quarter;
  SmallVector<MatrixFactor, 3> factors; // the left one first

  int64_t step() const { return MatrixFactor::depth(element); }
  void copyStep(Val number);
  Emitter::Vals multiply(Val stage, Emitter::Vals sums);
};

} // namespace

static Type elementOf(Value buffer) {
  return cast<MemRefType>(buffer.getType()).getElementType();
}

MatrixTile::MatrixTile(Emitter &e, const FactorTile &tile)
    : e(e), tile(tile), element(elementOf(tile.left.buffer)),
      quarter(e, tile.thread, element, tile.rights.size()) {
  int64_t begin = 0;
  auto add = [&](const TileFactor &factor) {
    factors.emplace_back(e, tile, factor, begin);
    begin += MatrixFactor::bytes(element, factor.isAcross);
  };
  add(tile.left);
  llvm::for_each(tile.rights, add);
}

/// If there is such a step.
void MatrixTile::copyStep(Val number) {
  Val begin = tile.depthBegin + number * double(step());
  e.when(begin < tile.depthEnd, [&] {
    for (const MatrixFactor &factor : factors)
      factor.copyStep(begin, number % double(mmaStages));
  });
}

Emitter::Vals MatrixTile::multiply(Val stage, Emitter::Vals sums) {
  return quarter.multiply(
      step(),
      [&](Val line, int64_t place) {
        return factors.front().fragments(stage, line, place);
      },
      [&](size_t right, Val line, int64_t place) {
        auto f = factors[1 + right].fragments(stage, line, place);
        return SmallVector<Value>{f[0], f[2], f[1], f[3]};
      },
      std::move(sums));
}

void MatrixTile::run() {
  auto copy = [&](Val number) { copyStep(number); };
  startSteps(e, copy);
  Val depth = tile.depthEnd - tile.depthBegin;
  Val steps = (depth + double(step() - 1)) / double(step());
  Emitter::Vals sums = e.carry(
      e.index(0), steps, quarter.zeros(), [&](Val number, ArrayRef<Val> sums) {
        awaitStep(e, number, copy);
        return multiply(number % double(mmaStages), Emitter::Vals(sums));
      });
  const TileFactor &outputs = tile.rights.front();
  quarter.finish(tile.left.begin, tile.left.end, outputs.begin, outputs.end,
                 sums, tile.finish);
}

template <typename Kind>
static void emitMatrixTiles(Lowering &l, const Kind &product,
                            int64_t sharedBytes) {
  emitFactorTiles(l, product, mmaShape, sharedBytes,
                  [&](const FactorTile &tile) { MatrixTile(l.e, tile).run(); });
}

/// Whether matrix instructions multiply values of the type.
static bool isMultiplied(Type element, bool tf32) {
  return element.isBF16() || element.isF16() || (element.isF32() && tf32);
}

bool moe::fitsMatrices(const Product &product) {
  Type element = elementOf(product.x);
  return isMultiplied(element, product.tf32) && MatrixFactor::fits(product.x) &&
         llvm::all_of(product.weights, [&](const Weight &weight) {
           return weight.holds(element) && MatrixFactor::fits(weight.plain());
         });
}

bool moe::fitsMatrices(const OuterProduct &product) {
  Type element = elementOf(product.x);
  return isMultiplied(element, product.tf32) &&
         element == elementOf(product.y) && MatrixFactor::fits(product.x) &&
         MatrixFactor::fits(product.y);
}

void moe::emitMatrixProduct(Lowering &l, const Product &product) {
  Type element = elementOf(product.x);
  auto weights = static_cast<int64_t>(product.weights.size());
  emitMatrixTiles(l, product,
                  MatrixFactor::bytes(element, /*isAcross=*/false) +
                      weights *
                          MatrixFactor::bytes(element, product.transposed));
}

void moe::emitMatrixOuter(Lowering &l, const OuterProduct &product) {
  emitMatrixTiles(
      l, product,
      2 * MatrixFactor::bytes(elementOf(product.x), /*isAcross=*/true));
}
