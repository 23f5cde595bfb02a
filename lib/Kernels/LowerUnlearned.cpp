//===- LowerUnlearned.cpp - Experts chosen without scores -----------------===//
//
// Part of moe-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Section 3.7 of docs/Spec.md.
//
//===----------------------------------------------------------------------===//

#include "Row.h"

using namespace mlir;
using namespace moe;

namespace {

/// mix() of section 3.7.
Val mix(Val z) {
  Emitter &e = *z.e;
  Type i64 = e.getI64Type();
  z = (z ^ (z >> 30)) * e.bits(i64, 0xBF58476D1CE4E5B9);
  z = (z ^ (z >> 27)) * e.bits(i64, 0x94D049BB133111EB);
  return z ^ (z >> 31);
}

/// hash and random: the j-th draw picks among the experts not drawn before.
void hashed(Lowering &l, SelectOp op, Value indices, Value weights) {
  Emitter &e = l.e;
  RouterAttr router = op.getRouter();
  Extent tokens = l.extent(op.getInput(), 0);
  int64_t k = router.getTopK();
  Type i64 = e.getI64Type();
  // What each token drew so far, ascending.
  Value drawn = l.scratch(i64, {tokens, Extent::constant(k)});
  e.parallel(l.size(tokens), [&](Val t) {
    Val id =
        op.getTokenIds() ? e.load(l[op.getTokenIds()], {t}) : e.cast(t, i64);
    e.loop(e.index(k), [&](Val j) {
      Val count = e.cast(j, i64);
      Val counter = id * double(k) + count + 1;
      Val h = mix(e.bits(i64, router.getSeed()) +
                  counter * e.bits(i64, 0x9E3779B97F4A7C15));
      Val place = h % (e.constant(i64, router.getExperts()) - count);
      // Each earlier draw at or below moves the place up by one.
      Val expert = e.carry(e.index(0), j, place, [&](Val i, ArrayRef<Val> at) {
        Val below = e.load(drawn, {t, i}) <= at[0];
        return Emitter::Vals{e.select(below, at[0] + 1, at[0])};
      })[0];
      Val rank = e.asIndex(expert - place);
      e.loop(rank, j, [&](Val i) {
        Val to = j - (i - rank);
        e.store(e.load(drawn, {t, to - e.index(1)}), drawn, {t, to});
      });
      e.store(expert, drawn, {t, rank});
      e.store(expert, indices, {t, j});
      e.store(e.real_(1.0 / k), weights, {t, j});
    });
  });
}

/// Sequential by definition: each token sees what those before it took.
void leastLoaded(Lowering &l, SelectOp op, Value indices, Value weights) {
  Emitter &e = l.e;
  RouterAttr router = op.getRouter();
  Extent tokens = l.extent(op.getInput(), 0);
  int64_t k = router.getTopK();
  Type i64 = e.getI64Type();
  Row experts(l, router.getExperts());
  Value loads = l.scratch(i64, {Extent::constant(experts.count)});
  auto load = [&](Value from, RowPart i) {
    return experts.load(from, {i.first}, i);
  };
  // Pairs of load and expert, which order by load and then by expert.
  using Pair = ArrayRef<Val>;
  auto less = [](Pair a, Pair b) {
    return (a[0] < b[0]) | ((a[0] == b[0]) & (a[1] < b[1]));
  };
  auto lower = [&](Pair a, Pair b) {
    Val isB = less(b, a);
    return Emitter::Vals{e.select(isB, b[0], a[0]), e.select(isB, b[1], a[1])};
  };
  uint64_t topBit = uint64_t(1) << 63;
  auto pickOf = [&](Val t) {
    Val least = e.bits(i64, topBit), none = e.bits(i64, -1);
    Val most = experts.fill(e.bits(i64, ~topBit));
    Val no = experts.constant(e.getI1Type(), 0);
    e.carry(e.index(0), e.index(k), {least, none}, [&](Val j, Pair last) {
      Val before[] = {experts.fill(last[0]), experts.fill(last[1])};
      Emitter::Vals next =
          experts.carry({most, most}, [&](RowPart i, Pair next) {
            Val item[] = {load(loads, i), experts.places(i, i64)};
            Val isAfter = experts.inside(i, less(before, item), no);
            return lower(next, {e.select(isAfter, item[0], most),
                                e.select(isAfter, item[1], most)});
          });
      next = experts.reduce(next, lower);
      e.once([&] {
        e.store(next[1], indices, {t, j});
        e.store(e.real_(1.0 / k), weights, {t, j});
      });
      return next;
    });
  };
  l.together([&] {
    experts.forEach([&](RowPart i) {
      experts.store(load(l[op.getLoads()], i), loads, {i.first}, i);
    });
    e.loop(l.size(tokens), [&](Val t) {
      pickOf(t);
      e.meet();
      e.byTurns(e.index(k), [&](Val j) {
        Val expert = e.asIndex(e.load(indices, {t, j}));
        e.store(e.load(loads, {expert}) + 1, loads, {expert});
      });
      e.meet();
    });
  });
}

} // namespace

void moe::lowerUnlearned(Lowering &l, SelectOp op) {
  Extent tokens = l.extent(op.getInput(), 0);
  Value indices = l.result(op.getIndices(), {tokens});
  Value weights = l.result(op.getWeights(), {tokens});
  if (op.getRouter().getStrategy() == StrategyKind::load_based)
    leastLoaded(l, op, indices, weights);
  else
    hashed(l, op, indices, weights);
}
