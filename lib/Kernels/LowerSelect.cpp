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

/// Tokens of one task, which share room for what is between.
static int64_t taskTokens(const Lowering &l) { return l.gpu ? 1 : 16; }

LearnedSelect::LearnedSelect(Lowering &l, SelectOp op)
    : l(l), e(l.e), op(op), router(op.getRouter()),
      tokens(l.extent(op.getInput(), 0)), logits(l[op.getInput()]),
      numLogits(router.getNumLogits()), numChoices(router.getNumChoices()),
      numSlots(router.getNumSlots()), allLogits(l, numLogits),
      allSlots(l, numSlots) {}

void LearnedSelect::scoreToken() {
  if (scores == logits)
    return;
  auto read = [&](RowPart i) {
    return allLogits.load(logits, {t, i.first}, i);
  };
  auto write = [&](RowPart i, Val value) {
    allLogits.store(value, scores, {place, i.first}, i);
  };
  if (router.getScore() == ScoreKind::function)
    return allLogits.forEach(
        [&](RowPart i) { write(i, e.inlineRegion(op.getScore(), read(i))); });
  allLogits.forEach([&](RowPart i) { write(i, read(i)); });
  emitSoftmax(
      allLogits,
      [&](RowPart i) { return allLogits.load(scores, {place, i.first}, i); },
      write);
}

/// The sum of the weights, or the norm for another p.
Val LearnedSelect::norm(llvm::function_ref<Val(Val)> read) {
  double p = router.getP().convertToDouble();
  Val zero = e.real_(0);
  Row slots(e, numSlots, 1);
  if (p == 1)
    return slots.sum(e.real, [&](RowPart j) { return read(j.first); });
  // In terms of the largest, no power of which runs out of exponents.
  Val most = slots.fold(
      zero, [&](RowPart j) { return e.abs(read(j.first)); },
      [&](Val a, Val b) { return e.max(a, b); });
  Val total = slots.sum(e.real, [&](RowPart j) {
    return e.pow(e.abs(read(j.first)) / most, e.real_(p));
  });
  return e.select(most > 0, most * e.pow(total, e.real_(1 / p)), zero);
}

void LearnedSelect::weighChosen() {
  Val slots = e.index(numSlots);
  auto read = [&](Val j) { return e.load(weights, {t, j}); };
  auto write = [&](Val j, Val value) { e.store(value, weights, {t, j}); };
  e.byTurns(slots, [&](Val j) {
    Val expert = e.asIndex(e.load(indices, {t, j}));
    write(j, e.load(scores, {scoreRow(), expert}));
  });
  if (router.getScoreOn() == ScoreOnKind::selected) {
    auto load = [&](RowPart j) {
      return allSlots.load(weights, {t, j.first}, j);
    };
    auto store = [&](RowPart j, Val value) {
      allSlots.store(value, weights, {t, j.first}, j);
    };
    if (router.getScore() == ScoreKind::softmax)
      emitSoftmax(allSlots, load, store);
    else
      allSlots.forEach(
          [&](RowPart j) { store(j, e.inlineRegion(op.getScore(), load(j))); });
  }
  if (router.getRenormalize() == RenormalizeKind::none)
    return;
  Val eps = e.real_(router.getEps().convertToDouble());
  Val total = norm(read);
  Val divisor = router.getRenormalize() == RenormalizeKind::add
                    ? total + eps
                    : e.max(total, eps);
  e.byTurns(slots, [&](Val j) { write(j, read(j) / divisor); });
}

/// Each of the two is weighed by its share of the softmax over those that are
/// near it; the first takes no part in the second's.
void LearnedSelect::weighSparsely() {
  double limit = 2 * router.getThreshold().convertToDouble();
  Type i64 = e.getI64Type();
  auto chosen = [&](Val j) { return e.asIndex(e.load(indices, {t, j})); };
  Val first = allLogits.fill(e.cast(chosen(e.index(0)), i64));
  Val none = allLogits.constant(e.real, 0);
  e.loop(e.index(numSlots), [&](Val j) {
    Val top = allLogits.fill(e.load(logits, {t, chosen(j)}));
    Val isSecond = allLogits.fill(j > 0);
    Val total = allLogits.sum(e.real, [&](RowPart i) {
      Val value = allLogits.load(logits, {t, i.first}, i);
      Val far = (top - value) / e.max(e.abs(value), top) > limit;
      Val taken = isSecond & (allLogits.places(i, i64) == first);
      return e.select(far | taken, none, e.exp(value - top));
    });
    e.once([&] { e.store(e.real_(1) / total, weights, {t, j}); });
  });
  e.meet();
}

Val LearnedSelect::isFiniteToken() {
  return allLogits.all([&](RowPart i) {
    return e.isFinite(allLogits.load(logits, {t, i.first}, i));
  });
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

void LearnedSelect::finishToken(Val hasExperts) {
  Val slots = e.index(numSlots);
  double scale = router.getScale().convertToDouble();
  if (scale != 1 || op.getExpertScale())
    e.byTurns(slots, [&](Val j) {
      Val expert = e.asIndex(e.load(indices, {t, j}));
      Val weight = e.load(weights, {t, j}) * scale;
      e.store(expertScale(weight, expert), weights, {t, j});
    });
  e.when(hasExperts == 0, [&] {
    e.byTurns(slots, [&](Val j) {
      e.store(e.real_(0), weights, {t, j});
      e.store(e.index(-1), indices, {t, j});
    });
  });
}

void LearnedSelect::selectToken() {
  scoreToken();
  bool isTable = router.getStrategy() == StrategyKind::table;
  Val known;
  if (isTable) {
    known = lookUp();
  } else if (router.getBalancing() == BalancingKind::round_robin) {
    takeTurns();
  } else {
    keysOfToken();
    if (router.isExpertChoice())
      return;
    chooseLargest();
    addAlwaysOn();
  }
  e.meet();
  if (isSparsemixer())
    weighSparsely();
  else
    weighChosen();
  Val finite = isFiniteToken();
  finishToken(isTable ? finite & known : finite);
}

void LearnedSelect::lower() {
  indices = l.result(op.getIndices(), {tokens});
  weights = l.result(op.getWeights(), {tokens});
  int64_t perTask = taskTokens(l);
  Extent places = router.isExpertChoice() ? tokens : tokens.dividedBy(perTask);
  auto room = [&](int64_t count) {
    return l.scratch(e.real, {places, Extent::constant(count)});
  };
  bool scored = router.getScoreOn() == ScoreOnKind::all && !isSparsemixer();
  scores = scored ? room(numLogits) : logits;
  if (router.getBalancing() == BalancingKind::load_aware)
    relativeLoads = relativeLoad();
  if (choosesLargest()) {
    keys = room(numChoices);
    if (!router.isExpertChoice())
      experts.emplace(l, places, numChoices);
  }
  if (GroupsAttr attr = router.getGroups()) {
    groupScores = room(attr.getCount());
    groups.emplace(l, places, attr.getCount());
  }
  l.eachRow(l.size(tokens.dividedBy(perTask)), numLogits, [&](Val task) {
    Val begin = task * double(perTask);
    Val end = e.min(begin + double(perTask), l.size(tokens));
    e.loop(begin, end, [&](Val token) {
      t = token;
      place = router.isExpertChoice() ? token : task;
      selectToken();
    });
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
