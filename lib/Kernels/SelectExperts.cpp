//===- SelectExperts.cpp - Which experts a token is given -----------------===//
//
// Part of moe-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Sections 3.3, 3.4, 3.6 and 3.8 of docs/Spec.md.
//
//===----------------------------------------------------------------------===//

#include "LearnedSelect.h"

#include <limits>

using namespace mlir;
using namespace moe;

static constexpr double infinity = std::numeric_limits<double>::infinity();

/// Calls `visit(j, index)` for the `picks` largest keys in descending order,
/// ties by lower index; returns the last key and its index. Each scan takes
/// what comes right after the pick before.
Emitter::Vals LearnedSelect::largest(Val count, int64_t picks,
                                     llvm::function_ref<Val(Val)> key,
                                     llvm::function_ref<void(Val, Val)> visit) {
  Val before = e.real_(infinity), none = e.index(-1);
  return e.carry(e.index(0), e.index(picks), {before, none},
                 [&](Val j, ArrayRef<Val> last) {
                   auto best = e.carry(
                       e.index(0), count, {e.real_(-infinity), none},
                       [&](Val i, ArrayRef<Val> best) {
                         Val k = key(i);
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

/// loads over their mean, or zeros while there are none.
Value LearnedSelect::relativeLoad() {
  Value loads = l[op.getLoads()];
  Value relative = l.scratch(e.real, {Extent::constant(numLogits)});
  Val count = e.index(numLogits);
  Val total = e.cast(e.sum(count, e.constant(e.getI64Type(), 0),
                           [&](Val i) { return e.load(loads, {i}); }),
                     e.real);
  e.loop(count, [&](Val i) {
    Val load = e.cast(e.load(loads, {i}), e.real) * double(numLogits) / total;
    e.store(e.select(total > 0, load, e.real_(0)), relative, {i});
  });
  return relative;
}

/// q: the scores with bias and load, NaN at the bottom.
void LearnedSelect::keysOfToken(Val t) {
  e.loop(e.index(numChoices), [&](Val i) {
    Val q = e.load(scores, {t, i});
    if (op.getBias())
      q = q + e.load(l[op.getBias()], {i});
    if (relativeLoads)
      q = q - e.load(relativeLoads, {i}) * router.getLambda().convertToDouble();
    e.store(emitOrdered(e, q), keys, {t, i});
  });
  if (router.getGroups())
    maskGroups(t);
}

void LearnedSelect::maskGroups(Val t) {
  GroupsAttr groups = router.getGroups();
  int64_t members = numChoices / groups.getCount();
  Val count = e.index(groups.getCount());
  e.loop(count, [&](Val g) {
    Val first = g * members;
    auto top = e.carry(e.index(0), e.index(members),
                       {e.real_(-infinity), e.real_(-infinity)},
                       [&](Val i, ArrayRef<Val> top) {
                         Val q = e.load(keys, {t, first + i});
                         Val second = e.max(top[1], e.min(q, top[0]));
                         return Emitter::Vals{e.max(top[0], q), second};
                       });
    Val score = top[0];
    if (groups.getReduce() == GroupReduceKind::sum_top2)
      score = top[0] + top[1];
    e.store(emitOrdered(e, score), groupScores, {t, g});
  });
  // What comes after the last group to stay is masked.
  auto last = largest(
      count, groups.getKeep(),
      [&](Val g) { return e.load(groupScores, {t, g}); }, [](Val, Val) {});
  double fill = groups.getFill() == GroupFillKind::zero ? 0.0 : -infinity;
  e.loop(count, [&](Val g) {
    Val score = e.load(groupScores, {t, g});
    Val masked = (score < last[0]) | ((score == last[0]) & (g > last[1]));
    e.when(masked, [&] {
      e.loop(e.index(members), [&](Val i) {
        e.store(e.real_(fill), keys, {t, g * members + i});
      });
    });
  });
}

void LearnedSelect::chooseLargest(Val t) {
  largest(
      e.index(numChoices), router.getTopK(),
      [&](Val i) { return e.load(keys, {t, i}); },
      [&](Val j, Val expert) { e.store(expert, indices, {t, j}); });
}

void LearnedSelect::takeTurns(Val t) {
  e.loop(e.index(numSlots), [&](Val j) {
    Val expert = (t * numSlots + j) % router.getExperts();
    e.store(expert, indices, {t, j});
  });
}

/// Whether the table has experts for the token's id. What is out of range
/// becomes expert 0 here, so that it can be weighed like any other.
Val LearnedSelect::lookUp(Val t) {
  Value table = l[op.getTable()];
  int64_t rows = cast<MemRefType>(table.getType()).getDimSize(0);
  Val id = e.load(l[op.getTokenIds()], {t});
  Val known = (id >= 0) & (id < double(rows));
  return e.carry(
      e.index(0), e.index(numSlots), known, [&](Val j, ArrayRef<Val> all) {
        Val none = e.constant(e.getI32Type(), -1);
        Val expert = e.choose(
            known, [&] { return e.load(table, {e.asIndex(id), j}); },
            [&] { return none; });
        Val real = (expert >= 0) & (expert < double(router.getExperts()));
        e.store(e.select(real, expert, none.like(0)), indices, {t, j});
        return Emitter::Vals{all[0] & real};
      })[0];
}

/// The last experts, in the slots after the chosen ones.
void LearnedSelect::addAlwaysOn(Val t) {
  int64_t chosen = router.getTopK();
  e.loop(e.index(router.getAlwaysOn()), [&](Val i) {
    e.store(i + double(numChoices), indices, {t, i + double(chosen)});
  });
}

void LearnedSelect::expertChoice() {
  Val count = l.size(tokens);
  Val limit = emitShare(e, router.getFactor().convertToDouble(), count,
                        router.getTopK(), router.getExperts(), count);
  Value finite = l.scratch(e.getI8Type(), {tokens});
  e.parallel(count, [&](Val t) {
    Val one = e.constant(e.getI8Type(), 1);
    e.store(e.select(isFiniteToken(t), one, one.like(0)), finite, {t});
  });
  double scale = router.getScale().convertToDouble();
  e.parallel(e.index(router.getExperts()), [&](Val expert) {
    emitKeepLargest(
        e, count, limit,
        [&](Val t) {
          return e.select(e.load(finite, {t}) != 0, e.load(keys, {t, expert}),
                          e.real_(-infinity));
        },
        [&](Val t, Val kept) {
          kept = kept & (e.load(finite, {t}) != 0);
          Val weight = expertScale(e.load(scores, {t, expert}) * scale, expert);
          e.store(e.select(kept, weight, e.real_(0)), weights, {t, expert});
          e.store(e.select(kept, expert, e.index(-1)), indices, {t, expert});
        });
  });
}
