//===- TopK.cpp - The few largest values of a row -------------------------===//
//
// Part of moe-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// A key of 32 bits and its index make one integer. No two are equal, so each
// pick is the largest of those that are below the pick before: one comparison
// and one maximum per vector, and nothing is written.
//
//===----------------------------------------------------------------------===//

#include "TopK.h"

using namespace mlir;
using namespace moe;

static constexpr double lowest = -0x1p63;

TopK::TopK(Lowering &l, const Extent &rows, int64_t count)
    : l(l), e(l.e), all(l, count) {
  // Whole vectors: what is past the row is below every key.
  if (!l.reference)
    packed =
        l.scratch(e.getI64Type(),
                  {rows, Extent::constant(llvm::alignTo(count, all.lanes))});
}

void TopK::pack(Val row) {
  Type i64 = e.getI64Type();
  Val below = all.constant(i64, lowest);
  all.forEach([&](Row::Part i) {
    Val key = emitOrderedKey(e, all.load(keys, {row, i.first}, i));
    Val low = below.like(0xFFFFFFFF) - all.places(i, i64);
    Val both = (e.cast(key, i64) << below.like(32)) | low;
    all.store(all.inside(i, both, below), packed, {row, i.first},
              {i.first, all.lanes});
  });
}

void TopK::pick(Value from, Val row, int64_t picks,
                llvm::function_ref<void(Val, Val)> visit) {
  keys = from;
  if (l.reference)
    return pickPlainly(row, picks, visit);
  pack(row);
  Type i64 = e.getI64Type();
  Val none = e.constant(i64, lowest);
  Row whole(e, llvm::alignTo(all.count, all.lanes), all.lanes);
  Val before = e.bits(i64, ~(uint64_t(1) << 63));
  last = e.carry(
      e.index(0), e.index(picks), before, [&](Val j, ArrayRef<Val> before) {
        Val limit = whole.fill(before[0]), below = whole.fill(none);
        Val next = whole.fold(
            none,
            [&](Row::Part i) {
              Val key = whole.load(packed, {row, i.first}, i);
              return e.select(key < limit, key, below);
            },
            [&](Val a, Val b) { return e.max(a, b); });
        visit(j, e.asIndex(next.like(0xFFFFFFFF) - (next & 0xFFFFFFFF)));
        return Emitter::Vals{next};
      });
}

/// Each scan takes what comes right after the pick before.
void TopK::pickPlainly(Val row, int64_t picks,
                       llvm::function_ref<void(Val, Val)> visit) {
  Val before = e.real_(infinity), lowestKey = e.real_(-infinity);
  Val none = e.index(-1);
  last = e.carry(e.index(0), e.index(picks), {before, none},
                 [&](Val j, ArrayRef<Val> last) {
                   auto best = e.carry(
                       e.index(0), e.index(all.count), {lowestKey, none},
                       [&](Val i, ArrayRef<Val> best) {
                         Val k = e.load(keys, {row, i});
                         Val after =
                             (k < last[0]) | ((k == last[0]) & (i > last[1]));
                         Val better = after & ((best[1] < 0) | (k > best[0]));
                         return Emitter::Vals{e.select(better, k, best[0]),
                                              e.select(better, i, best[1])};
                       });
                   visit(j, best[1]);
                   return Emitter::Vals{best[0], best[1]};
                 });
}

Val TopK::isPicked(Val row, Val index) {
  if (!l.reference)
    return e.load(packed, {row, index}) >= last[0];
  Val key = e.load(keys, {row, index});
  return (key > last[0]) | ((key == last[0]) & (index <= last[1]));
}
