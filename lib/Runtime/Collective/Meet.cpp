//===- Meet.cpp - Ranks meet in pairs -------------------------------------===//
//
// Part of moe-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
// A tournament, in which everyone meets everyone.
//
//===----------------------------------------------------------------------===//

#include "World.h"

#include <algorithm>

using namespace moe::runtime;

/// Whom `rank` meets in a round of a tournament, in which each of an even
/// number of ranks has a partner.
static int32_t partnerOf(int32_t rank, int32_t round, int32_t even) {
  int32_t rounds = even - 1;
  if (rank != even - 1) {
    int32_t other = (round - rank + rounds) % rounds;
    return other == rank ? even - 1 : other;
  }
  for (int32_t other = 0;; ++other)
    if ((2 * other) % rounds == round % rounds)
      return other;
}

void moe_world::meetAll(std::atomic<int32_t> &ready) {
  ready = 1;
  int32_t even = size() + size() % 2;
  for (int32_t round = 0; round + 1 < even; ++round) {
    int32_t other = partnerOf(rank(), round, even);
    if (other >= size())
      continue;
    Group &pair = groupOf({std::min(rank(), other), std::max(rank(), other)});
    Operation operation;
    operation.kind = "barrier";
    operation.name = "match";
    operation.what = "barrier 'match' over all ranks";
    operation.tag = 0x6d61746368;
    moe_piece nothing[2] = {};
    operate(operation, [&] { move(operation, pair, nothing, nothing); });
    ++ready;
  }
}
