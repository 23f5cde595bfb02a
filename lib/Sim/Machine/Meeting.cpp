//===- Meeting.cpp - Lanes that do something together ---------------------===//
//
// Part of moe-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Cluster.h"

#include <string_view>

using namespace moe::sim;

/// Once all are there, except for lanes that have ended.
static void tryTogether(Warp &warp, size_t index) {
  Meeting *meeting = warp.meetings[index];
  if (meeting->here != (meeting->mask & warp.live))
    return;
  warp.meetings.erase(warp.meetings.begin() + ptrdiff_t(index));
  meeting->together(*meeting);
  for (Thread *thread : meeting->threads)
    if (thread)
      warp.block->cluster->wake(*thread);
}

void moe::sim::meet(const char *name, uint32_t mask, void *part, unsigned site,
                    bool aligned, void (*together)(Meeting &)) {
  Thread &thread = self();
  Warp &warp = *thread.warp;
  Cluster &cluster = *thread.block->cluster;
  uint32_t bit = 1u << thread.lane;
  if (!(mask & bit))
    fail(thread, Fault::Divergence,
         text(name, " by lane ", thread.lane, ", which is not in its mask 0x",
              std::hex, mask),
         site);
  size_t index = 0;
  for (; index < warp.meetings.size(); ++index) {
    Meeting &meeting = *warp.meetings[index];
    if (meeting.mask == mask && std::string_view(meeting.name) == name &&
        !(meeting.here & bit))
      break;
  }
  // Whoever comes first keeps what they share, on its stack.
  Meeting own{name, mask, site, 0, {}, {}, together};
  if (index == warp.meetings.size())
    warp.meetings.push_back(&own);
  Meeting &meeting = *warp.meetings[index];
  if (aligned && meeting.site != site)
    fail(thread, Fault::Divergence,
         text(name, " here, and at ", cluster.launch.site(meeting.site),
              " by other lanes of the warp, expected all at one"),
         site);
  meeting.here |= bit;
  meeting.parts[thread.lane] = part;
  meeting.threads[thread.lane] = &thread;
  cluster.progress();
  // It may be over before this lane's next turn.
  tryTogether(warp, index);
  cluster.wait(text(name, " with lanes 0x", std::hex, mask), site);
}

void moe::sim::leaveMeetings(Thread &thread) {
  Warp &warp = *thread.warp;
  for (size_t i = warp.meetings.size(); i > 0; --i)
    if (warp.meetings[i - 1]->here)
      tryTogether(warp, i - 1);
}
