//===- FactorTile.cpp - Tiles of sums of products of two factors ----------===//
//
// Part of moe-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "FactorTile.h"

#include "llvm/Support/MathExtras.h"

using namespace mlir;
using namespace moe;

void moe::emitFactorTiles(Lowering &l, const Product &product,
                          const TileShape &shape, int64_t sharedBytes,
                          llvm::function_ref<void(const FactorTile &)> body) {
  Emitter &e = l.e;
  emitTiles(l, product, shape, sharedBytes, [&](const ProductTile &tile) {
    auto atRow = [&](Val row, Val c) {
      return SmallVector<Val, 3>{product.row(row), c};
    };
    auto atOutput = [&](Val out, Val c) {
      return product.at(tile.expert, out, c);
    };
    FactorTile factors;
    factors.left = {
        product.x,
        atRow,
        [&](Val row, Val c) { return e.load(product.x, atRow(row, c)); },
        tile.row,
        tile.rowEnd,
        /*isAcross=*/false};
    for (const Weight &weight : product.weights)
      factors.rights.push_back(
          {weight.plain(), atOutput,
           [&](Val out, Val c) { return weight.load(atOutput(out, c)); },
           tile.out, e.index(product.outputs()), product.transposed});
    factors.depthBegin = e.index(0);
    factors.depthEnd = e.index(product.depth());
    factors.thread = tile.thread;
    factors.shared = tile.shared;
    factors.finish = [&](Val row, Val out, ArrayRef<Val> sums) {
      product.finish(tile.expert, row, out, 1, sums);
    };
    body(factors);
  });
}

void moe::emitFactorTiles(Lowering &l, const OuterProduct &product,
                          const TileShape &shape, int64_t sharedBytes,
                          llvm::function_ref<void(const FactorTile &)> body) {
  Emitter &e = l.e;
  int64_t down = llvm::divideCeilSigned(product.lefts(), shape.rows);
  int64_t across = llvm::divideCeilSigned(product.rights(), shape.outputs);
  Val blocks = e.index(product.experts() * down * across);
  e.launch(blocks, shape.threads, sharedBytes,
           [&](Val block, Val thread, Value shared) {
             Val out = block % double(across) * double(shape.outputs);
             Val line = block / double(across) % double(down);
             Val expert = block / double(down * across);
             auto factorOf = [&](Value buffer, Val begin, int64_t lines) {
               auto at = [](Val line, Val row) {
                 return SmallVector<Val, 3>{row, line};
               };
               return TileFactor{buffer,
                                 at,
                                 [&e, buffer, at](Val line, Val row) {
                                   return e.load(buffer, at(line, row));
                                 },
                                 begin,
                                 e.index(lines),
                                 /*isAcross=*/true};
             };
             auto bound = [&](Val expert) {
               return e.asIndex(e.load(product.offsets, {expert}));
             };
             FactorTile factors;
             factors.left = factorOf(product.x, line * double(shape.rows),
                                     product.lefts());
             factors.rights = {factorOf(product.y, out, product.rights())};
             factors.depthBegin = bound(expert);
             factors.depthEnd = bound(expert + 1);
             factors.thread = thread;
             factors.shared = shared;
             factors.finish = [&](Val a, Val b, ArrayRef<Val> sums) {
               e.store(sums[0], product.sums, {expert, a, b});
             };
             body(factors);
           });
}
