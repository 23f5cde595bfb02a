//===- Visits.cpp - Shared memory that other blocks use -------------------===//
//
// Part of moe-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// A block must not end before others have used its memory for the last time.
// That this time it did not is no proof: some thread of it must know of each
// use when it ends.
//
//===----------------------------------------------------------------------===//

#include "Check.h"

using namespace moe::sim;

void moe::sim::visit(const Accessor &by, Block &block, unsigned site) {
  if (&block != by.thread->block)
    block.visits[by.agent] = {by.thread, by.stamp, site};
}

void moe::sim::leaveBlock(Thread &thread) {
  Block &block = *thread.block;
  Cluster &cluster = *block.cluster;
  if (cluster.blocks.size() == 1)
    return;
  block.ends.add(thread.clock);
  if (block.live)
    return;
  Past known = block.ends.take(cluster.nothing);
  for (auto &[agent, visit] : block.visits)
    if (known->seen[agent] < visit.stamp)
      fail(*visit.thread, Fault::Freed,
           text("uses shared memory of block ", text(block.id),
                ", which can have ended: nothing orders its end after this"),
           visit.site);
}
