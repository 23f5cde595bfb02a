//===- TileWalk.cpp - Tiles of a product, taken in turns ------------------===//
//
// Part of moe-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "TileWalk.h"

#include "mlir/Dialect/SCF/IR/SCF.h"
#include "llvm/Support/MathExtras.h"

using namespace mlir;
using namespace moe;

/// Tiles of so many different rows are taken for one and the same outputs
/// before the next outputs: all of that is at work at the same time, and both
/// the rows and the weights are read from memory once.
static constexpr int64_t rowsTogether = 8;

int64_t TileWalk::across() const {
  return llvm::divideCeilSigned(product.outputs(), outputs);
}

/// Each expert has at most one tile that is not full.
Val TileWalk::mostTiles(Emitter &e) const {
  Val tiles = product.offsets
                  ? product.rows / double(rows) +
                        e.min(product.rows, e.index(product.experts()))
                  : (product.rows + double(rows - 1)) / double(rows);
  return tiles * double(across());
}

std::pair<Val, Val> TileWalk::rowsOf(Emitter &e, Val expert) const {
  if (!product.offsets)
    return {e.index(0), product.rows};
  return {e.asIndex(e.load(product.offsets, {expert})),
          e.asIndex(e.load(product.offsets, {expert + 1}))};
}

Val TileWalk::tilesOf(Emitter &e, Val expert) const {
  auto [begin, end] = rowsOf(e, expert);
  return (end - begin + double(rows - 1)) / double(rows) * double(across());
}

/// The expert's tile of this number.
WalkedTile TileWalk::tileOf(Emitter &e, Val expert, Val number) const {
  auto [begin, end] = rowsOf(e, expert);
  Val down = (end - begin + double(rows - 1)) / double(rows);
  Val perGroup = e.index(rowsTogether * across());
  Val firstDown = number / perGroup * double(rowsTogether);
  Val inGroup = number % perGroup;
  Val together = e.min(down - firstDown, e.index(rowsTogether));
  Val row = begin + (firstDown + inGroup % together) * double(rows);
  return {expert, row, end, inGroup / together * double(outputs)};
}

Emitter::Vals TileWalk::each(
    Emitter &e, Val block, Val blocks, ArrayRef<Val> initial,
    llvm::function_ref<Emitter::Vals(const WalkedTile &, ArrayRef<Val>)> body)
    const {
  Type index = e.getIndexType();
  Val none = e.index(0), experts = e.index(product.experts());
  // The expert, and how many tiles are before its first one.
  SmallVector<Value> state = {none, none};
  llvm::append_range(state, values(initial));
  auto loop = scf::ForOp::create(e, block, mostTiles(e), blocks, state);
  OpBuilder::InsertionGuard guard(e);
  e.setInsertionPointToStart(loop.getBody());
  Val number = e.val(loop.getInductionVar());
  ValueRange carried = loop.getRegionIterArgs();

  auto search = scf::WhileOp::create(
      e, TypeRange{index, index}, carried.take_front(2),
      [&](OpBuilder &, Location, ValueRange at) {
        Val expert = e.val(at[0]), before = e.val(at[1]);
        OpBuilder::InsertionGuard guard(e);
        e.setInsertionPointToEnd(at[0].getParentBlock());
        // Past the last expert the last one is looked at again.
        Val known = e.min(expert, experts - 1);
        Val isPast =
            (expert < experts) & (number - before >= tilesOf(e, known));
        scf::ConditionOp::create(e, isPast, at);
      },
      [&](OpBuilder &, Location, ValueRange at) {
        Val expert = e.val(at[0]), before = e.val(at[1]);
        OpBuilder::InsertionGuard guard(e);
        e.setInsertionPointToEnd(at[0].getParentBlock());
        scf::YieldOp::create(
            e, ValueRange{expert + 1, before + tilesOf(e, expert)});
      });
  Val expert = e.val(search.getResult(0)), before = e.val(search.getResult(1));
  SmallVector<Value> next = {expert, before};
  auto isThere = scf::IfOp::create(e, carried.drop_front(2).getTypes(),
                                   expert < experts, /*withElse=*/true);
  e.setInsertionPointToStart(isThere.thenBlock());
  Emitter::Vals last;
  for (Value value : carried.drop_front(2))
    last.push_back(e.val(value));
  scf::YieldOp::create(e,
                       values(body(tileOf(e, expert, number - before), last)));
  e.setInsertionPointToStart(isThere.elseBlock());
  scf::YieldOp::create(e, carried.drop_front(2));
  e.setInsertionPointAfter(isThere);
  llvm::append_range(next, isThere.getResults());
  scf::YieldOp::create(e, next);
  Emitter::Vals results;
  for (Value value : loop.getResults().drop_front(2))
    results.push_back(e.val(value));
  return results;
}
