//===- Clock.cpp - What has happened before what --------------------------===//
//
// Part of moe-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Clock.h"

#include <algorithm>

using namespace moe::sim;

void Clock::start(const Past &nothing, unsigned index) {
  past = nothing;
  self = index;
  count = 1;
  ownFenced = 0;
  allFenced = false;
}

static void raise(std::vector<uint32_t> &to,
                  const std::vector<uint32_t> &from) {
  for (size_t i = 0; i < to.size(); ++i)
    to[i] = std::max(to[i], from[i]);
}

void Clock::acquire(const Past &other) {
  if (!other || other == past)
    return;
  auto joined = std::make_shared<Stamps>(*past);
  if (allFenced)
    joined->fenced = joined->seen;
  raise(joined->seen, other->seen);
  raise(joined->fenced, other->fenced);
  past = std::move(joined);
  allFenced = false;
}

void Gathering::merge(const std::vector<uint32_t> &seen,
                      const std::vector<uint32_t> &fenced) {
  if (!any) {
    stamps.seen = seen;
    stamps.fenced = fenced;
    any = true;
    return;
  }
  raise(stamps.seen, seen);
  raise(stamps.fenced, fenced);
}

static bool note(std::vector<Past> &known, const Past &past) {
  if (std::find(known.begin(), known.end(), past) != known.end())
    return false;
  known.push_back(past);
  return true;
}

void Gathering::add(const Past &past) {
  if (past && note(added, past))
    merge(past->seen, past->fenced);
}

void Gathering::add(const Clock &clock) {
  if (!clock.allFenced)
    add(clock.past);
  else if (note(addedFenced, clock.past))
    merge(clock.past->seen, clock.past->seen);
  uint32_t &seen = stamps.seen[clock.self];
  seen = std::max(seen, clock.count);
  uint32_t &fenced = stamps.fenced[clock.self];
  fenced = std::max(fenced, clock.ownFenced);
}

Past Gathering::take(const Past &nothing) {
  if (!any)
    return nothing;
  Past all = std::make_shared<const Stamps>(std::move(stamps));
  stamps = {};
  added.clear();
  addedFenced.clear();
  any = false;
  return all;
}
