//===- Mbarriers.cpp - Barriers in shared memory --------------------------===//
//
// Part of moe-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Mbarriers.h"

#include "Calls.h"

#include "../Machine/Check.h"

#include <cstring>

using namespace moe::sim;

static constexpr unsigned mostArrivals = (1u << 20) - 1;
static constexpr int64_t mostBytes = (1 << 20) - 1;

Mbarrier &moe::sim::mbarrierAt(Thread &thread, void *address, unsigned site) {
  Cluster &cluster = *running();
  locate(thread, address, 8, 8, SharedCluster, Does::Update, site);
  auto found = cluster.mbarriers.find(static_cast<char *>(address));
  if (found == cluster.mbarriers.end())
    fail(thread, Fault::Mbarrier,
         text("no mbarrier has been initialized at ", cluster.where(address)),
         site);
  Mbarrier &barrier = *found->second;
  if (!thread.clock.hasSeen(barrier.initializer, barrier.initialized))
    fail(thread, Fault::Race,
         text("uses the mbarrier at ", cluster.where(address),
              " with nothing that orders it after its init\n  the init is at ",
              cluster.launch.site(barrier.site)),
         site);
  return barrier;
}

MOE_SIM_CALL void moe_sim_mbarrier_init(void *address, uint32_t count,
                                        uint32_t site) {
  return guarded([&] {
    Thread &thread = self();
    Cluster &cluster = *thread.block->cluster;
    if (count == 0 || count > mostArrivals)
      fail(thread, Fault::Argument,
           text("mbarrier of ", count, " arrivals, expected 1 to ",
                mostArrivals),
           site);
    check(accessor(thread), address, 8, 8, Shared, Does::Write, site);
    std::unique_ptr<Mbarrier> &barrier =
        cluster.mbarriers[static_cast<char *>(address)];
    if (barrier)
      fail(thread, Fault::Mbarrier,
           text("init of an mbarrier that is one, at ", cluster.where(address),
                "\n  its init is at ", cluster.launch.site(barrier->site)),
           site);
    barrier = std::make_unique<Mbarrier>();
    barrier->expected = barrier->pending = count;
    barrier->agent = cluster.newAgent();
    barrier->block = thread.block;
    barrier->initializer = thread.clock.index();
    barrier->initialized = thread.clock.now();
    barrier->site = site;
    thread.clock.tick();
  });
}

MOE_SIM_CALL void moe_sim_mbarrier_inval(void *address, uint32_t site) {
  return guarded([&] {
    Thread &thread = self();
    Mbarrier &barrier = mbarrierAt(thread, address, site);
    if (!barrier.waiting.empty())
      fail(thread, Fault::Mbarrier, "inval of an mbarrier that is waited for",
           site);
    check(accessor(thread), address, 8, 8, Shared, Does::Write, site);
    running()->mbarriers.erase(static_cast<char *>(address));
  });
}

/// fence.mbarrier_init: copies may complete on those that were made so far.
MOE_SIM_CALL void moe_sim_fence_mbarrier_init() {
  Thread &thread = self();
  for (auto &[address, barrier] : thread.block->cluster->mbarriers)
    if (barrier->initializer == thread.clock.index())
      barrier->fenced = true;
}

/// What the last phase has released.
static void acquire(Thread &thread, const Mbarrier &barrier, Order order) {
  if (order == Order::Relaxed)
    return;
  thread.clock.acquire(barrier.past);
  if (order == Order::Cluster)
    thread.clock.acquire(barrier.pastOfOthers);
}

static void tryComplete(Thread &thread, Mbarrier &barrier, unsigned site) {
  Cluster &cluster = *running();
  // Bytes can be there before they are expected, but not when all arrivals are.
  if (barrier.pending == 0 && barrier.bytes < 0)
    fail(thread, Fault::Mbarrier,
         text("copies bring ", -barrier.bytes,
              " bytes more than the phase of their mbarrier expects\n  its "
              "init is at ",
              cluster.launch.site(barrier.site)),
         site);
  if (barrier.pending || barrier.bytes)
    return;
  barrier.past = barrier.gathering.take(cluster.nothing);
  barrier.pastOfOthers = barrier.fromOthers.empty()
                             ? nullptr
                             : barrier.fromOthers.take(cluster.nothing);
  barrier.pending = barrier.expected;
  ++barrier.phase;
  for (Thread *thread : barrier.waiting)
    acquire(*thread, barrier, thread->waits);
  cluster.wakeAll(barrier.waiting);
}

