//===- CopyAsync.cpp - cp.async -------------------------------------------===//
//
// Part of moe-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

//
// A copy is seen in memory only when it has been waited for. Until then its
// bytes are marked, and whoever touches them is told what is missing.
//
//===----------------------------------------------------------------------===//

#include "Calls.h"

#include "../Machine/Check.h"
#include "Mbarriers.h"

#include <algorithm>
#include <cstring>

using namespace moe::sim;

MOE_SIM_CALL void moe_sim_copy_async(void *to, void *from, uint32_t bytes,
                                     uint32_t fromBytes, uint32_t site) {
  return guarded([&] {
    Thread &thread = self();
    if (fromBytes > bytes)
      fail(thread, Fault::Argument,
           text("cp.async of ", bytes, " bytes from ", fromBytes), site);
    PendingCopy copy{static_cast<char *>(to), bytes, site, {}};
    if (fromBytes)
      check(accessor(thread), from, fromBytes, bytes, Global, Does::Read, site);
    else if (reinterpret_cast<uintptr_t>(from) % bytes)
      fail(thread, Fault::Misaligned,
           text("cp.async of ", bytes, " bytes from ", from), site);
    std::memcpy(copy.data, from, fromBytes);
    check(accessor(thread, Access::InFlight), to, bytes, bytes, Shared,
          Does::Write, site);
    std::memset(to, 0xcd, bytes);
    thread.copies.push_back(copy);
  });
}

static void complete(Thread &thread, std::vector<PendingCopy> &copies) {
  for (const PendingCopy &copy : copies) {
    Target target =
        locate(thread, copy.to, copy.bytes, 1, Shared, Does::Write, copy.site);
    // What was in flight now is an ordinary store of this thread.
    for (size_t done = 0; done < copy.bytes;) {
      size_t count;
      Cell *cells =
          target.shadow->cells(target.offset + done, copy.bytes - done, count);
      for (size_t i = 0; i < count; ++i) {
        cells[i].writer.flags = 0;
        cells[i].writer.stamp = thread.clock.now();
      }
      done += count;
    }
    std::memcpy(copy.to, copy.data, copy.bytes);
  }
  copies.clear();
}

MOE_SIM_CALL void moe_sim_copy_async_commit() {
  Thread &thread = self();
  thread.copyGroups.push_back(std::move(thread.copies));
  thread.copies.clear();
}

MOE_SIM_CALL void moe_sim_copy_async_wait(uint32_t newest) {
  return guarded([&] {
    Thread &thread = self();
    while (thread.copyGroups.size() > newest) {
      complete(thread, thread.copyGroups.front());
      thread.copyGroups.pop_front();
    }
  });
}

/// Arrives when the copies so far are done, for which there is no better time
/// to be than now: whoever reads them must have waited for the mbarrier.
MOE_SIM_CALL void moe_sim_copy_async_arrive(void *address, uint32_t noIncrement,
                                            uint32_t site) {
  return guarded([&] {
    Thread &thread = self();
    for (std::vector<PendingCopy> &group : thread.copyGroups)
      complete(thread, group);
    complete(thread, thread.copies);
    Mbarrier &barrier = mbarrierAt(thread, address, site);
    // Without .noinc the phase is made to expect one arrival more: this one.
    if (!noIncrement)
      return;
    arriveAt(thread, barrier, 1, Order::Block, site);
  });
}
