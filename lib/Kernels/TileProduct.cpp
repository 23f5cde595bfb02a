//===- TileProduct.cpp - Products in tiles, a block for each --------------===//
//
// Part of moe-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "TileProduct.h"

#include "WgmmaProduct.h"

#include "llvm/Support/MathExtras.h"

using namespace mlir;
using namespace moe;

namespace {
/// The rows of one tile; of a tile that there is not, the expert is -1.
struct TileRows {
  Val expert, begin, end;
};
} // namespace

/// The tile with this number, counted expert by expert.
static TileRows findRows(Emitter &e, const Product &product, Val number,
                         int64_t tileRows) {
  Val none = e.index(-1), zero = e.index(0);
  int64_t experts = product.experts();
  // What is left of the number, the expert once it is found, and its rows.
  Emitter::Vals found =
      e.carry(zero, e.index(experts), {number, none, zero, zero},
              [&](Val expert, ArrayRef<Val> state) {
                Val begin = e.asIndex(e.load(product.offsets, {expert}));
                Val end = e.asIndex(e.load(product.offsets, {expert + 1}));
                Val tiles =
                    (end - begin + double(tileRows - 1)) / double(tileRows);
                Val isHere = (state[1] < 0) & (state[0] < tiles);
                Val first = begin + state[0] * double(tileRows);
                return Emitter::Vals{e.select(isHere, zero, state[0] - tiles),
                                     e.select(isHere, expert, state[1]),
                                     e.select(isHere, first, state[2]),
                                     e.select(isHere, end, state[3])};
              });
  return {found[1], found[2], found[3]};
}

void moe::emitTiles(Lowering &l, const Product &product, const TileShape &shape,
                    int64_t sharedBytes,
                    llvm::function_ref<void(const ProductTile &)> body) {
  Emitter &e = l.e;
  int64_t across = llvm::divideCeilSigned(product.outputs(), shape.outputs);
  // Each expert has at most one tile that is not full.
  Val tiles =
      product.offsets
          ? product.rows / double(shape.rows) +
                e.min(product.rows, e.index(product.experts()))
          : (product.rows + double(shape.rows - 1)) / double(shape.rows);
  e.launch(tiles * double(across), shape.threads, sharedBytes,
           [&](Val block, Val thread, Value shared) {
             Val out = block % double(across) * double(shape.outputs);
             Val number = block / double(across);
             if (!product.offsets)
               return body({e.index(0), number * double(shape.rows),
                            product.rows, out, thread, shared});
             TileRows rows = findRows(e, product, number, shape.rows);
             e.when(rows.expert >= 0, [&] {
               body({rows.expert, rows.begin, rows.end, out, thread, shared});
             });
           });
}

static void emitThreadProduct(Lowering &l, const Product &product) {
  if (fitsMma(product))
    emitMmaProduct(l, product);
  else
    emitFmaProduct(l, product);
}

void moe::emitTileProduct(Lowering &l, const Product &product) {
  Emitter &e = l.e;
  if (l.wgmma == Wgmma::nowhere || !fitsWgmma(product))
    return emitThreadProduct(l, product);
  if (l.wgmma == Wgmma::everywhere)
    return emitWgmmaProduct(l, product);
  Val isThere = l.callRuntime("moe_gpu_has_wgmma", e.getI32Type(),
                              ValueRange{l.launches}) != 0;
  e.when(isThere, [&] { emitWgmmaProduct(l, product); });
  e.when(isThere == e.constant(e.getI1Type(), 0),
         [&] { emitThreadProduct(l, product); });
}
