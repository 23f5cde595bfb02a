//===- KeepLargest.cpp - The largest of many, by the bits of their keys ---===//
//
// Part of moe-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Row.h"

using namespace mlir;
using namespace moe;

namespace {
/// The largest of a row of keys, of which any number may be alike.
class KeepLargest {
public:
  KeepLargest(Lowering &l, Value keys, Val begin, Val count, Val limit)
      : l(l), e(l.e), keys(keys), begin(begin), count(count),
        limit(e.min(limit, count)),
        integer(cast<MemRefType>(keys.getType()).getElementType()) {}

  using Visit = llvm::function_ref<void(Val, Val, Val)>;
  void run(Visit visit);

private:
  Lowering &l;
  Emitter &e;
  Value keys;
  Val begin, count, limit;
  Type integer;

  Val countIf(llvm::function_ref<Val(Val)> condition);
  Val findThreshold();
  void visitInOrder(Val threshold, Val equalKept, Visit visit);
  void visitByLanes(Val threshold, Val equalKept, Visit visit);
};
} // namespace

/// How many keys, or vectors of them, a condition holds of.
Val KeepLargest::countIf(llvm::function_ref<Val(Val)> condition) {
  auto add = [&](const Row &row, Val i, Val sum) {
    Val key = row.load(keys, {begin + i}, {i, row.lanes});
    return sum + e.select(condition(key), sum.like(1), sum.like(0));
  };
  auto both = [](ArrayRef<Val> a, ArrayRef<Val> b) {
    return Emitter::Vals{a[0] + b[0]};
  };
  auto oneByOne = [&](Val from, Val sum, int64_t step) {
    return e.carry(
        from, count, sum,
        [&](Val i, ArrayRef<Val> sum) {
          return Emitter::Vals{add(Row(e, 1, 1), i, sum[0])};
        },
        step)[0];
  };
  if (e.lane.value) {
    Val mine = oneByOne(e.lane, e.constant(integer, 0), Emitter::lanesOfWarp);
    return e.asIndex(e.foldLanes({mine}, both)[0]);
  }
  int64_t lanes = l.reference ? 1 : l.lanes;
  Row part(e, lanes, lanes);
  Val whole = count / double(lanes) * double(lanes);
  Val sums = e.carry(
      e.index(0), whole, part.constant(integer, 0),
      [&](Val i, ArrayRef<Val> sums) {
        return Emitter::Vals{add(part, i, sums[0])};
      },
      lanes)[0];
  Val sum = part.reduce({sums}, both)[0];
  return e.asIndex(lanes > 1 ? oneByOne(whole, sum, 1) : sum);
}

/// The limit-th largest key, bit by bit from the top, in an order in which the
/// lowest key is 0; signed comparison needs the top bit flipped.
Val KeepLargest::findThreshold() {
  unsigned width = integer.getIntOrFloatBitWidth();
  Val top = e.bits(integer, uint64_t(1) << (width - 1));
  // All stay below the limit, at the threshold of before.
  Val steps = e.select(limit < count, e.index(width), e.index(0));
  Val threshold = e.carry(
      e.index(0), steps, e.constant(integer, 0),
      [&](Val step, ArrayRef<Val> found) {
        Val shift = e.cast(e.index(width - 1) - step, integer);
        Val candidate = found[0] | (e.constant(integer, 1) << shift);
        Val least = candidate ^ top;
        Val enough =
            countIf([&](Val k) { return k >= e.like(k, least); }) >= limit;
        return Emitter::Vals{e.select(enough, candidate, found[0])};
      })[0];
  return threshold ^ top;
}

void KeepLargest::visitInOrder(Val threshold, Val equalKept, Visit visit) {
  Val zero = e.index(0);
  e.carry(zero, count, {equalKept, zero}, [&](Val i, ArrayRef<Val> state) {
    Val k = e.load(keys, {begin + i});
    Val tie = (k == threshold) & (state[0] > 0);
    Val kept = (k > threshold) | tie;
    visit(i, kept, state[1]);
    return Emitter::Vals{e.select(tie, state[0] - 1, state[0]),
                         e.select(kept, state[1] + 1, state[1])};
  });
}

/// A key for each lane of a warp.
void KeepLargest::visitByLanes(Val threshold, Val equalKept, Visit visit) {
  Val zero = e.index(0);
  e.carry(
      zero, count, {equalKept, zero},
      [&](Val first, ArrayRef<Val> state) {
        Val i = first + e.lane;
        Val isInside = i < count;
        Val k = e.choose(
            isInside, [&] { return e.load(keys, {begin + i}); },
            [&] { return e.constant(integer, 0); });
        Val tie = isInside & (k == threshold);
        Emitter::LaneCount ties = e.countLanes(tie);
        tie = tie & (ties.before < state[0]);
        Val kept = (isInside & (k > threshold)) | tie;
        Emitter::LaneCount keep = e.countLanes(kept);
        e.when(isInside, [&] { visit(i, kept, state[1] + keep.before); });
        return Emitter::Vals{state[0] - ties.all, state[1] + keep.all};
      },
      Emitter::lanesOfWarp);
}

void KeepLargest::run(Visit visit) {
  Val threshold = findThreshold();
  Val equalKept =
      limit - countIf([&](Val k) { return k > e.like(k, threshold); });
  if (e.lane.value)
    visitByLanes(threshold, equalKept, visit);
  else
    visitInOrder(threshold, equalKept, visit);
}

void moe::emitKeepLargest(Lowering &l, Value keys, Val begin, Val count,
                          Val limit,
                          llvm::function_ref<void(Val, Val, Val)> visit) {
  KeepLargest(l, keys, begin, count, limit).run(visit);
}
