//===- MatrixTile.cpp - Tiles of matrix instructions, any way round -------===//
//
// Part of moe-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Of factors that lie along the depth or across it, of bf16, f16, or f32 that
// is rounded to tf32. Copies run some steps ahead. Four warps share a tile, two
// by two; each has the sums of a quarter in registers.
//
//===----------------------------------------------------------------------===//

#include "MatrixFactor.h"

#include "mlir/Dialect/LLVMIR/NVVMDialect.h"

using namespace mlir;
using namespace moe;

/// What a warp has of the tile.
static constexpr int64_t warpLines = 32;
static constexpr int64_t rowTiles = warpLines / mmaRows;
static constexpr int64_t outputTiles = warpLines / mmaOutputs;

namespace {

class MatrixTile {
public:
  MatrixTile(Emitter &e, const FactorTile &tile);
  void run();

private:
  Emitter &e;
  const FactorTile &tile;
  Type element;
  SmallVector<MatrixFactor, 3> factors; // the left one first
  Val lane, warpRow, warpOut;           // in the tile

  int64_t step() const { return MatrixFactor::depth(element); }
  void copyStep(Val number);
  Emitter::Vals multiply(Val stage, Emitter::Vals sums);
  void finish(ArrayRef<Val> sums);
};

} // namespace

static Type elementOf(Value buffer) {
  return cast<MemRefType>(buffer.getType()).getElementType();
}

MatrixTile::MatrixTile(Emitter &e, const FactorTile &tile)
    : e(e), tile(tile), element(elementOf(tile.left.buffer)),
      lane(tile.thread % double(Emitter::lanesOfWarp)) {
  Val warp = tile.thread / double(Emitter::lanesOfWarp);
  warpRow = warp / 2.0 * double(warpLines);
  warpOut = warp % 2.0 * double(warpLines);
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
  NVVM::CpAsyncCommitGroupOp::create(e);
}

Emitter::Vals MatrixTile::multiply(Val stage, Emitter::Vals sums) {
  for (int64_t k = 0; k < step(); k += mmaDepth(element)) {
    SmallVector<SmallVector<Value>> a;
    for (int64_t i = 0; i < rowTiles; ++i)
      a.push_back(
          factors.front().fragments(stage, warpRow + double(i * mmaRows), k));
    size_t first = 0;
    for (const MatrixFactor &right : ArrayRef(factors).drop_front()) {
      SmallVector<SmallVector<Value>> b;
      for (int64_t j = 0; j < outputTiles; j += 2)
        b.push_back(
            right.fragments(stage, warpOut + double(j * mmaOutputs), k));
      for (ArrayRef<Value> x : a)
        for (ArrayRef<Value> two : b)
          for (size_t eight : {0, 1}) {
            multiplyMatrices(e, element, x, {two[eight], two[eight + 2]},
                             MutableArrayRef(sums).slice(first, sumsPerThread));
            first += sumsPerThread;
          }
    }
  }
  return sums;
}

/// A thread has two neighbours of a row, and two eight rows below.
void MatrixTile::finish(ArrayRef<Val> sums) {
  const TileFactor &outputs = tile.rights.front();
  Val row = tile.left.begin + warpRow + lane / 4.0;
  Val out = outputs.begin + warpOut + lane % 4.0 * 2.0;
  for (int64_t i = 0; i < rowTiles; ++i)
    for (int64_t below = 0; below < 2; ++below) {
      Val r = row + double(i * mmaRows + below * 8);
      e.when(r < tile.left.end, [&] {
        for (int64_t j = 0; j < outputTiles; ++j)
          for (int64_t next = 0; next < 2; ++next) {
            Val o = out + double(j * mmaOutputs + next);
            SmallVector<Val, 2> ofPlace;
            for (size_t right = 0; right < tile.rights.size(); ++right) {
              size_t tileNumber = (right * rowTiles + i) * outputTiles + j;
              ofPlace.push_back(
                  sums[tileNumber * sumsPerThread + 2 * below + next]);
            }
            e.when(o < outputs.end, [&] { tile.finish(r, o, ofPlace); });
          }
      });
    }
}

void MatrixTile::run() {
  for (int64_t number = 0; number < mmaStages - 1; ++number)
    copyStep(e.index(number));
  Val depth = tile.depthEnd - tile.depthBegin;
  Val steps = (depth + double(step() - 1)) / double(step());
  Emitter::Vals zeros(
      tile.rights.size() * rowTiles * outputTiles * sumsPerThread, e.real_(0));
  finish(e.carry(e.index(0), steps, zeros, [&](Val number, ArrayRef<Val> sums) {
    // The copies of this step are there, for all threads; and what is
    // overwritten next has been read by all.
    NVVM::CpAsyncWaitGroupOp::create(e, mmaStages - 2);
    e.barrier();
    copyStep(number + double(mmaStages - 1));
    return multiply(number % double(mmaStages), Emitter::Vals(sums));
  }));
}

template <typename Kind>
static void emit(Lowering &l, const Kind &product, int64_t sharedBytes) {
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
  emit(l, product,
       MatrixFactor::bytes(element, /*isAcross=*/false) +
           weights * MatrixFactor::bytes(element, product.transposed));
}

void moe::emitMatrixOuter(Lowering &l, const OuterProduct &product) {
  emit(l, product,
       2 * MatrixFactor::bytes(elementOf(product.x), /*isAcross=*/true));
}