void moe::sim::arriveAt(Thread &thread, Mbarrier &barrier, unsigned count,
                        Order order, unsigned site) {
  if (count > barrier.pending)
    fail(thread, Fault::Mbarrier,
         text(count, count == 1 ? " arrival" : " arrivals",
              " at an mbarrier of ", barrier.expected, " that lacks ",
              barrier.pending, "\n  its init is at ",
              running()->launch.site(barrier.site)),
         site);
  barrier.pending -= count;
  visit(accessor(thread), *barrier.block, site);
  bool isOwn = thread.block == barrier.block;
  if (order == Order::Cluster || (order == Order::Block && isOwn)) {
    (isOwn ? barrier.gathering : barrier.fromOthers).add(thread.clock);
    thread.clock.tick();
  }
  running()->progress();
  tryComplete(thread, barrier, site);
}

static void expectBytes(Thread &thread, Mbarrier &barrier, uint32_t bytes,
                        unsigned site) {
  barrier.bytes += bytes;
  if (barrier.bytes > mostBytes)
    fail(thread, Fault::Mbarrier,
         text("an mbarrier that expects ", barrier.bytes, " bytes, of at most ",
              mostBytes),
         site);
}

void moe::sim::completeBytes(Thread &thread, Mbarrier &barrier, uint32_t bytes,
                             const Past &past, unsigned site) {
  barrier.bytes -= bytes;
  if (barrier.bytes < -mostBytes)
    fail(thread, Fault::Mbarrier, "more bytes than an mbarrier can count",
         site);
  barrier.gathering.add(past);
  tryComplete(thread, barrier, site);
}

MOE_SIM_CALL void moe_sim_mbarrier_expect(void *address, uint32_t bytes,
                                          uint32_t site) {
  return guarded([&] {
    Thread &thread = self();
    expectBytes(thread, mbarrierAt(thread, address, site), bytes, site);
  });
}

MOE_SIM_CALL void moe_sim_mbarrier_complete(void *address, uint32_t bytes,
                                            uint32_t site) {
  return guarded([&] {
    Thread &thread = self();
    completeBytes(thread, mbarrierAt(thread, address, site), bytes, nullptr,
                  site);
  });
}

/// An opaque state: the phase that the arrival was part of.
MOE_SIM_CALL uint64_t moe_sim_mbarrier_arrive(void *address, uint32_t count,
                                              uint32_t bytes, uint32_t drop,
                                              uint32_t order, uint32_t site) {
  return guarded([&] {
    Thread &thread = self();
    Mbarrier &barrier = mbarrierAt(thread, address, site);
    if (count == 0 || count > mostArrivals)
      fail(thread, Fault::Argument,
           text("arrives ", count, " times, expected 1 to ", mostArrivals),
           site);
    uint64_t state = barrier.phase;
    if (bytes)
      expectBytes(thread, barrier, bytes, site);
    if (drop) {
      if (count > barrier.expected)
        fail(thread, Fault::Mbarrier,
             text("drops ", count, " arrivals of ", barrier.expected), site);
      barrier.expected -= count;
    }
    arriveAt(thread, barrier, count, Order(order), site);
    return state;
  });
}

/// Whether a phase is complete: that of a state, or the last one of a parity.
/// One that may block does so until it is; else it now and then says no first.
MOE_SIM_CALL uint32_t moe_sim_mbarrier_test(void *address, uint64_t which,
                                            uint32_t isParity, uint32_t blocks,
                                            uint32_t order, uint32_t site) {
  return guarded([&] {
    Thread &thread = self();
    Cluster &cluster = *thread.block->cluster;
    Mbarrier &barrier = mbarrierAt(thread, address, site);
    if (isParity && which > 1)
      fail(thread, Fault::Argument,
           text("waits for parity ", which, ", expected 0 or 1"), site);
    bool complete =
        isParity ? barrier.phase % 2 != which : barrier.phase > which;
    if (!isParity && barrier.phase > which + 1)
      fail(thread, Fault::Mbarrier,
           "waits for a state that is older than the last phase", site);
    if (complete) {
      acquire(thread, barrier, Order(order));
      return 1;
    }
    if (!blocks) {
      cluster.poll("a phase of an mbarrier that it tests", site);
      return 0;
    }
    thread.waits = Order(order);
    barrier.waiting.push_back(&thread);
    cluster.wait(text("phase ", barrier.phase, " of the mbarrier at ",
                      cluster.where(address), ", which lacks ", barrier.pending,
                      " of ", barrier.expected, " arrivals and ", barrier.bytes,
                      " bytes"),
                 site);
    return 1;
  });
}
