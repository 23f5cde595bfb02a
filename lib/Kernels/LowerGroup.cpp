//===- LowerGroup.cpp - Slots sorted by expert ----------------------------===//
//
// Part of moe-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Section 4 of docs/Spec.md: a counting sort in two passes over the slots.
// Ranges of tokens are counted and placed at the same time: a range's slots of
// an expert come after those of the ranges before it. On a GPU a range is of
// slots: those of a block, each of whose threads has one.
//
//===----------------------------------------------------------------------===//

#include "RankedSlots.h"
#include "Row.h"

using namespace mlir;
using namespace moe;

namespace {

class Group {
public:
  Group(Lowering &l, GroupOp op)
      : l(l), e(l.e), op(op), indices(l[op.getIndices()]),
        tokens(l.extent(op.getIndices(), 0)),
        slots(cast<RankedTensorType>(op.getIndices().getType()).getDimSize(1)),
        ranges(l.gpu ? tokens.times(slots).dividedBy(slotsOfBlock)
                     : tokens.dividedBy(rangeTokens)),
        experts(op.getExperts()), all(l, experts + op.getNullExperts()) {}

  void lower();

private:
  Lowering &l;
  Emitter &e;
  GroupOp op;
  Value indices;
  const Extent tokens;
  const int64_t slots;
  static constexpr int64_t rangeTokens = 256; // on a CPU
  const Extent ranges;
  SlotOrder order = SlotOrder::byToken;
  const int64_t experts;
  /// With null experts.
  const Row all;
  Value rows, offsets, positions, counts;
  /// Of each range, how many slots of an expert come before its next one.
  Value taken;

