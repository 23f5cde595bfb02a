//===- Access.cpp - Loads, stores and atomics -----------------------------===//
//
// Part of moe-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Calls.h"

#include "../Machine/Check.h"

using namespace moe::sim;

/// Now and then another thread's turn, where that is asked for.
static void maybeSwitch(Thread &thread) {
  Cluster &cluster = *thread.block->cluster;
  if (!cluster.launch.preempt || thread.untilSwitch-- > 0)
    return;
  thread.untilSwitch = unsigned(
      cluster.launch.random->below(2 * uint64_t(cluster.launch.preempt)));
  cluster.progress();
  cluster.yield();
}

MOE_SIM_CALL void moe_sim_load(void *address, int64_t bytes, uint32_t alignment,
                               uint32_t space, uint32_t site) {
  return guarded([&] {
    Thread &thread = self();
    maybeSwitch(thread);
    check(accessor(thread), address, size_t(bytes), alignment, space,
          Does::Read, site);
  });
}

MOE_SIM_CALL void moe_sim_store(void *address, int64_t bytes,
                                uint32_t alignment, uint32_t space,
                                uint32_t site) {
  return guarded([&] {
    Thread &thread = self();
    maybeSwitch(thread);
    check(accessor(thread), address, size_t(bytes), alignment, space,
          Does::Write, site);
  });
}

/// Accesses to memory of the thread's own: only its bounds can be wrong.
MOE_SIM_CALL void moe_sim_local(void *base, int64_t size, void *address,
                                int64_t bytes, uint32_t site) {
  return guarded([&] {
    ptrdiff_t offset = static_cast<char *>(address) - static_cast<char *>(base);
    if (offset < 0 || offset + bytes > size)
      fail(self(), Fault::OutOfBounds,
           text("accesses ", bytes, " bytes, byte ", offset, " of ", size,
                " of memory of the thread's own"),
           site);
  });
}

/// What others have released at the address happens before what follows.
static void acquireAt(Thread &thread, void *address) {
  Cluster &cluster = *thread.block->cluster;
  if (auto found = cluster.released.find(address);
      found != cluster.released.end())
    thread.clock.acquire(found->second);
  if (auto found = cluster.launch.released.find(address);
      found != cluster.launch.released.end())
    cluster.after.insert(found->second.begin(), found->second.end());
}

static void releaseAt(Thread &thread, void *address, const Past &what) {
  Cluster &cluster = *thread.block->cluster;
  Past &released = cluster.released[address];
  Gathering both;
  both.add(released);
  both.add(what);
  released = both.take(cluster.nothing);
  if (!cluster.window.holds(address)) {
    auto &others = cluster.launch.released[address];
    others.insert(cluster.number);
    others.insert(cluster.after.begin(), cluster.after.end());
  }
}

static Past everything(Thread &thread) {
  Gathering all;
  all.add(thread.clock);
  thread.clock.tick();
  return all.take(nullptr);
}

/// Before an atomic operation, which the host then does itself. `acquires` and
/// `releases` are what its ordering says.
MOE_SIM_CALL void moe_sim_atomic(void *address, int64_t bytes, uint32_t space,
                                 uint32_t acquires, uint32_t releases,
                                 uint32_t site) {
  return guarded([&] {
    Thread &thread = self();
    maybeSwitch(thread);
    check(accessor(thread, Access::Atomic), address, size_t(bytes),
          size_t(bytes), space, Does::Update, site);
    if (acquires)
      acquireAt(thread, address);
    if (releases)
      releaseAt(thread, address, everything(thread));
    else if (thread.fenced)
      releaseAt(thread, address, thread.fenced);
    if (!acquires) {
      // A fence after it acquires what it has read.
      Gathering loaded;
      loaded.add(thread.loaded);
      Cluster &cluster = *thread.block->cluster;
      if (auto found = cluster.released.find(address);
          found != cluster.released.end())
        loaded.add(found->second);
      thread.loaded = loaded.take(nullptr);
      if (auto found = cluster.launch.released.find(address);
          found != cluster.launch.released.end())
        cluster.loaded.insert(found->second.begin(), found->second.end());
    }
  });
}

/// A fence: with relaxed atomics around it, what acquires and releases.
MOE_SIM_CALL void moe_sim_fence() {
  Thread &thread = self();
  Cluster &cluster = *thread.block->cluster;
  thread.clock.acquire(thread.loaded);
  thread.loaded = nullptr;
  cluster.after.insert(cluster.loaded.begin(), cluster.loaded.end());
  thread.fenced = everything(thread);
}

/// fence.proxy.async.
MOE_SIM_CALL void moe_sim_fence_proxy() { self().clock.fence(); }
