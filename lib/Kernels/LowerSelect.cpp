//===- LowerSelect.cpp - Experts and weights of each token ----------------===//
//
// Part of moe-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Section 3 of docs/Spec.md, in its order.
//
//===----------------------------------------------------------------------===//

#include "Lowering.h"

#include "mlir/Dialect/MemRef/IR/MemRef.h"

#include <limits>

using namespace mlir;
using namespace moe;

static constexpr double infinity = std::numeric_limits<double>::infinity();

namespace {

class LearnedSelect {
public:
  LearnedSelect(Lowering &l, SelectOp op)
      : l(l), e(l.e), op(op), router(op.getRouter()),
        tokens(l.extent(op.getInput(), 0)), numLogits(router.getNumLogits()),
        numSlots(router.getNumSlots()) {}

  void lower();

private:
  Lowering &l;
  Emitter &e;
  SelectOp op;
  RouterAttr router;
  Extent tokens;
  const int64_t numLogits, numSlots;
  Value indices, weights;
  /// s and q of the spec, one row per token.
  Value scores, keys;
  Value groupScores, relativeLoads;

  void expertChoice();
  void scoreToken(Val t);
  void keysOfToken(Val t);
  void maskGroups(Val t);
  void chooseLargest(Val t);
  void weighToken(Val t);
  Val isFiniteToken(Val t);
  Val expertScale(Val weight, Val expert);
  Value relativeLoad();
  Emitter::Vals largest(Val count, int64_t picks,
                        llvm::function_ref<Val(Val)> key,
                        llvm::function_ref<void(Val, Val)> visit);
};

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

void LearnedSelect::scoreToken(Val t) {
  Value logits = l[op.getInput()];
  auto read = [&](Val i) { return e.load(logits, {t, i}); };
  Val count = e.index(numLogits);
  if (router.getScoreOn() == ScoreOnKind::selected)
    return; // scores are the logits themselves
  if (router.getScore() == ScoreKind::function) {
    e.loop(count, [&](Val i) {
      e.store(e.inlineRegion(op.getScore(), read(i)), scores, {t, i});
    });
    return;
  }
  e.loop(count, [&](Val i) { e.store(read(i), scores, {t, i}); });
  emitSoftmax(
      e, count, [&](Val i) { return e.load(scores, {t, i}); },
      [&](Val i, Val value) { e.store(value, scores, {t, i}); });
}

/// q: the scores with bias and load, NaN at the bottom.
void LearnedSelect::keysOfToken(Val t) {
  e.loop(e.index(numLogits), [&](Val i) {
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
  int64_t members = numLogits / groups.getCount();
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
      e.index(numLogits), numSlots, [&](Val i) { return e.load(keys, {t, i}); },
      [&](Val j, Val expert) { e.store(expert, indices, {t, j}); });
}

Val LearnedSelect::isFiniteToken(Val t) {
  Value logits = l[op.getInput()];
  Val yes = e.constant(e.getI1Type(), 1);
  return e.carry(
      e.index(0), e.index(numLogits), yes, [&](Val i, ArrayRef<Val> all) {
        return Emitter::Vals{all[0] & e.isFinite(e.load(logits, {t, i}))};
      })[0];
}

/// `weight` times the learned factor of an expert; null experts have none.
Val LearnedSelect::expertScale(Val weight, Val expert) {
  if (!op.getExpertScale())
    return weight;
  Value scale = l[op.getExpertScale()];
  return e.choose(
      expert < double(router.getExperts()),
      [&] { return weight * e.load(scale, {expert}); }, [&] { return weight; });
}

void LearnedSelect::weighToken(Val t) {
  Val slots = e.index(numSlots);
  auto read = [&](Val j) { return e.load(weights, {t, j}); };
  auto write = [&](Val j, Val value) { e.store(value, weights, {t, j}); };
  e.loop(slots, [&](Val j) {
    Val expert = e.asIndex(e.load(indices, {t, j}));
    write(j, e.load(scores, {t, expert}));
  });
  if (router.getScoreOn() == ScoreOnKind::selected) {
    if (router.getScore() == ScoreKind::softmax)
      emitSoftmax(e, slots, read, write);
    else
      e.loop(slots,
             [&](Val j) { write(j, e.inlineRegion(op.getScore(), read(j))); });
  }
  Val divisor;
  if (router.getRenormalize() != RenormalizeKind::none) {
    Val eps = e.real_(router.getEps().convertToDouble());
    Val total = e.sum(slots, e.real_(0), read);
    divisor = router.getRenormalize() == RenormalizeKind::add
                  ? total + eps
                  : e.max(total, eps);
  }
  Val finite = isFiniteToken(t);
  e.loop(slots, [&](Val j) {
    Val expert = e.load(indices, {t, j});
    Val weight = read(j);
    if (divisor.value)
      weight = weight / divisor;
    weight = weight * router.getScale().convertToDouble();
    weight = expertScale(weight, e.asIndex(expert));
    write(j, e.select(finite, weight, e.real_(0)));
    e.store(e.select(finite, expert, expert.like(-1)), indices, {t, j});
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

void LearnedSelect::lower() {
  indices = l.result(op.getIndices(), {tokens});
  weights = l.result(op.getWeights(), {tokens});
  Extent experts = Extent::constant(numLogits);
  bool scored = router.getScoreOn() == ScoreOnKind::all;
  scores = scored ? l.scratch(e.real, {tokens, experts}) : l[op.getInput()];
  if (router.getBalancing() == BalancingKind::load_aware)
    relativeLoads = relativeLoad();
  keys = l.scratch(e.real, {tokens, experts});
  if (GroupsAttr groups = router.getGroups())
    groupScores =
        l.scratch(e.real, {tokens, Extent::constant(groups.getCount())});
  bool roundRobin = router.getBalancing() == BalancingKind::round_robin;
  e.parallel(l.size(tokens), [&](Val t) {
    scoreToken(t);
    if (roundRobin) {
      e.loop(e.index(numSlots), [&](Val j) {
        Val expert = (t * numSlots + j) % router.getExperts();
        e.store(expert, indices, {t, j});
      });
      return weighToken(t);
    }
    keysOfToken(t);
    if (router.isExpertChoice())
      return;
    chooseLargest(t);
    weighToken(t);
  });
  if (router.isExpertChoice())
    expertChoice();
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

} // namespace

void moe::lower(Lowering &l, SelectOp op) {
  if (op.getRouter().isLearned())
    LearnedSelect(l, op).lower();
  else
    lowerUnlearned(l, op);
}