  Val numSlots() { return l.size(tokens.times(slots)); }
  Val isReal(Val expert) { return (expert >= 0) & (expert < double(experts)); }
  Val none() { return e.constant(e.getI32Type(), -1); }
  Val limit();
  void forSlotsOf(Val begin, Val end, llvm::function_ref<void(Val, Val)> body);
  void forRanges(llvm::function_ref<void(Val, Val, Val)> body);
  void clear(Value counters, Val row);
  void countRanges();
  void countSlots(Value totals);
  void makeOffsets(Value into, bool limited);
  Val takePlace(Val expert, Value counters, Val row, Value starts);
  Val positionOf(const RankedSlot &at, Value starts);
  void place(Val t, Val j, Val position, Value into);
  void placeInOrder(Value starts, Value into);
  void keepByChoice();
  void placeByChoice();
  void placeByProbability();
};

/// Places per expert.
Val Group::limit() {
  CapacityAttr capacity = *op.getCapacity();
  if (capacity.getTokens())
    return e.constant(e.getI32Type(), capacity.getTokens());
  return e.asI32(emitShare(e, capacity.getFactor().convertToDouble(),
                           l.size(tokens), slots, experts, numSlots()));
}

/// Of the tokens from `begin` to `end`, in order.
void Group::forSlotsOf(Val begin, Val end,
                       llvm::function_ref<void(Val, Val)> body) {
  e.loop(begin, end,
         [&](Val t) { e.loop(e.index(slots), [&](Val j) { body(t, j); }); });
}

/// `body(range, begin, end)` of each range and its tokens.
void Group::forRanges(llvm::function_ref<void(Val, Val, Val)> body) {
  e.parallel(l.size(ranges), [&](Val range) {
    Val begin = range * double(rangeTokens);
    body(range, begin, e.min(begin + double(rangeTokens), l.size(tokens)));
  });
}

void Group::clear(Value counters, Val row) {
  all.forEach([&](RowPart i) {
    all.store(all.constant(e.getI32Type(), 0), counters, {row, i.first}, i);
  });
}

/// How many slots of each expert each range has.
void Group::countRanges() {
  if (l.gpu)
    return emitRankedSlots(
        l, indices, tokens, order,
        [&](Val range, Val thread) {
          e.loop(
              thread, e.index(all.count),
              [&](Val i) {
                e.store(e.constant(e.getI32Type(), 0), taken, {range, i});
              },
              slotsOfBlock);
        },
        [&](const RankedSlot &at) {
          e.when(at.isLast & (at.expert >= 0), [&] {
            e.store(at.rank + 1, taken, {at.range, e.asIndex(at.expert)});
          });
        });
  forRanges([&](Val range, Val begin, Val end) {
    clear(taken, range);
    forSlotsOf(begin, end, [&](Val t, Val j) {
      Val expert = e.load(indices, {t, j});
      e.when(expert >= 0, [&] {
        Val at = e.asIndex(expert);
        e.store(e.load(taken, {range, at}) + 1, taken, {range, at});
      });
    });
  });
}

/// Counts each range's slots, and makes of that what is before them.
void Group::countSlots(Value totals) {
  taken = l.scratch(e.getI32Type(), {ranges, Extent::constant(all.count)});
  countRanges();
  auto makeBefore = [&](RowPart i) {
    Val zero = all.constant(e.getI32Type(), 0);
    Val total = e.carry(e.index(0), l.size(ranges), zero,
                        [&](Val range, ArrayRef<Val> before) {
                          Val count = all.load(taken, {range, i.first}, i);
                          all.store(before[0], taken, {range, i.first}, i);
                          return Emitter::Vals{before[0] + count};
                        })[0];
    all.store(total, totals, {i.first}, i);
  };
  if (!l.gpu)
    return all.forEach(makeBefore);
  e.parallel(e.index(all.count), [&](Val i) { makeBefore({i, 1}); });
}

/// Running sums of what each expert holds.
void Group::makeOffsets(Value into, bool limited) {
  Val zero = e.constant(e.getI32Type(), 0);
  Val most = limited ? limit() : Val();
  auto held = [&](Val i) {
    Val count = e.load(counts, {i});
    return limited ? e.min(count, most) : count;
  };
  if (l.gpu)
    return e.parallel(e.index(experts + 1),
                      [&](Val i) { e.store(e.sum(i, zero, held), into, {i}); });
  e.store(zero, into, {e.index(0)});
  e.carry(e.index(0), e.index(experts), zero, [&](Val i, ArrayRef<Val> total) {
    Val next = total[0] + held(i);
    e.store(next, into, {i + 1});
    return Emitter::Vals{next};
  });
}

/// The next place of an expert, or -1 if there is none left.
Val Group::takePlace(Val expert, Value counters, Val row, Value starts) {
  return e.choose(
      isReal(expert),
      [&] {
        Val at = e.asIndex(expert);
        Val before = e.load(counters, {row, at});
        e.store(before + 1, counters, {row, at});
        Val place = e.load(starts, {at}) + before;
        return e.select(place < e.load(starts, {at + 1}), place, none());
      },
      [&] { return none(); });
}

void Group::place(Val t, Val j, Val position, Value into) {
  e.when(position >= 0, [&] {
    e.store(e.asI32(t * double(slots) + j), into, {e.asIndex(position)});
  });
  e.store(position, positions, {t, j});
}

/// Where a slot goes, or -1 if its expert has no place left.
Val Group::positionOf(const RankedSlot &at, Value starts) {
  return e.choose(
      isReal(at.expert),
      [&] {
        Val expert = e.asIndex(at.expert);
        Val before = e.load(taken, {at.range, expert}) + at.rank;
        Val place = e.load(starts, {expert}) + before;
        return e.select(place < e.load(starts, {expert + 1}), place, none());
      },
      [&] { return none(); });
}

void Group::placeInOrder(Value starts, Value into) {
  if (l.gpu)
    return emitRankedSlots(
        l, indices, tokens, order, [](Val, Val) {},
        [&](const RankedSlot &at) {
          place(at.token, at.slot, positionOf(at, starts), into);
        });
  forRanges([&](Val range, Val begin, Val end) {
    forSlotsOf(begin, end, [&](Val t, Val j) {
      Val expert = e.load(indices, {t, j});
      place(t, j, takePlace(expert, taken, range, starts), into);
    });
  });
}

/// Leaves of the slots those that keep a place, counted choice by choice.
void Group::keepByChoice() {
  Value kept = l.scratch(e.getI32Type(), {tokens, Extent::constant(slots)});
  emitRankedSlots(
      l, indices, tokens, order, [](Val, Val) {},
      [&](const RankedSlot &at) {
        Val isKept = positionOf(at, offsets) >= 0;
        e.store(e.select(isKept, at.expert, none()), kept, {at.token, at.slot});
      });
  indices = kept;
  order = SlotOrder::byToken;
  countSlots(l.scratch(e.getI32Type(), {Extent::constant(all.count)}));
}

/// First who keeps a place, choice by choice; then the places, slot by slot.
void Group::placeByChoice() {
  if (l.gpu) {
    keepByChoice();
    return placeInOrder(offsets, rows);
  }
  Val zero = e.index(0);
  Value next = l.scratch(e.getI32Type(),
                         {Extent::constant(1), Extent::constant(all.count)});
  clear(next, zero);
  e.loop(e.index(slots), [&](Val j) {
    e.loop(l.size(tokens), [&](Val t) {
      Val expert = e.load(indices, {t, j});
      e.store(takePlace(expert, next, zero, offsets), positions, {t, j});
    });
  });
  clear(next, zero);
  forSlotsOf(zero, l.size(tokens), [&](Val t, Val j) {
    Val kept = e.load(positions, {t, j}) >= 0;
    Val expert = e.select(kept, e.load(indices, {t, j}), none());
    place(t, j, takePlace(expert, next, zero, offsets), rows);
  });
}

/// First all slots by expert, then those that each expert keeps.
void Group::placeByProbability() {
  Type i32 = e.getI32Type();
  Value sorted = l.scratch(i32, {tokens.times(slots)});
  Value starts = l.scratch(i32, {Extent::constant(experts + 1)});
  Value keys =
      l.scratch(e.getIntegerType(e.real.getWidth()), {tokens.times(slots)});
  makeOffsets(starts, false);
  placeInOrder(starts, sorted);
  Value weights = l[op.getWeights()];
  l.eachLongRow(e.index(experts), [&](Val expert) {
    Val first = e.asIndex(e.load(starts, {expert}));
    Val count = e.asIndex(e.load(counts, {expert}));
    auto at = [&](Val i) -> SmallVector<Val> {
      Val slot = e.asIndex(e.load(sorted, {first + i}));
      return {slot / double(slots), slot % double(slots)};
    };
    e.byTurns(count, [&](Val i) {
      Val key = emitOrderedKey(e, e.load(weights, at(i)));
      e.store(key, keys, {first + i});
    });
    Val begin = e.load(offsets, {expert});
    emitKeepLargest(l, keys, first, count, e.asIndex(limit()),
                    [&](Val i, Val kept, Val before) {
                      SmallVector<Val> slot = at(i);
                      Val position = begin + e.asI32(before);
                      place(slot[0], slot[1], e.select(kept, position, none()),
                            rows);
                    });
  });
}

void Group::lower() {
  rows = l.result(op.getRows(), {tokens.times(slots)});
  offsets = l.result(op.getOffsets());
  positions = l.result(op.getPositions(), {tokens});
  counts = l.result(op.getCounts());
  auto has = [&](PriorityKind priority) {
    return op.getCapacity() && op.getCapacity()->getPriority() == priority;
  };
  if (has(PriorityKind::choice_order))
    order = SlotOrder::byChoice;
  countSlots(counts);
  makeOffsets(offsets, op.getCapacity().has_value());
  if (has(PriorityKind::probability))
    placeByProbability();
  else if (has(PriorityKind::choice_order))
    placeByChoice();
  else
    placeInOrder(offsets, rows);
  auto used = [&] { return e.asIndex(e.load(offsets, {e.index(experts)})); };
  auto leave = [&](Val r) { e.store(none(), rows, {r}); };
  if (!l.gpu)
    return e.loop(used(), numSlots(), leave);
  e.parallel(numSlots(),
             [&](Val r) { e.when(r >= used(), [&] { leave(r); }); });
}

} // namespace

void moe::lower(Lowering &l, GroupOp op) { Group(l, op).lower(); }
