//===- Engine.cpp - The engine of ranks in one process --------------------===//
//
// Part of moe-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// The table of one rank. Exchanges make progress while some member waits or
// polls; nothing runs in the background.
//
//===----------------------------------------------------------------------===//

#include "../../Status.h"
#include "../Threads.h"
#include "Hub.h"

#include "moe/Runtime/Package.h"

#include <algorithm>
#include <cstdio>
#include <deque>
#include <thread>

using namespace moe::runtime;
using namespace moe::runtime::threads;

/// Nanoseconds after which it does no harm to look again.
static constexpr int64_t longTime = 3600000000000;

/// One exchange that this rank has started.
struct moe_engine_request {
  Room *room = nullptr;
  Stage *stage = nullptr;
  uint64_t round = 0;
  int32_t self = 0;
  bool active = false;
};

namespace {
/// A group, as one rank uses it.
struct Lane {
  Room *room = nullptr;
  uint64_t started = 0;
  moe_engine_request requests[Room::depth];
};

struct Rank {
  Rank(std::shared_ptr<Hub> hub, int32_t rank)
      : hub(std::move(hub)), rank(rank) {}

  Lane &lane(const int32_t *ranks, int32_t members);

  std::shared_ptr<Hub> hub;
  int32_t rank;
  std::deque<Lane> lanes;
};
} // namespace

Lane &Rank::lane(const int32_t *ranks, int32_t members) {
  for (Lane &lane : lanes)
    if (std::equal(ranks, ranks + members, lane.room->ranks.begin(),
                   lane.room->ranks.end()))
      return lane;
  Room &room = hub->room(ranks, members);
  lanes.emplace_back();
  Lane &lane = lanes.back();
  lane.room = &room;
  for (size_t i = 0; i < Room::depth; ++i) {
    lane.requests[i].room = &room;
    lane.requests[i].stage = room.stages[i].get();
  }
  return lane;
}

static moe_status refuse(moe_engine_failure *failure, std::string_view text) {
  *failure = {MOE_INVALID_ARGUMENT, -1, {}};
  failure->text[text.copy(failure->text, sizeof failure->text - 1)] = 0;
  return MOE_INVALID_ARGUMENT;
}

/// Others must not wait for what this rank cannot do.
static moe_status endWithoutMemory(const Rank &rank,
                                   moe_engine_failure *failure) {
  rank.hub->end(MOE_OUT_OF_MEMORY, rank.rank, "out of memory");
  *failure = rank.hub->ending();
  return failure->status;
}

/// What others have ended. Who comes after their deadline did not wait itself.
static moe_status report(const Hub &hub, bool late,
                         moe_engine_failure *failure) {
  *failure = hub.ending();
  if (late && failure->status == MOE_TIMEOUT)
    failure->status = MOE_ABORTED;
  return failure->status;
}

static void endAsLost(Hub &hub, int32_t rank) {
  char text[64];
  std::snprintf(text, sizeof text, "rank %d has ended", rank);
  hub.end(MOE_RANK_FAILED, rank, text);
}

/// The first member that has left without coming here, or -1.
static int32_t findLost(const Hub &hub, const moe_engine_request &request) {
  const std::vector<int32_t> &ranks = request.room->ranks;
  for (size_t i = 0; i < ranks.size(); ++i)
    if (hub.hasLeft(ranks[i]) &&
        !request.stage->hasCome(static_cast<int32_t>(i), request.round))
      return ranks[i];
  return -1;
}

/// One look, and whatever work there is.
static moe_status advance(Hub &hub, moe_engine_request &request,
                          moe_engine_failure *failure) {
  Stage &stage = *request.stage;
  if (stage.state(request.round) == Stage::State::open)
    stage.work(hub, request.round, request.self);
  else if (hub.left() && stage.state(request.round) == Stage::State::waiting)
    if (int32_t lost = findLost(hub, request); lost >= 0)
      endAsLost(hub, lost);
  bool ended = hub.hasEnded();
  if (!ended && stage.state(request.round) != Stage::State::done)
    return MOE_IN_PROGRESS;
  // Done or failed, this rank's memory is its own again.
  stage.drain(request.round);
  request.active = false;
  if (stage.state(request.round) == Stage::State::done)
    return MOE_OK;
  return report(hub, false, failure);
}

static std::string describeMissing(const moe_engine_request &request,
                                   int32_t *first) {
  std::string list;
  int count = 0;
  *first = -1;
  for (size_t i = 0; i < request.room->ranks.size(); ++i) {
    if (request.stage->hasCome(static_cast<int32_t>(i), request.round))
      continue;
    int32_t rank = request.room->ranks[i];
    if (!count++)
      *first = rank;
    list += (count > 1 ? ", " : "") + std::to_string(rank);
  }
  return (count == 1 ? "rank " : "ranks ") + list;
}

static void relax() {
#if defined(__x86_64__) || defined(__i386__)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  asm volatile("yield");
#endif
}

namespace {
/// What a rank has seen before its last look for work.
struct Sight {
  Sight(const Hub &hub, const moe_engine_request &request)
      : hub(hub), request(request), state(request.stage->state(request.round)),
        left(hub.left()) {}
  bool hasChanged() const {
    return request.stage->state(request.round) != state || hub.hasEnded() ||
           hub.left() != left;
  }

