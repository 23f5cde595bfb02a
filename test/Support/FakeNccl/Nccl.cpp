//===- Nccl.cpp - The calls of NCCL ---------------------------------------===//
//
// Part of moe-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Shared.h"

#include <algorithm>
#include <climits>
#include <cstdio>
#include <cstring>
#include <pthread.h>
#include <unistd.h>
#include <utility>

using namespace fake;

namespace {
enum Result {
  Success = 0,
  SystemError = 2,
  InvalidArgument = 4,
  InvalidUsage = 5,
  RemoteError = 6,
  InProgress = 7
};

struct UniqueId {
  char bytes[128];
};

struct Config {
  size_t size;
  unsigned magic, version;
  int blocking, rest[3];
  const char *netName;
  int splitShare;
};

/// What this thread has asked for since ncclGroupStart.
struct Group {
  ~Group() {
    Access state;
    if (depth)
      addComplaint("a thread has ended within a group");
  }
  int depth = 0;
  int error = Success;
  std::map<Comm *, std::vector<Op>> ops;
  StreamState *stream = nullptr;
};
} // namespace

static thread_local Group group;

static unsigned long self() {
  return static_cast<unsigned long>(pthread_self());
}

/// Under the mutex.
static bool isSound(Comm *comm, const char *call, bool outsideGroup = true) {
  std::string name = call;
  if (comm->aborted) {
    addComplaint(name + " after ncclCommAbort");
    return false;
  }
  if (comm->thread != self() || comm->pid != getpid())
    addComplaint(name + " by another thread");
  if (outsideGroup && group.depth)
    addComplaint(name + " within a group");
  return true;
}

