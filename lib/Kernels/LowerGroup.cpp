//===- LowerGroup.cpp - Slots sorted by expert ----------------------------===//
//
// Part of moe-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Section 4 of docs/Spec.md: a counting sort in two passes over the slots.
//
//===----------------------------------------------------------------------===//

#include "Lowering.h"

using namespace mlir;
using namespace moe;

namespace {

class Group {
public:
  Group(Lowering &l, GroupOp op)
      : l(l), e(l.e), op(op), indices(l[op.getIndices()]),
        tokens(l.extent(op.getIndices(), 0)),
        slots(cast<RankedTensorType>(op.getIndices().getType()).getDimSize(1)),
        experts(op.getExperts()) {}

  void lower();

private:
  Lowering &l;
  Emitter &e;
  GroupOp op;
  Value indices;
  Extent tokens;
  const int64_t slots, experts;
  Value rows, offsets, positions, counts;
  /// Where the next slot of each expert goes.
  Value next;

  Val numSlots() { return l.size(tokens.times(slots)); }
  Val expertOf(Val slot) {
    return e.load(indices, {slot / slots, slot % slots});
  }
  Val isReal(Val expert) { return (expert >= 0) & (expert < double(experts)); }
  Val limit();
  void countSlots();
  void makeOffsets(Value into, bool limited);
  Val takePlace(Val expert);
  void place(Val slot, Val expert);
  void placeInOrder();
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

/// Gives a slot the next place of its expert.
void Group::place(Val slot, Val expert) {
  Val position = takePlace(expert);
  e.when(position >= 0,
         [&] { e.store(e.asI32(slot), rows, {e.asIndex(position)}); });
  e.store(position, positions, {slot / slots, slot % slots});
}

void Group::countSlots() {
  Val zero = e.constant(e.getI32Type(), 0);
  e.loop(e.index(experts + op.getNullExperts()),
         [&](Val i) { e.store(zero, counts, {i}); });
  e.loop(numSlots(), [&](Val slot) {
    Val expert = expertOf(slot);
    e.when(expert >= 0, [&] {
      Val at = e.asIndex(expert);
      e.store(e.load(counts, {at}) + 1, counts, {at});
    });
  });
}

/// Running sums of what each expert holds, and `next` at their start.
void Group::makeOffsets(Value into, bool limited) {
  Val zero = e.constant(e.getI32Type(), 0);
  e.store(zero, into, {e.index(0)});
  e.carry(e.index(0), e.index(experts), zero, [&](Val i, ArrayRef<Val> total) {
    Val count = e.load(counts, {i});
    if (limited)
      count = e.min(count, limit());
    e.store(total[0], next, {i});
    e.store(total[0] + count, into, {i + 1});
    return Emitter::Vals{total[0] + count};
  });
}

/// The next place of an expert, or -1 if there is none left.
Val Group::takePlace(Val expert) {
  Val none = e.constant(e.getI32Type(), -1);
  return e.choose(
      isReal(expert),
      [&] {
        Val at = e.asIndex(expert);
        Val place = e.load(next, {at});
        Val fits = place < e.load(offsets, {at + 1});
        e.when(fits, [&] { e.store(place + 1, next, {at}); });
        return e.select(fits, place, none);
      },
      [&] { return none; });
}

void Group::placeInOrder() {
  makeOffsets(offsets, op.getCapacity().has_value());
  e.loop(numSlots(), [&](Val slot) { place(slot, expertOf(slot)); });
}

/// First who keeps a place, choice by choice; then the places, slot by slot.
void Group::placeByChoice() {
  makeOffsets(offsets, true);
  e.loop(e.index(slots), [&](Val j) {
    e.loop(l.size(tokens), [&](Val t) {
      e.store(takePlace(e.load(indices, {t, j})), positions, {t, j});
    });
  });
  makeOffsets(offsets, true);
  e.loop(numSlots(), [&](Val slot) {
    Val none = e.constant(e.getI32Type(), -1);
    Val kept = e.load(positions, {slot / slots, slot % slots}) >= 0;
    place(slot, e.select(kept, expertOf(slot), none));
  });
}

/// First all slots by expert, then those that each expert keeps.
void Group::placeByProbability() {
  Type i32 = e.getI32Type();
  Value all = l.scratch(i32, {tokens.times(slots)});
  Value starts = l.scratch(i32, {Extent::constant(experts + 1)});
  makeOffsets(starts, false);
  e.loop(numSlots(), [&](Val slot) {
    Val expert = expertOf(slot);
    e.store(e.constant(i32, -1), positions, {slot / slots, slot % slots});
    e.when(isReal(expert), [&] {
      Val at = e.asIndex(expert);
      Val place = e.load(next, {at});
      e.store(e.asI32(slot), all, {e.asIndex(place)});
      e.store(place + 1, next, {at});
    });
  });
  makeOffsets(offsets, true);
  Value weights = l[op.getWeights()];
  e.parallel(e.index(experts), [&](Val expert) {
    Val first = e.asIndex(e.load(starts, {expert}));
    auto slotAt = [&](Val i) { return e.asIndex(e.load(all, {first + i})); };
    emitKeepLargest(
        e, e.asIndex(e.load(counts, {expert})), e.asIndex(limit()),
        [&](Val i) {
          Val slot = slotAt(i);
          return e.load(weights, {slot / slots, slot % slots});
        },
        [&](Val i, Val kept) {
          e.when(kept, [&] {
            Val slot = slotAt(i), place = e.load(next, {expert});
            e.store(e.asI32(slot), rows, {e.asIndex(place)});
            e.store(place, positions, {slot / slots, slot % slots});
            e.store(place + 1, next, {expert});
          });
        });
  });
}

void Group::lower() {
  rows = l.result(op.getRows(), {tokens.times(slots)});
  offsets = l.result(op.getOffsets());
  positions = l.result(op.getPositions(), {tokens});
  counts = l.result(op.getCounts());
  next = l.scratch(e.getI32Type(), {Extent::constant(experts)});
  countSlots();
  auto has = [&](PriorityKind priority) {
    return op.getCapacity() && op.getCapacity()->getPriority() == priority;
  };
  if (has(PriorityKind::probability))
    placeByProbability();
  else if (has(PriorityKind::choice_order))
    placeByChoice();
  else
    placeInOrder();
  Val used = e.asIndex(e.load(offsets, {e.index(experts)}));
  e.loop(used, numSlots(),
         [&](Val r) { e.store(e.constant(e.getI32Type(), -1), rows, {r}); });
}

} // namespace

void moe::lower(Lowering &l, GroupOp op) { Group(l, op).lower(); }
