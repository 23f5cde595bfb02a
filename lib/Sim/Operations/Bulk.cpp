//===- Bulk.cpp - Copies by a unit of their own ---------------------------===//
//
// Part of moe-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

//
// cp.async.bulk. A copy is work of the cluster that is done at a time left to
// chance, with a clock of its own: only who has waited for it comes after it.
//
//===----------------------------------------------------------------------===//

#include "Bulk.h"

#include "Calls.h"
#include "Mbarriers.h"

#include <algorithm>
#include <cstring>

using namespace moe::sim;

/// The same place in another block's shared memory.
static char *inBlock(Cluster &cluster, void *address, unsigned rank) {
  size_t of = cluster.window.blockOf(address);
  return static_cast<char *>(address) +
         (ptrdiff_t(rank) - ptrdiff_t(of)) * ptrdiff_t(Window::size);
}

namespace {
/// What a copy needs to know when it is done.
struct Copy {
  Thread *thread;
  Clock clock; // when it was asked for
  unsigned agent;
  uint32_t stamp;
  unsigned site;

  Copy(Thread &thread, unsigned agent, unsigned site)
      : thread(&thread), clock(thread.clock), agent(agent),
        stamp(running()->newStamp()), site(site) {}
  void touch(void *address, size_t bytes, unsigned space, Does does) const {
    check({thread, &clock, agent, stamp, Access::Async}, address, bytes, 1,
          space, does, site);
  }
};
} // namespace

/// The unit completes on the mbarrier, so it must see that there is one.
static void requireFenced(Thread &thread, Mbarrier &barrier, unsigned site) {
  if (barrier.fenced ||
      thread.clock.hasFenced(barrier.initializer, barrier.initialized))
    return;
  fail(thread, Fault::ProxyFence,
       text("completes on an mbarrier without a fence.mbarrier_init or "
            "fence.proxy.async after its init\n  the init is at ",
            running()->launch.site(barrier.site)),
       site);
}

void moe::sim::bulkLoad(Thread &thread, Pieces pieces, void *mbarrier,
                        uint32_t blocks, uint32_t fill, unsigned site) {
  Cluster &cluster = *running();
  for (unsigned rank = 0; rank < 16; ++rank) {
    if (!(blocks >> rank & 1))
      continue;
    if (rank >= cluster.blocks.size())
      fail(thread, Fault::Argument,
           text("copies to block ", rank, " of a cluster of ",
                cluster.blocks.size()),
           site);
    Pieces here = pieces;
    for (Piece &piece : here)
      piece.shared = inBlock(cluster, piece.shared, rank);
    char *barrierHere = inBlock(cluster, mbarrier, rank);
    Mbarrier &barrier = mbarrierAt(thread, barrierHere, site);
    requireFenced(thread, barrier, site);
    Copy copy(thread, barrier.agent, site);
    auto perform = [copy, here = std::move(here), barrierHere, fill] {
      uint32_t bytes = 0;
      for (const Piece &piece : here) {
        copy.touch(piece.shared, piece.bytes, SharedCluster, Does::Write);
        bytes += piece.bytes;
        if (piece.global) {
          copy.touch(piece.global, piece.bytes, Global, Does::Read);
          std::memcpy(piece.shared, piece.global, piece.bytes);
          continue;
        }
        for (uint32_t i = 0; i < piece.bytes; ++i)
          piece.shared[i] = char(fill >> 8 * (i % 4));
      }
      Cluster &cluster = *running();
      Mbarrier &barrier = mbarrierAt(*copy.thread, barrierHere, copy.site);
      completeBytes(*copy.thread, barrier, bytes,
                    cluster.pastOf(copy.agent, copy.stamp), copy.site);
    };
    cluster.async.push_back({&thread, site, std::move(perform)});
  }
}

static BulkGroup &openGroup(Thread &thread) {
  if (!thread.bulk)
    thread.bulk = std::make_shared<BulkGroup>();
  return *thread.bulk;
}

static void halfDone(BulkGroup &group, BulkGroup::Half &half,
                     const Copy &copy) {
  Cluster &cluster = *running();
  half.gathering.add(cluster.pastOf(copy.agent, copy.stamp));
  if (--half.pending == 0)
    cluster.wakeAll(group.waiting);
}

