//===- Words.cpp - Who and where, for reports -----------------------------===//
//
// Part of moe-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Cluster.h"

#include <algorithm>

using namespace moe::sim;

/// Threads that wait at the same place for the same, together.
void Cluster::deadlock() {
  struct Group {
    const Thread *first;
    unsigned count;
  };
  std::vector<Group> groups;
  Thread *any = nullptr;
  for (Block &block : blocks)
    for (Thread &thread : block.threads) {
      if (thread.done)
        continue;
      any = any ? any : &thread;
      auto same = std::find_if(groups.begin(), groups.end(), [&](Group &g) {
        return g.first->waiting.site == thread.waiting.site &&
               g.first->waiting.what == thread.waiting.what;
      });
      if (same == groups.end())
        groups.push_back({&thread, 1});
      else
        ++same->count;
    }
  std::string words = "no thread can go on";
  for (const Group &group : groups)
    words +=
        text("\n  ", group.count, group.count == 1 ? " thread" : " threads",
             " from thread ", text(launch.block.at(group.first->index)),
             " of block ", text(group.first->block->id),
             " on: ", group.first->waiting.what, ", at ",
             launch.site(group.first->waiting.site));
  fail(*any, Fault::Deadlock, std::move(words), any->waiting.site);
}

std::string moe::sim::text(Dim3 d) {
  return text("(", d.x, ", ", d.y, ", ", d.z, ")");
}

std::string Cluster::who(const Access &access) const {
  if (access.agent >= firstAgent)
    return "an asynchronous operation";
  size_t threads = launch.block.count();
  const Block &block = blocks[access.agent / threads];
  std::string words =
      text("thread ", text(launch.block.at(access.agent % threads)));
  if (access.cluster != number)
    return text("another block's ", words);
  if (blocks.size() > 1)
    words += text(" of block ", text(block.id));
  return words;
}

std::string Cluster::where(const void *address) const {
  if (window.holds(address)) {
    size_t rank = window.blockOf(address);
    const char *p = static_cast<const char *>(address);
    if (rank < blocks.size()) {
      const Block &block = blocks[rank];
      ptrdiff_t offset = p - block.shared - ptrdiff_t(block.sharedBegin);
      return text("byte ", offset, " of ", block.sharedEnd - block.sharedBegin,
                  " of shared memory");
    }
    return "shared memory of a block that is not in the cluster";
  }
  Memory::Place place = launch.memory->find(address);
  if (!place.allocation)
    return text("address ", address);
  return text("byte ", place.offset, " of ", place.allocation->size, " at ",
              static_cast<void *>(place.allocation->base),
              place.allocation->freed ? ", which is freed" : "");
}