extern "C" {

int ncclGetVersion(int *version) {
  *version = setting("version", 22809);
  return faultOf("ncclGetVersion", -1) == Fault::Fail ? SystemError : Success;
}

const char *ncclGetErrorString(int result) {
  switch (result) {
  case Success:
    return "no error";
  case SystemError:
    return "unhandled system error";
  case InvalidArgument:
    return "invalid argument";
  case InvalidUsage:
    return "invalid usage";
  case RemoteError:
    return "remote process exited or there was a network error";
  default:
    return "another error";
  }
}

const char *ncclGetLastError(Comm *) { return ""; }

int ncclGetUniqueId(UniqueId *id) {
  Fault fault = faultOf("ncclGetUniqueId", -1);
  suffer(fault);
  if (fault == Fault::Fail)
    return SystemError;
  Access state;
  std::memset(id->bytes, 0, sizeof id->bytes);
  std::snprintf(id->bytes, sizeof id->bytes, "clique %lu", ++state->ids);
  return Success;
}

int ncclCommInitRankConfig(Comm **made, int size, UniqueId id, int rank,
                           Config *config) {
  Fault fault = faultOf("ncclCommInitRankConfig", rank);
  suffer(fault);
  Access state;
  if (config->size < 48 || config->magic != 0xcafebeef ||
      config->version < 21800 || config->blocking != 0)
    addComplaint("ncclCommInitRankConfig with a wrong configuration");
  if (fault == Fault::Fail || rank < 0 || rank >= size || size < 2)
    return fault == Fault::Fail ? SystemError : InvalidArgument;
  Clique *&clique = state->cliques[String(id.bytes)];
  if (!clique)
    clique = make<Clique>();
  clique->size = static_cast<size_t>(size);
  Comm *comm = make<Comm>();
  comm->clique = clique;
  comm->rank = rank;
  comm->pid = getpid();
  comm->thread = self();
  comm->polls = 2;
  comm->stalled = fault == Fault::Stall;
  if (clique->members.count(rank))
    addComplaint("two communicators of one rank");
  if (!comm->stalled)
    clique->members[rank] = comm;
  state->comms[comm] = true;
  *made = comm;
  return InProgress;
}

/// What was asked for goes into the stream.
static void enqueue(Comm *comm) {
  if (comm->asked.empty())
    return;
  comm->stream->items.push_back(
      make<Item>(Item{comm, std::move(comm->asked), false, nullptr}));
  comm->asked.clear();
}

int ncclCommGetAsyncError(Comm *comm, int *error) {
  Access state;
  if (!isSound(comm, "ncclCommGetAsyncError"))
    return InvalidArgument;
  *error = comm->error;
  if (comm->error)
    return Success;
  bool all = comm->clique->members.size() == comm->clique->size;
  if (comm->finalized)
    for (const auto &each : comm->clique->members)
      all &= each.second->finalized || each.second->aborted;
  if (comm->polls > 0)
    --comm->polls;
  bool done = comm->polls == 0 && all;
  *error = done ? Success : InProgress;
  if (done)
    enqueue(comm);
  return Success;
}

int ncclCommFinalize(Comm *comm) {
  Fault fault = faultOf("ncclCommFinalize", comm->rank);
  suffer(fault);
  Access state;
  if (!isSound(comm, "ncclCommFinalize"))
    return InvalidArgument;
  if (fault == Fault::Stall)
    comm->polls = INT_MAX;
  else
    comm->finalized = true;
  return InProgress;
}

/// Takes what it has not done out of its stream.
static void withdraw(Comm *comm) {
  if (comm->stream)
    for (Item *item : comm->stream->items)
      if (item->comm == comm)
        item->comm = nullptr, item->event = make<EventState>();
  comm->sends.clear();
  comm->receives.clear();
}

int ncclCommDestroy(Comm *comm) {
  faultOf("ncclCommDestroy", comm->rank);
  Access state;
  if (!isSound(comm, "ncclCommDestroy"))
    return InvalidArgument;
  if (!comm->finalized)
    addComplaint("ncclCommDestroy before ncclCommFinalize");
  state->comms[comm] = false;
  return Success;
}

int ncclCommAbort(Comm *comm) {
  Fault fault = faultOf("ncclCommAbort", comm->rank);
  suffer(fault);
  Access state;
  if (comm->aborted)
    addComplaint("ncclCommAbort twice");
  comm->aborted = true;
  withdraw(comm);
  state->comms[comm] = false;
  return Success;
}

int ncclGroupStart() {
  faultOf("ncclGroupStart", -1);
  ++group.depth;
  return Success;
}

/// Under the mutex.
static bool isOfDevice(State &state, const char *data, size_t bytes) {
  auto block = state.memory.upper_bound(const_cast<char *>(data));
  if (block == state.memory.begin())
    return false;
  --block;
  return data + bytes <= block->first + block->second;
}

static int ask(Comm *comm, const char *call, StreamState *stream, Op op,
               Fault fault) {
  suffer(fault);
  Access state;
  if (!isSound(comm, call, /*outsideGroup=*/false))
    return group.error = InvalidArgument;
  if (fault == Fault::Fail)
    return group.error = SystemError;
  std::string name = call;
  if (!op.ofAllToAll && !group.depth)
    addComplaint(name + " outside a group");
  if (!op.ofAllToAll && op.peer == comm->rank)
    addComplaint(name + " to itself");
  if (op.bytes == 0)
    addComplaint(name + " of nothing");
  if (op.peer < 0 || static_cast<size_t>(op.peer) >= comm->clique->size)
    return group.error = InvalidArgument;
  if (comm->polls > 0 || !comm->asked.empty())
    addComplaint(name + " before the last one was in the stream");
  if (!isOfDevice(*state, op.data, op.bytes))
    addComplaint(name + " of memory that is not the device's");
  group.ops[comm].push_back(op);
  group.stream = stream;
  return Success;
}

int ncclSend(const void *data, size_t count, int type, int peer, Comm *comm,
             StreamState *stream) {
  auto *bytes = static_cast<char *>(const_cast<void *>(data));
  return ask(comm, "ncclSend", stream,
             {true, false, peer, bytes, count, type, false},
             faultOf("ncclSend", comm->rank));
}

int ncclRecv(void *data, size_t count, int type, int peer, Comm *comm,
             StreamState *stream) {
  return ask(
      comm, "ncclRecv", stream,
      {false, false, peer, static_cast<char *>(data), count, type, false},
      faultOf("ncclRecv", comm->rank));
}

/// The thread's group becomes work that communicators still have to issue.
static int issue() {
  int error = std::exchange(group.error, Success);
  auto all = std::move(group.ops);
  group.ops.clear();
  if (error)
    return error;
  Fault fault =
      faultOf("ncclGroupEnd", all.empty() ? -1 : all.begin()->first->rank);
  suffer(fault);
  if (fault == Fault::Fail)
    return SystemError;
  Access state;
  for (auto &[comm, ops] : all) {
    for (const Op &op : ops)
      comm->asked.push_back(make<Op>(op));
    comm->stream = group.stream;
    comm->polls = 2;
    comm->stalled |= fault == Fault::Stall;
    if (fault == Fault::Remote)
      comm->error = RemoteError;
  }
  return InProgress;
}

int ncclGroupEnd() {
  if (group.depth == 0) {
    Access state;
    addComplaint("ncclGroupEnd without ncclGroupStart");
    return InvalidUsage;
  }
  return --group.depth ? int(Success) : issue();
}

int ncclAlltoAll(const void *from, void *to, size_t count, int type, Comm *comm,
                 StreamState *stream) {
  auto *leaves = static_cast<char *>(const_cast<void *>(from));
  auto *comes = static_cast<char *>(to);
  Fault fault = faultOf("ncclAlltoAll", comm->rank);
  for (size_t i = 0; i < comm->clique->size; ++i) {
    int peer = static_cast<int>(i);
    ask(comm, "ncclAlltoAll", stream,
        {true, true, peer, leaves + i * count, count, type, false}, fault);
    ask(comm, "ncclAlltoAll", stream,
        {false, true, peer, comes + i * count, count, type, false}, fault);
  }
  return issue();
}
}
