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

/// The tile with this number, counted expert by expert. Each lane of a warp
/// counts the tiles of an expert, so that all experts are looked at in few
/// turns and nobody has to wait for a table.
static TileRows findRows(Emitter &e, const Product &product, Val number,
                         int64_t tileRows) {
  Type i32 = e.getI32Type();
  Val zero = e.index(0), none = e.constant(i32, 0);
  Val experts = e.index(product.experts()), wanted = e.asI32(number);
  auto bound = [&](Val expert) { return e.load(product.offsets, {expert}); };
  // Of the experts so far: their tiles; and of those whose tiles are all before
  // the wanted one, how many there are and what tiles the lane counted.
  Emitter::Vals found = e.carry(
      zero, experts, {none, zero, none},
      [&](Val first, ArrayRef<Val> state) {
        Val expert = first + e.lane;
        Val isInside = expert < experts;
        Val at = e.select(isInside, expert, zero);
        Val rows = bound(at + 1) - bound(at);
        Val tiles = e.select(
            isInside, (rows + double(tileRows - 1)) / double(tileRows), none);
        Emitter::LaneSum sum = e.sumLanes(tiles);
        Val isBefore = isInside & (state[0] + sum.upTo <= wanted);
        return Emitter::Vals{state[0] + sum.all,
                             state[1] + e.countLanes(isBefore).all,
                             state[2] + e.select(isBefore, tiles, none)};
      },
      Emitter::lanesOfWarp);
  Val before = e.foldLanes({found[2]}, [](ArrayRef<Val> a, ArrayRef<Val> b) {
    return Emitter::Vals{a[0] + b[0]};
  })[0];
  Val expert = found[1];
  Val isThere = expert < experts;
  Val at = e.select(isThere, expert, zero);
  Val begin = bound(at) + (wanted - before) * double(tileRows);
  return {e.select(isThere, expert, e.index(-1)), e.asIndex(begin),
          e.asIndex(bound(at + 1))};
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
             TileRows rows;
             e.shareLanes(thread, [&] {
               rows = findRows(e, product, number, shape.rows);
             });
             e.when(rows.expert >= 0, [&] {
               body({rows.expert, rows.begin, rows.end, out, thread, shared});
             });
           });
}

/// `better` where there are the instructions for it, which the runtime knows,
/// and `other` elsewhere.
static void emitBetter(Lowering &l, Presence presence, StringRef asked,
                       llvm::function_ref<void()> better,
                       llvm::function_ref<void()> other) {
  if (presence == Presence::nowhere)
    return other();
  if (presence == Presence::everywhere)
    return better();
  Emitter &e = l.e;
  Val isThere =
      l.callRuntime(asked, e.getI32Type(), ValueRange{l.launches}) != 0;
  e.when(isThere, better);
  e.when(isThere == e.constant(e.getI1Type(), 0), other);
}

static void emitWarpProduct(Lowering &l, const Product &product) {
  if (!fitsMma(product))
    return fitsMatrices(product) ? emitMatrixProduct(l, product)
                                 : emitFmaProduct(l, product);
  emitBetter(
      l, product.rowScales ? l.fp8 : Presence::nowhere, "moe_gpu_has_fp8",
      [&] { emitFp8Product(l, product); }, [&] { emitMmaProduct(l, product); });
}

void moe::emitTileOuter(Lowering &l, const OuterProduct &product) {
  if (fitsMatrices(product))
    emitMatrixOuter(l, product);
  else
    emitFmaOuter(l, product);
}

void moe::emitTileProduct(Lowering &l, const Product &product) {
  emitBetter(
      l, fitsWgmma(product) ? l.wgmma : Presence::nowhere, "moe_gpu_has_wgmma",
      [&] { emitWgmmaProduct(l, product); },
      [&] { emitWarpProduct(l, product); });
}
