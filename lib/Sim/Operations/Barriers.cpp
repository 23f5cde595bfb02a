//===- Barriers.cpp - Barriers of blocks and clusters ---------------------===//
//
// Part of moe-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Calls.h"

#include "../Machine/Cluster.h"

#include <algorithm>

using namespace moe::sim;

static std::string text(const Barrier &barrier, uint32_t id) {
  return text("barrier ", id, " of ",
              barrier.all ? std::string("all")
                          : std::to_string(barrier.expected),
              " threads");
}

static unsigned warpsOf(const Block &block) {
  return unsigned(
      std::count_if(block.warps.begin(), block.warps.end(),
                    [](const Warp &warp) { return warp.live != 0; }));
}

static void tryRelease(Thread &thread, uint32_t id) {
  Block &block = *thread.block;
  Barrier &barrier = block.barriers[id];
  unsigned expected = barrier.all ? 32 * warpsOf(block) : barrier.expected;
  if (barrier.arrived < expected)
    return;
  if (barrier.arrived > expected && !barrier.all)
    fail(thread, Fault::Barrier,
         text(barrier.arrived, " threads at ", text(barrier, id)),
         barrier.site);
  Past past = barrier.gathering.take(block.cluster->nothing);
  for (Thread *waiting : barrier.waiting) {
    waiting->clock.replace(past);
    waiting->trues = barrier.trues;
    waiting->voters = barrier.voters;
  }
  std::vector<Thread *> waiting = std::move(barrier.waiting);
  barrier = Barrier();
  block.cluster->wakeAll(waiting);
}

/// Barriers count whole warps, when the last lane that has not ended is there.
static void tryArrive(Thread &thread, uint32_t id) {
  Block &block = *thread.block;
  Barrier &barrier = block.barriers[id];
  Barrier::Lanes &lanes = barrier.lanes[thread.index / 32];
  if (!lanes.whole && lanes.here && !(thread.warp->live & ~lanes.here)) {
    lanes.whole = true;
    barrier.arrived += 32;
  }
  tryRelease(thread, id);
}

void moe::sim::leaveBarriers(Thread &thread) {
  for (uint32_t id = 0; id < 16; ++id)
    if (thread.block->barriers[id].inUse())
      tryArrive(thread, id);
}

static void arrive(Thread &thread, uint32_t id, int32_t count, bool predicate,
                   bool waits, unsigned site) {
  Block &block = *thread.block;
  if (id >= 16)
    fail(thread, Fault::Argument,
         text("barrier ", id, ", expected one of 0 to 15"), site);
  if (count >= 0 && (count == 0 || count % 32))
    fail(thread, Fault::Argument,
         text("barrier ", id, " of ", count,
              " threads, expected a multiple of 32"),
         site);
  if (count > int64_t((block.threads.size() + 31) / 32 * 32))
    fail(thread, Fault::Argument,
         text("barrier ", id, " of ", count, " threads in a block of ",
              block.threads.size()),
         site);
  Barrier &barrier = block.barriers[id];
  bool all = count < 0;
  if (!barrier.inUse()) {
    barrier.expected = all ? 0 : unsigned(count);
    barrier.all = all;
    barrier.site = site;
    barrier.lanes.resize(block.warps.size());
  }
  if (barrier.all != all || (!all && barrier.expected != unsigned(count)))
    fail(thread, Fault::Barrier,
         text("barrier ", id, " of ",
              all ? std::string("all") : std::to_string(count),
              " threads, where others are at ", text(barrier, id), ", at ",
              block.cluster->launch.site(barrier.site)),
         site);
  uint32_t &lanes = barrier.lanes[thread.index / 32].here;
  if (lanes & (1u << thread.lane))
    fail(thread, Fault::Barrier,
         text(text(barrier, id), ": arrives again before the others have come"),
         site);
  lanes |= 1u << thread.lane;
  barrier.trues += predicate;
  ++barrier.voters;
  barrier.gathering.add(thread.clock);
  thread.clock.tick();
  if (waits)
    barrier.waiting.push_back(&thread);
  block.cluster->progress();
  std::string what = waits ? text(barrier, id) : std::string();
  tryArrive(thread, id);
  if (waits)
    block.cluster->wait(std::move(what), site);
}

MOE_SIM_CALL void moe_sim_barrier(uint32_t id, int32_t count, uint32_t site) {
  return guarded([&] { arrive(self(), id, count, false, true, site); });
}

MOE_SIM_CALL void moe_sim_barrier_arrive(uint32_t id, int32_t count,
                                         uint32_t site) {
  return guarded([&] { arrive(self(), id, count, false, false, site); });
}

/// `kind`: how many are true, all, any.
MOE_SIM_CALL uint32_t moe_sim_barrier_reduce(uint32_t id, int32_t count,
                                             uint32_t kind, uint32_t predicate,
                                             uint32_t site) {
  return guarded([&] {
    Thread &thread = self();
    arrive(thread, id, count, predicate != 0, true, site);
    return kind == 0   ? thread.trues
           : kind == 1 ? thread.trues == thread.voters
                       : thread.trues != 0;
  });
}

void moe::sim::leaveClusterBarrier(Cluster &cluster) {
  if (cluster.clusterArrived == 0 || cluster.clusterArrived < cluster.live)
    return;
  cluster.clusterPast = cluster.clusterGathering.take(cluster.nothing);
  cluster.clusterArrived = 0;
  ++cluster.clusterPhase;
  for (Thread *thread : cluster.clusterWaiting)
    thread->clock.acquire(cluster.clusterPast);
  cluster.wakeAll(cluster.clusterWaiting);
}

MOE_SIM_CALL void moe_sim_cluster_arrive(uint32_t relaxed, uint32_t site) {
  return guarded([&] {
    Thread &thread = self();
    Cluster &cluster = *thread.block->cluster;
    if (thread.clusterArrivals > cluster.clusterPhase)
      fail(thread, Fault::Barrier,
           "cluster.arrive twice with no cluster.wait in between", site);
    ++thread.clusterArrivals;
    if (!relaxed) {
      cluster.clusterGathering.add(thread.clock);
      thread.clock.tick();
    }
    ++cluster.clusterArrived;
    cluster.progress();
    leaveClusterBarrier(cluster);
  });
}

MOE_SIM_CALL void moe_sim_cluster_wait(uint32_t site) {
  return guarded([&] {
    Thread &thread = self();
    Cluster &cluster = *thread.block->cluster;
    if (thread.clusterArrivals == 0)
      fail(thread, Fault::Barrier, "cluster.wait without cluster.arrive", site);
    if (thread.clusterArrivals <= cluster.clusterPhase) {
      thread.clock.acquire(cluster.clusterPast);
      return;
    }
    cluster.clusterWaiting.push_back(&thread);
    cluster.wait("the barrier of the cluster", site);
  });
}
