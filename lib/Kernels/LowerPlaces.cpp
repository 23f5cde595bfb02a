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

namespace {
/// Rows that came, of places from `first` to before `end`.
class Arrivals {
public:
  Arrivals(Lowering &l, ArrivalsOp op)
      : l(l), e(l.e), op(op), counts(l[op.getCounts()]),
        pairs(op.getCounts().getType().getDimSize(0)),
        places(pairs / int64_t(op.getMembers())) {}

  void lower();

private:
  Lowering &l;
  Emitter &e;
  ArrivalsOp op;
  Value counts;
  const int64_t pairs, places;

  Val place(Val pair) { return pair % double(places); }
  Val count(Val pair, int64_t first, int64_t end);
  Extent addSize();
  void list(Value local, Val room, int64_t first, int64_t end);
  void listInParallel(Value local, Val room, int64_t first, int64_t end);
};
} // namespace

Val Arrivals::count(Val pair, int64_t first, int64_t end) {
  Val count = e.load(counts, {pair}), none = count.like(0);
  Val some = e.asIndex(e.max(count, none));
  if (first == 0 && end == places)
    return some;
  Val isOurs = (place(pair) >= double(first)) & (place(pair) < double(end));
  return e.select(isOurs, some, some.like(0));
}

/// Makes a size of the number of rows of the chunk, which those of all chunks
/// together make no more than the rows that there are.
Extent Arrivals::addSize() {
  Extent whole = *Extent::parse(*op.getRows());
  if (l.gpu) {
    l.addBounded(*op.getSize(), whole);
    return *Extent::parse(*op.getSize());
  }
  Val room = l.size(whole);
  auto before = [&](int64_t end) {
    Val rows = e.sum(e.index(pairs), e.index(0),
                     [&](Val i) { return count(i, 0, end); });
    return e.min(rows, room);
  };
  Val rows = before(*op.getEnd());
  if (*op.getFirst() != 0)
    rows = rows - before(*op.getFirst());
  l.addPart(*op.getSize(), rows, whole);
  return *Extent::parse(*op.getSize());
}

void Arrivals::lower() {
  int64_t first = op.getFirst().value_or(0), end = op.getEnd().value_or(places);
  Extent rows =
      op.getSize() ? addSize() : l.namedExtent(op.getRows(), op.getLocal());
  Value local = l.result(op.getLocal(), {rows});
  if (l.gpu)
    listInParallel(local, l.size(rows), first, end);
  else
    list(local, l.size(rows), first, end);
}

/// No count writes past the rows that there are.
void Arrivals::list(Value local, Val room, int64_t first, int64_t end) {
  Val zero = e.index(0);
  Val filled =
      e.carry(zero, e.index(pairs), zero, [&](Val i, ArrayRef<Val> at) {
        Val next = e.min(at[0] + count(i, first, end), room);
        Val number = e.asI32(place(i));
        e.loop(at[0], next, [&](Val r) { e.store(number, local, {r, zero}); });
        return Emitter::Vals{next};
      })[0];
  Val none = e.constant(e.getI32Type(), -1);
  e.loop(filled, room, [&](Val r) { e.store(none, local, {r, zero}); });
}

/// The same: a warp lists what has come from one rank to one place.
void Arrivals::listInParallel(Value local, Val room, int64_t first,
                              int64_t end) {
  Val zero = e.index(0);
  Value begins = l.scratch(e.getI32Type(), {Extent::constant(pairs + 1)});
  e.parallel(e.index(pairs + 1), [&](Val i) {
    Val before =
        e.sum(i, zero, [&](Val pair) { return count(pair, first, end); });
    e.store(e.asI32(e.min(before, room)), begins, {i});
  });
  auto beginOf = [&](Val pair) { return e.asIndex(e.load(begins, {pair})); };
  e.warps(e.index(pairs), [&](Val pair) {
    Val number = e.asI32(place(pair));
    e.byTurns(beginOf(pair), beginOf(pair + 1),
              [&](Val r) { e.store(number, local, {r, zero}); });
  });
  e.parallel(room, [&](Val r) {
    e.when(r >= beginOf(e.index(pairs)),
           [&] { e.store(e.constant(e.getI32Type(), -1), local, {r, zero}); });
  });
}

void moe::lower(Lowering &l, ArrivalsOp op) { Arrivals(l, op).lower(); }

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
