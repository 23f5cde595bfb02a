//===- LowerSelect.cpp - Experts and weights of each token ----------------===//
//
// Part of moe-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Sections 3.2, 3.5 and 3.8 of docs/Spec.md, and how they follow each other.
//
//===----------------------------------------------------------------------===//

#include "LearnedSelect.h"

using namespace mlir;
using namespace moe;

LearnedSelect::LearnedSelect(Lowering &l, SelectOp op)
    : l(l), e(l.e), op(op), router(op.getRouter()),
      tokens(l.extent(op.getInput(), 0)), logits(l[op.getInput()]),
      numLogits(router.getNumLogits()), numChoices(router.getNumChoices()),
      numSlots(router.getNumSlots()) {}

void LearnedSelect::scoreToken(Val t) {
  auto read = [&](Val i) { return e.load(logits, {t, i}); };
  Val count = e.index(numLogits);
  if (scores == logits)
    return;
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

/// The sum of the weights, or the norm for another p.
Val LearnedSelect::norm(Val count, llvm::function_ref<Val(Val)> read) {
  double p = router.getP().convertToDouble();
  Val zero = e.real_(0);
  if (p == 1)
    return e.sum(count, zero, read);
  // In terms of the largest, no power of which runs out of exponents.
  Val most = e.carry(e.index(0), count, zero, [&](Val j, ArrayRef<Val> most) {
    return Emitter::Vals{e.max(most[0], e.abs(read(j)))};
  })[0];
  Val total = e.sum(count, zero, [&](Val j) {
    return e.pow(e.abs(read(j)) / most, e.real_(p));
  });
  return e.select(most > 0, most * e.pow(total, e.real_(1 / p)), zero);
}

void LearnedSelect::weighChosen(Val t) {
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
  if (router.getRenormalize() == RenormalizeKind::none)
    return;
  Val eps = e.real_(router.getEps().convertToDouble());
  Val total = norm(slots, read);
  Val divisor = router.getRenormalize() == RenormalizeKind::add
                    ? total + eps
                    : e.max(total, eps);
  e.loop(slots, [&](Val j) { write(j, read(j) / divisor); });
}

/// Each of the two is weighed by its share of the softmax over those that are
/// near it; the first takes no part in the second's.
void LearnedSelect::weighSparsely(Val t) {
  double limit = 2 * router.getThreshold().convertToDouble();
  auto logit = [&](Val i) { return e.load(logits, {t, i}); };
  auto chosen = [&](Val j) { return e.asIndex(e.load(indices, {t, j})); };
  Val first = chosen(e.index(0));
  e.loop(e.index(numSlots), [&](Val j) {
    Val top = logit(chosen(j));
    Val total = e.sum(e.index(numLogits), e.real_(0), [&](Val i) {
      Val value = logit(i);
      Val far = (top - value) / e.max(e.abs(value), top) > limit;
      Val taken = (j > 0) & (i == first);
      return e.select(far | taken, e.real_(0), e.exp(value - top));
    });
    e.store(e.real_(1) / total, weights, {t, j});
  });
}

Val LearnedSelect::isFiniteToken(Val t) {
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

void LearnedSelect::finishToken(Val t, Val hasExperts) {
  e.loop(e.index(numSlots), [&](Val j) {
    Val expert = e.load(indices, {t, j});
    Val weight = e.load(weights, {t, j}) * router.getScale().convertToDouble();
    weight = expertScale(weight, e.asIndex(expert));
    e.store(e.select(hasExperts, weight, e.real_(0)), weights, {t, j});
    e.store(e.select(hasExperts, expert, expert.like(-1)), indices, {t, j});
  });
}

void LearnedSelect::lower() {
  indices = l.result(op.getIndices(), {tokens});
  weights = l.result(op.getWeights(), {tokens});
  bool scored = router.getScoreOn() == ScoreOnKind::all && !isSparsemixer();
  bool isTable = router.getStrategy() == StrategyKind::table;
  bool takesTurns = router.getBalancing() == BalancingKind::round_robin;
  scores = scored ? l.scratch(e.real, {tokens, Extent::constant(numLogits)})
                  : logits;
  if (router.getBalancing() == BalancingKind::load_aware)
    relativeLoads = relativeLoad();
  if (!isTable && !takesTurns)
    keys = l.scratch(e.real, {tokens, Extent::constant(numChoices)});
  if (GroupsAttr groups = router.getGroups())
    groupScores =
        l.scratch(e.real, {tokens, Extent::constant(groups.getCount())});
  e.parallel(l.size(tokens), [&](Val t) {
    scoreToken(t);
    Val known;
    if (isTable) {
      known = lookUp(t);
    } else if (takesTurns) {
      takeTurns(t);
    } else {
      keysOfToken(t);
      if (router.isExpertChoice())
        return;
      chooseLargest(t);
      addAlwaysOn(t);
    }
    if (isSparsemixer())
      weighSparsely(t);
    else
      weighChosen(t);
    Val finite = isFiniteToken(t);
    finishToken(t, isTable ? finite & known : finite);
  });
  if (router.isExpertChoice())
    expertChoice();
}

void moe::lower(Lowering &l, SelectOp op) {
  if (op.getRouter().hasLogits())
    LearnedSelect(l, op).lower();
  else
    lowerUnlearned(l, op);
}