  const Hub &hub;
  const moe_engine_request &request;
  const Stage::State state;
  const uint32_t left;
};
} // namespace

/// Until there is something new, or the deadline is over.
static void waitForChange(const Rank &rank, const Sight &sight,
                          int64_t deadline) {
  Hub &hub = *rank.hub;
  const moe_engine_request &request = sight.request;
  // At first at once, then after whoever else wants this core, which may be the
  // rank that is waited for.
  int pauses = hub.coreForEach ? 300 : 0;
  for (int i = 0; i < pauses + 30; ++i) {
    if (sight.hasChanged())
      return;
    if (i < pauses)
      relax();
    else
      std::this_thread::yield();
  }
  hub.fallAsleep(rank.rank, *request.stage, request.round, request.self);
  request.room->bell.sleep([&] { return sight.hasChanged(); }, deadline);
  hub.wakeUp(rank.rank);
}

static moe_status start(void *self, const moe_transfer *transfer,
                        moe_engine_request **request,
                        moe_engine_failure *failure) {
  Rank &rank = *static_cast<Rank *>(self);
  Hub &hub = *rank.hub;
  try {
    if (hub.hasEnded())
      return report(hub, true, failure);
    Lane &lane = rank.lane(transfer->ranks, transfer->members);
    moe_engine_request &next = lane.requests[lane.started % Room::depth];
    if (next.active)
      return refuse(failure, text("more than ", Room::depth,
                                  " exchanges of a group at once"));
    next.round = lane.started++ / Room::depth;
    next.self = transfer->self;
    next.active = true;
    *request = &next;
    next.stage->arrive(hub, next.round, *transfer);
    return MOE_OK;
  } catch (...) {
    return endWithoutMemory(rank, failure);
  }
}

static moe_status poll(void *self, moe_engine_request *request,
                       moe_engine_failure *failure) {
  return advance(*static_cast<Rank *>(self)->hub, *request, failure);
}

static moe_status waitUntil(const Rank &rank, moe_engine_request &request,
                            int64_t deadline, moe_engine_failure *failure) {
  for (;;) {
    Sight sight(*rank.hub, request);
    moe_status status = advance(*rank.hub, request, failure);
    if (status != MOE_IN_PROGRESS)
      return status;
    // Once all have come, what is left is work, which ends by itself.
    bool waiting = sight.state == Stage::State::waiting;
    if (waiting && moe_clock() >= deadline) {
      int32_t first;
      std::string missing = describeMissing(request, &first);
      if (first >= 0)
        rank.hub->end(MOE_TIMEOUT, first, missing + " did not come");
      continue;
    }
    waitForChange(rank, sight, waiting ? deadline : moe_clock() + longTime);
  }
}

static moe_status wait(void *self, moe_engine_request *request,
                       int64_t deadline, moe_engine_failure *failure) {
  Rank &rank = *static_cast<Rank *>(self);
  try {
    return waitUntil(rank, *request, deadline, failure);
  } catch (...) {
    endWithoutMemory(rank, failure);
    return advance(*rank.hub, *request, failure);
  }
}

static void abort(void *self, moe_status status, const char *reason) {
  Rank &rank = *static_cast<Rank *>(self);
  rank.hub->end(status, rank.rank, reason);
}

static void failed(void *self, uint8_t *failed) {
  const Hub &hub = *static_cast<Rank *>(self)->hub;
  for (int32_t rank = 0; rank < hub.size; ++rank)
    failed[rank] = hub.hasLeft(rank);
  if (hub.hasEnded() && hub.ending().rank >= 0)
    failed[hub.ending().rank] = 1;
}

static void close(void *self) {
  std::unique_ptr<Rank> rank(static_cast<Rank *>(self));
  for (Lane &lane : rank->lanes)
    for (moe_engine_request &request : lane.requests) {
      if (!request.active)
        continue;
      if (request.stage->state(request.round) != Stage::State::done)
        endAsLost(*rank->hub, rank->rank);
      request.stage->drain(request.round);
    }
  rank->hub->leave(rank->rank);
}

std::vector<moe_engine> moe::runtime::openThreads(int32_t size) {
  auto hub = std::make_shared<Hub>(size);
  std::vector<std::unique_ptr<Rank>> ranks;
  for (int32_t rank = 0; rank < size; ++rank)
    ranks.push_back(std::make_unique<Rank>(hub, rank));
  std::vector<moe_engine> engines;
  for (std::unique_ptr<Rank> &rank : ranks) {
    moe_engine engine = {};
    engine.abi_version = MOE_ENGINE_ABI_VERSION;
    engine.struct_size = sizeof engine;
    engine.capabilities = MOE_ENGINE_REDUCES;
    engine.name = "threads";
    engine.rank = rank->rank;
    engine.size = size;
    engine.local = rank->rank;
    engine.start = start;
    engine.poll = poll;
    engine.wait = wait;
    engine.abort = abort;
    engine.failed = failed;
    engine.close = close;
    engines.push_back(engine);
  }
  for (int32_t rank = 0; rank < size; ++rank)
    engines[rank].self = ranks[rank].release();
  return engines;
}