void moe::sim::bulkStore(Thread &thread, Pieces pieces, unsigned site) {
  Cluster &cluster = *running();
  openGroup(thread);
  std::shared_ptr<BulkGroup> group = thread.bulk;
  ++group->reads.pending;
  ++group->writes.pending;
  // Reading is done some time before writing: one can wait for either.
  Copy read(thread, cluster.newAgent(), site);
  Copy write(thread, cluster.newAgent(), site);
  auto perform = [read, write, group, pieces = std::move(pieces)] {
    std::vector<char> data;
    for (const Piece &piece : pieces) {
      read.touch(piece.shared, piece.bytes, SharedCluster, Does::Read);
      data.insert(data.end(), piece.shared, piece.shared + piece.bytes);
    }
    halfDone(*group, group->reads, read);
    auto store = [write, group, pieces, data = std::move(data)] {
      const char *from = data.data();
      for (const Piece &piece : pieces) {
        if (piece.global) {
          write.touch(piece.global, piece.bytes, Global, Does::Write);
          std::memcpy(piece.global, from, piece.bytes);
        }
        from += piece.bytes;
      }
      halfDone(*group, group->writes, write);
    };
    running()->async.push_back({write.thread, write.site, std::move(store)});
  };
  cluster.async.push_back({&thread, site, std::move(perform)});
}

static void checkBulk(Thread &thread, void *shared, void *global,
                      uint32_t bytes, unsigned site) {
  uintptr_t both =
      reinterpret_cast<uintptr_t>(shared) | reinterpret_cast<uintptr_t>(global);
  if (both % 16)
    fail(thread, Fault::Misaligned,
         text("cp.async.bulk between ", shared, " and ", global,
              ", expected multiples of 16"),
         site);
  if (bytes % 16)
    fail(thread, Fault::Argument,
         text("cp.async.bulk of ", bytes, " bytes, expected a multiple of 16"),
         site);
}

/// `blocks` is a multicast mask, 0 for where the destination is.
MOE_SIM_CALL void moe_sim_bulk_load(void *to, void *from, void *mbarrier,
                                    uint32_t bytes, uint32_t blocks,
                                    uint32_t site) {
  return guarded([&] {
    Thread &thread = self();
    checkBulk(thread, to, from, bytes, site);
    locate(thread, to, bytes, 16, SharedCluster, Does::Write, site);
    locate(thread, from, bytes, 16, Global, Does::Read, site);
    if (!blocks)
      blocks = 1u << running()->window.blockOf(to);
    bulkLoad(thread,
             {{static_cast<char *>(to), static_cast<char *>(from), bytes}},
             mbarrier, blocks, 0, site);
  });
}

MOE_SIM_CALL void moe_sim_bulk_store(void *to, void *from, uint32_t bytes,
                                     uint32_t site) {
  return guarded([&] {
    Thread &thread = self();
    checkBulk(thread, from, to, bytes, site);
    locate(thread, from, bytes, 16, Shared, Does::Read, site);
    locate(thread, to, bytes, 16, Global, Does::Write, site);
    bulkStore(thread,
              {{static_cast<char *>(from), static_cast<char *>(to), bytes}},
              site);
  });
}

MOE_SIM_CALL void moe_sim_bulk_commit() {
  Thread &thread = self();
  openGroup(thread);
  thread.bulkGroups.push_back(std::move(thread.bulk));
  thread.bulk = nullptr;
}

/// Until at most so many groups are left, or only until the others are read.
MOE_SIM_CALL void moe_sim_bulk_wait(uint32_t newest, uint32_t reads,
                                    uint32_t site) {
  return guarded([&] {
    Thread &thread = self();
    Cluster &cluster = *thread.block->cluster;
    for (size_t i = 0; i + newest < thread.bulkGroups.size(); ++i) {
      BulkGroup &group = *thread.bulkGroups[i];
      auto wait = [&](BulkGroup::Half &half) {
        while (half.pending) {
          group.waiting.push_back(&thread);
          cluster.wait("a group of cp.async.bulk", site);
        }
        thread.clock.acquire(half.gathering.take(nullptr));
      };
      wait(group.reads);
      if (!reads)
        wait(group.writes);
    }
    while (!reads && thread.bulkGroups.size() > newest)
      thread.bulkGroups.pop_front();
  });
}
