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

using namespace mlir;
using namespace moe;

/// loads over their mean, or zeros while there are none.
Value LearnedSelect::relativeLoad() {
  Value loads = l[op.getLoads()];
  Value relative = l.scratch(e.real, {Extent::constant(numLogits)});
  Val count = e.index(numLogits);
  l.together([&] {
    Val none = e.constant(e.getI64Type(), 0);
    Val total = e.cast(
        e.sumByTurns(count, none, [&](Val i) { return e.load(loads, {i}); }),
        e.real);
    e.byTurns(count, [&](Val i) {
      Val load = e.cast(e.load(loads, {i}), e.real) * double(numLogits) / total;
      e.store(e.select(total > 0, load, e.real_(0)), relative, {i});
    });
  });
  return relative;
}

/// q: the scores with bias and load, NaN at the bottom.
void LearnedSelect::keysOfToken() {
  Row choices(l, numChoices);
  choices.forEach([&](RowPart i) {
    Val q = choices.load(scores, {scoreRow(), i.first}, i);
    if (op.getBias())
      q = q + choices.load(l[op.getBias()], {i.first}, i);
    if (relativeLoads)
      q = q - choices.load(relativeLoads, {i.first}, i) *
                  router.getLambda().convertToDouble();
    choices.store(emitOrdered(e, q), keys, {place, i.first}, i);
  });
  if (router.getGroups())
    maskGroups();
}

void LearnedSelect::maskGroups() {
  GroupsAttr attr = router.getGroups();
  int64_t size = numChoices / attr.getCount();
  Row members(l, size);
  Val count = e.index(attr.getCount());
  // Lanes that share the token have other keys of a group than of all.
  e.meet();
  auto key = [&](Val g, RowPart i) -> SmallVector<Val> {
    return {place, g * double(size) + i.first};
  };
  Val lowest = members.constant(e.real, -infinity);
  auto larger = [&](Val a, Val b) { return e.select(a > b, a, b); };
  auto smaller = [&](Val a, Val b) { return e.select(a < b, a, b); };
  // The two largest of four, of which each pair descends.
  auto both = [&](ArrayRef<Val> a, ArrayRef<Val> b) {
    return Emitter::Vals{larger(a[0], b[0]),
                         larger(smaller(a[0], b[0]), larger(a[1], b[1]))};
  };
  e.loop(count, [&](Val g) {
    auto top =
        members.carry({lowest, lowest}, [&](RowPart i, ArrayRef<Val> top) {
          Val q = members.load(keys, key(g, i), i);
          return both(top, {members.inside(i, q, lowest), lowest});
        });
    top = members.reduce(top, both);
    Val score = top[0];
    if (attr.getReduce() == GroupReduceKind::sum_top2)
      score = top[0] + top[1];
    e.once([&] { e.store(emitOrdered(e, score), groupScores, {place, g}); });
  });
  e.meet();
  groups->pick(groupScores, place, attr.getKeep(), [](Val, Val) {});
  e.meet();
  Val fill = members.constant(
      e.real, attr.getFill() == GroupFillKind::zero ? 0.0 : -infinity);
  e.loop(count, [&](Val g) {
    Val stays = groups->isPicked(place, g);
    members.forEach([&](RowPart i) {
      Val q = members.load(keys, key(g, i), i);
      members.store(e.select(stays, q, fill), keys, key(g, i), i);
    });
  });
  e.meet();
}

void LearnedSelect::chooseLargest() {
  experts->pick(keys, place, router.getTopK(), [&](Val j, Val expert) {
    e.once([&] { e.store(expert, indices, {t, j}); });
  });
}

void LearnedSelect::takeTurns() {
  // Its number among those of all ranks.
  Val number = t;
  if (op.getTokenIds())
    number = e.asIndex(e.load(l[op.getTokenIds()], {t}));
  e.byTurns(e.index(numSlots), [&](Val j) {
    Val expert = (number * numSlots + j) % router.getExperts();
    e.store(expert, indices, {t, j});
  });
}

/// Whether the table has experts for the token's id. What is out of range
/// becomes expert 0 here, so that it can be weighed like any other.
Val LearnedSelect::lookUp() {
  Value table = l[op.getTable()];
  int64_t rows = cast<MemRefType>(table.getType()).getDimSize(0);
  Val id = e.load(l[op.getTokenIds()], {t});
  Val known = (id >= 0) & (id < double(rows));
  return Row(e, numSlots, 1).all([&](RowPart j) {
    Val none = e.constant(e.getI32Type(), -1);
    Val expert = e.choose(
        known, [&] { return e.load(table, {e.asIndex(id), j.first}); },
        [&] { return none; });
    Val real = (expert >= 0) & (expert < double(router.getExperts()));
    e.store(e.select(real, expert, none.like(0)), indices, {t, j.first});
    return real;
  });
}

/// The last experts, in the slots after the chosen ones.
void LearnedSelect::addAlwaysOn() {
  int64_t chosen = router.getTopK();
  e.byTurns(e.index(router.getAlwaysOn()), [&](Val i) {
    e.store(i + double(numChoices), indices, {t, i + double(chosen)});
  });
}

void LearnedSelect::expertChoice() {
  Val count = l.size(tokens);
  Val limit = emitShare(e, router.getFactor().convertToDouble(), count,
                        router.getTopK(), router.getExperts(), count);
  Value finite = l.scratch(e.getI8Type(), {tokens});
  l.eachRow(count, numLogits, [&](Val token) {
    t = token;
    Val one = e.constant(e.getI8Type(), 1);
    Val isFinite = e.select(isFiniteToken(), one, one.like(0));
    e.once([&] { e.store(isFinite, finite, {t}); });
  });
  Value ordered = l.scratch(e.getIntegerType(e.real.getWidth()),
                            {tokens.times(router.getExperts())});
  double scale = router.getScale().convertToDouble();
  l.eachLongRow(e.index(router.getExperts()), [&](Val expert) {
    Val first = expert * count;
    auto isFinite = [&](Val t) { return e.load(finite, {t}) != 0; };
    e.byTurns(count, [&](Val t) {
      Val key =
          e.select(isFinite(t), e.load(keys, {t, expert}), e.real_(-infinity));
      e.store(emitOrderedKey(e, key), ordered, {first + t});
    });
    emitKeepLargest(l, ordered, first, count, limit, [&](Val t, Val kept, Val) {
      kept = kept & isFinite(t);
      Val weight = expertScale(e.load(scores, {t, expert}) * scale, expert);
      e.store(e.select(kept, weight, e.real_(0)), weights, {t, expert});
      e.store(e.select(kept, expert, e.index(-1)), indices, {t, expert});
    });
  });
}
