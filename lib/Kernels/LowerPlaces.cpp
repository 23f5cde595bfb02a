//===- LowerPlaces.cpp - Experts to places, and rows of others ------------===//
//
// Part of moe-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Lowering.h"

using namespace mlir;
using namespace moe;

/// `body(t, j)` of each slot.
static void forSlots(Lowering &l, Value indices,
                     llvm::function_ref<void(Val, Val)> body) {
  Emitter &e = l.e;
  e.parallel(l.size(indices, 0), [&](Val t) {
    e.loop(l.size(indices, 1), [&](Val j) { body(t, j); });
  });
}

void moe::lower(Lowering &l, PlaceOp op) {
  Emitter &e = l.e;
  Value indices = l[op.getIndices()];
  Value slots = l.result(op.getSlots(), {l.extent(op.getIndices(), 0)});
  ArrayRef<int64_t> shape =
      cast<ShapedType>(op.getPlaces().getType()).getShape();
  int64_t experts = shape[0], most = shape[1];
  // Of each expert, how many places it has and which.
  SmallVector<int32_t> rows;
  for (auto [i, place] : llvm::enumerate(op.getPlaces().getValues<int32_t>())) {
    if (i % most == 0)
      rows.push_back(0);
    rows.push_back(place);
    rows[i / most * (most + 1)] += place >= 0;
  }
  Value table = l.table("places", rows);
  int64_t total = op.getTotal();
  forSlots(l, op.getIndices(), [&](Val t, Val j) {
    Val expert = e.load(indices, {t, j});
    auto placeOf = [&] {
      Val row = e.asIndex(expert) * double(most + 1);
      Val turn = most == 1 ? e.index(0) : t % e.asIndex(e.load(table, {row}));
      return e.load(table, {row + 1 + turn});
    };
    auto elsewhere = [&] {
      return e.select(expert < 0, expert.like(-1),
                      expert + double(total - experts));
    };
    Val isReal = (expert >= 0) & (expert < double(experts));
    e.store(e.choose(isReal, placeOf, elsewhere), slots, {t, j});
  });
}

void moe::lower(Lowering &l, ArrivalsOp op) {
  Emitter &e = l.e;
  Value counts = l[op.getCounts()];
  int64_t pairs = op.getCounts().getType().getDimSize(0);
  int64_t places = pairs / static_cast<int64_t>(op.getMembers());
  Extent rows = l.namedExtent(op.getRows(), op.getLocal());
  Value local = l.result(op.getLocal(), {rows});
  Val zero = e.index(0), room = l.size(rows);
  Val end = e.carry(zero, e.index(pairs), zero, [&](Val i, ArrayRef<Val> at) {
    Val count = e.load(counts, {i});
    // No count writes past the rows that there are.
    Val next = e.min(at[0] + e.asIndex(e.max(count, count.like(0))), room);
    Val place = e.asI32(i % double(places));
    e.loop(at[0], next, [&](Val r) { e.store(place, local, {r, zero}); });
    return Emitter::Vals{next};
  })[0];
  Val none = e.constant(e.getI32Type(), -1);
  e.loop(end, room, [&](Val r) { e.store(none, local, {r, zero}); });
}

void moe::lower(Lowering &l, RowNumbersOp op) {
  Emitter &e = l.e;
  Extent rows = l.namedExtent(op.getRows(), op.getNumbers());
  Value numbers = l.result(op.getNumbers(), {rows});
  Val first =
      op.getFirst() ? l.size(*Extent::parse(*op.getFirst())) : e.index(0);
  e.parallel(l.size(rows), [&](Val r) {
    e.store(e.cast(first + r, e.getI64Type()), numbers, {r});
  });
}

void moe::lower(Lowering &l, TakeRowsOp op) {
  Emitter &e = l.e;
  Extent rows = l.namedExtent(op.getRows(), op.getY());
  Value x = l[op.getX()], y = l.result(op.getY(), {rows});
  Val first = l.size(*Extent::parse(op.getFirst()));
  e.parallel(l.size(rows), [&](Val r) {
    e.loop(l.size(op.getX(), 1),
           [&](Val c) { e.store(e.load(x, {first + r, c}), y, {r, c}); });
  });
}

void moe::lower(Lowering &l, KeepPlacedOp op) {
  Emitter &e = l.e;
  Value indices = l[op.getIndices()], positions = l[op.getPositions()];
  Value kept = l.result(op.getKept(), {l.extent(op.getIndices(), 0)});
  Val none = e.constant(e.getI32Type(), -1);
  forSlots(l, op.getIndices(), [&](Val t, Val j) {
    Val placed = e.load(positions, {t, j}) >= 0;
    e.store(e.select(placed, e.load(indices, {t, j}), none), kept, {t, j});
  });
}

void moe::lower(Lowering &l, KeepLocalOp op) {
  Emitter &e = l.e;
  Value indices = l[op.getIndices()], weights = l[op.getWeights()];
  Extent tokens = l.extent(op.getIndices(), 0);
  Value local = l.result(op.getLocal(), {tokens});
  Value kept = l.result(op.getKept(), {tokens});
  int64_t experts = op.getExperts(), share = experts / op.getMembers();
  Val first = e.load(l[op.getMember()], {}) * double(share);
  Val isFirst = first == 0;
  Val none = e.constant(e.getI32Type(), -1);
  forSlots(l, op.getIndices(), [&](Val t, Val j) {
    Val index = e.load(indices, {t, j});
    Val isNull = index >= double(experts);
    Val expert =
        e.select(isNull, index - double(experts - share), index - first);
    Val isOurs =
        e.select(isNull, isFirst, (expert >= 0) & (expert < double(share)));
    Val weight = e.load(weights, {t, j});
    e.store(e.select(isOurs, expert, none), local, {t, j});
    e.store(e.select(isOurs, weight, weight.like(0)), kept, {t, j});
  });
}
