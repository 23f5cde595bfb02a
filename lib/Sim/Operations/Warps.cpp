//===- Warps.cpp - What the lanes of a warp tell each other ---------------===//
//
// Part of moe-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Calls.h"

#include "../Machine/Cluster.h"

#include <algorithm>
#include <cmath>
#include <cstring>

using namespace moe::sim;

/// Does something for each lane that is there, with what it brought.
template <typename Part, typename Body>
static void forLanes(Meeting &meeting, Body &&body) {
  for (unsigned lane = 0; lane < 32; ++lane)
    if (meeting.here >> lane & 1)
      body(lane, *static_cast<Part *>(meeting.parts[lane]));
}

MOE_SIM_CALL void moe_sim_warp_sync(uint32_t mask, uint32_t site) {
  return guarded([&] {
    meet("bar.warp.sync", mask, nullptr, site, false, [](Meeting &meeting) {
      Gathering all;
      Thread *any = nullptr;
      for (Thread *thread : meeting.threads)
        if (thread) {
          all.add(thread->clock);
          thread->clock.tick();
          any = thread;
        }
      Past past = all.take(any->block->cluster->nothing);
      for (Thread *thread : meeting.threads)
        if (thread)
          thread->clock.replace(past);
    });
  });
}

namespace {
struct Shuffle {
  uint32_t kind, value, offset, clamp, site;
  uint32_t result = 0, valid = 0;
};
struct Vote {
  uint32_t kind, predicate, result = 0;
};
struct Reduction {
  uint32_t kind, value, result = 0;
};
struct Match {
  uint32_t kind;
  uint64_t value;
  uint32_t result = 0, all = 0;
};
} // namespace

/// Kinds: bfly, up, down, idx.
static void shuffle(Meeting &meeting) {
  forLanes<Shuffle>(meeting, [&](unsigned lane, Shuffle &own) {
    uint32_t b = own.offset & 31;
    uint32_t clamp = own.clamp & 31, segment = own.clamp >> 8 & 31;
    uint32_t last = (lane & segment) | (clamp & ~segment);
    uint32_t first = lane & segment;
    int32_t from = 0;
    bool valid = false;
    switch (own.kind) {
    case 0:
      from = int32_t(lane ^ b);
      valid = from <= int32_t(last);
      break;
    case 1:
      from = int32_t(lane) - int32_t(b);
      valid = from >= int32_t(last);
      break;
    case 2:
      from = int32_t(lane + b);
      valid = from <= int32_t(last);
      break;
    default:
      from = int32_t(first | (b & ~segment));
      valid = from <= int32_t(last);
    }
    if (!valid)
      from = int32_t(lane);
    own.valid = valid;
    if (!(meeting.here >> from & 1))
      fail(*meeting.threads[lane], Fault::Divergence,
           text("shfl.sync from lane ", from,
                ", which does not take part in it"),
           own.site);
    own.result = static_cast<Shuffle *>(meeting.parts[from])->value;
  });
}

/// The value, and above it whether its lane was a valid one.
MOE_SIM_CALL uint64_t moe_sim_shuffle(uint32_t kind, uint32_t mask,
                                      uint32_t value, uint32_t offset,
                                      uint32_t clamp, uint32_t site) {
  return guarded([&] {
    Shuffle own{kind, value, offset, clamp, site};
    meet("shfl.sync", mask, &own, site, false, shuffle);
    return uint64_t(own.valid) << 32 | own.result;
  });
}

/// Kinds: any, all, ballot, uni.
MOE_SIM_CALL uint32_t moe_sim_vote(uint32_t kind, uint32_t mask,
                                   uint32_t predicate, uint32_t site) {
  return guarded([&] {
    Vote own{kind, predicate};
    meet("vote.sync", mask, &own, site, false, [](Meeting &meeting) {
      uint32_t ballot = 0;
      forLanes<Vote>(meeting, [&](unsigned lane, Vote &each) {
        ballot |= uint32_t(each.predicate != 0) << lane;
      });
      forLanes<Vote>(meeting, [&](unsigned, Vote &each) {
        bool all = ballot == meeting.here, any = ballot != 0;
        each.result = each.kind == 0   ? any
                      : each.kind == 1 ? all
                      : each.kind == 2 ? ballot
                                       : all || !any;
      });
    });
    return own.result;
  });
}

static float asFloat(uint32_t bits) {
  float value;
  std::memcpy(&value, &bits, sizeof value);
  return value;
}

/// Kinds as in NVVM's ReduxKind, 1 to 10.
static uint32_t combine(uint32_t kind, uint32_t a, uint32_t b) {
  switch (kind) {
  case 1:
    return a + b;
  case 2:
    return a & b;
  case 3:
    return uint32_t(std::max(int32_t(a), int32_t(b)));
  case 4:
    return uint32_t(std::min(int32_t(a), int32_t(b)));
  case 5:
    return a | b;
  case 6:
    return std::max(a, b);
  case 7:
    return std::min(a, b);
  case 8:
    return a ^ b;
  case 9:
    return std::isnan(asFloat(a)) || asFloat(b) < asFloat(a) ? b : a;
  default:
    return std::isnan(asFloat(a)) || asFloat(b) > asFloat(a) ? b : a;
  }
}

MOE_SIM_CALL uint32_t moe_sim_reduce(uint32_t kind, uint32_t mask,
                                     uint32_t value, uint32_t site) {
  return guarded([&] {
    Reduction own{kind, value};
    meet("redux.sync", mask, &own, site, false, [](Meeting &meeting) {
      bool first = true;
      uint32_t result = 0;
      forLanes<Reduction>(meeting, [&](unsigned, Reduction &each) {
        result = first ? each.value : combine(each.kind, result, each.value);
        first = false;
      });
      forLanes<Reduction>(
          meeting, [&](unsigned, Reduction &each) { each.result = result; });
    });
    return own.result;
  });
}

/// Kinds: any, all. The lanes, and above them whether all are the same.
MOE_SIM_CALL uint64_t moe_sim_match(uint32_t kind, uint32_t mask,
                                    uint64_t value, uint32_t site) {
  return guarded([&] {
    Match own{kind, value};
    meet("match.sync", mask, &own, site, false, [](Meeting &meeting) {
      forLanes<Match>(meeting, [&](unsigned, Match &each) {
        uint32_t same = 0;
        forLanes<Match>(meeting, [&](unsigned lane, Match &other) {
          same |= uint32_t(other.value == each.value) << lane;
        });
        each.all = same == meeting.here;
        each.result = each.kind == 0 || each.all ? same : 0;
      });
    });
    return uint64_t(own.all) << 32 | own.result;
  });
}

MOE_SIM_CALL uint32_t moe_sim_elect(uint32_t mask, uint32_t site) {
  return guarded([&] {
    uint32_t elected = 0;
    meet("elect.sync", mask, &elected, site, false, [](Meeting &meeting) {
      // Which one is not defined, but the same each time for the same lanes.
      Random draw(running()->launch.electSeed ^ meeting.mask);
      uint64_t choice = draw.below(uint64_t(__builtin_popcount(meeting.here)));
      forLanes<uint32_t>(
          meeting, [&](unsigned, uint32_t &each) { each = choice-- == 0; });
    });
    return elected;
  });
}
