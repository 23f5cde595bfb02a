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

#include "Lowering.h"

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
    Val id = router.getStrategy() == StrategyKind::hash
                 ? e.load(l[op.getTokenIds()], {t})
                 : e.cast(t, i64);
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
  int64_t experts = router.getExperts(), k = router.getTopK();
  Type i64 = e.getI64Type();
  Value loads = l.scratch(i64, {Extent::constant(experts)});
  e.loop(e.index(experts),
         [&](Val i) { e.store(e.load(l[op.getLoads()], {i}), loads, {i}); });
  Val lowest = e.bits(i64, uint64_t(1) << 63), none = e.index(-1);
  e.loop(l.size(tokens), [&](Val t) {
    e.carry(
        e.index(0), e.index(k), {lowest, none}, [&](Val j, ArrayRef<Val> last) {
          auto best =
              e.carry(e.index(0), e.index(experts), {lowest, none},
                      [&](Val i, ArrayRef<Val> best) {
                        Val load = e.load(loads, {i});
                        Val after = (load > last[0]) |
                                    ((load == last[0]) & (i > last[1]));
                        Val better = after & ((best[1] < 0) | (load < best[0]));
                        return Emitter::Vals{e.select(better, load, best[0]),
                                             e.select(better, i, best[1])};
                      });
          e.store(best[1], indices, {t, j});
          e.store(e.real_(1.0 / k), weights, {t, j});
          return Emitter::Vals{best[0], best[1]};
        });
    e.loop(e.index(k), [&](Val j) {
      Val expert = e.asIndex(e.load(indices, {t, j}));
      e.store(e.load(loads, {expert}) + 1, loads, {expert});
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
