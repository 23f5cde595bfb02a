//===- Shared.cpp - State that all ranks see ------------------------------===//
//
// Part of moe-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Shared.h"
#include "FakeNccl.h"

#include <atomic>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <sys/mman.h>
#include <unistd.h>

namespace fake {

/// Where neither the system nor a sanitizer puts anything.
static constexpr uintptr_t place = 0x7ea000000000;
/// A rank may keep some 400 MiB, of which each block takes up to twice its size
/// here. Only what is touched is memory.
static constexpr size_t extent = size_t(1) << 33;

namespace {
struct Arena {
  std::atomic<int> ready;
  pthread_mutex_t mutex;
  State *state;
  char *fresh;
  void *free[48]; /* blocks of 2^i bytes */
};
} // namespace

static void initialize(Arena *arena) {
  pthread_mutexattr_t attributes;
  pthread_mutexattr_init(&attributes);
  pthread_mutexattr_setpshared(&attributes, PTHREAD_PROCESS_SHARED);
  pthread_mutexattr_setrobust(&attributes, PTHREAD_MUTEX_ROBUST);
  pthread_mutex_init(&arena->mutex, &attributes);
  pthread_mutexattr_destroy(&attributes);
  arena->fresh = reinterpret_cast<char *>(place) + 4096;
}

static Arena *map() {
  const char *path = std::getenv("MOE_FAKE_NCCL_MEMORY");
  int flags = MAP_SHARED | MAP_FIXED_NOREPLACE | MAP_NORESERVE, file = -1;
  bool first = true;
  if (path) {
    file = ::open(path, O_RDWR | O_CREAT | O_EXCL, 0600);
    first = file >= 0;
    if (!first)
      file = ::open(path, O_RDWR);
    if (file < 0 || ::ftruncate(file, extent) != 0) {
      std::perror("fake nccl: memory");
      std::abort();
    }
  } else {
    flags |= MAP_ANONYMOUS;
  }
  void *mapped = ::mmap(reinterpret_cast<void *>(place), extent,
                        PROT_READ | PROT_WRITE, flags, file, 0);
  if (mapped != reinterpret_cast<void *>(place)) {
    std::perror("fake nccl: mmap");
    std::abort();
  }
  auto *arena = static_cast<Arena *>(mapped);
  if (first) {
    initialize(arena);
    pthread_mutex_lock(&arena->mutex);
    arena->ready = 1;
    pthread_mutex_unlock(&arena->mutex);
  }
  while (!arena->ready)
    sched_yield();
  return arena;
}

static Arena *arena() {
  static Arena *mapped = map();
  return mapped;
}

static int classOf(size_t bytes) {
  int index = 5;
  while ((size_t(1) << index) < bytes + 16)
    ++index;
  return index;
}

void *allocate(size_t bytes) {
  Arena *all = arena();
  int index = classOf(bytes);
  char *block = static_cast<char *>(all->free[index]);
  if (block) {
    std::memcpy(&all->free[index], block + 16, sizeof(void *));
  } else {
    block = all->fresh;
    size_t used = size_t(block - reinterpret_cast<char *>(place));
    if ((size_t(1) << index) > extent - used) {
      std::fprintf(stderr, "fake nccl: no room for %zu bytes beside %zu\n",
                   bytes, used);
      throw std::bad_alloc();
    }
    all->fresh += size_t(1) << index;
  }
  std::memcpy(block, &index, sizeof index);
  return block + 16;
}

void release(void *data) {
  char *block = static_cast<char *>(data) - 16;
  int index;
  std::memcpy(&index, block, sizeof index);
  std::memcpy(block + 16, &arena()->free[index], sizeof(void *));
  arena()->free[index] = block;
}

Access::Access() {
  // A process may have ended with it.
  if (pthread_mutex_lock(&arena()->mutex) == EOWNERDEAD)
    pthread_mutex_consistent(&arena()->mutex);
  if (!arena()->state)
    arena()->state = make<State>();
}

Access::~Access() { pthread_mutex_unlock(&arena()->mutex); }

State &Access::operator*() const { return *arena()->state; }

void addComplaint(const std::string &complaint) {
  arena()->state->complaints.emplace_back(complaint.c_str());
}

/// Whether the two ends of a message fit; what does not never ends.
static bool fits(const Op &from, const Op &to, const Comm &comm) {
  if (from.bytes == to.bytes && from.type == to.type &&
      from.ofAllToAll == to.ofAllToAll)
    return true;
  char words[160];
  std::snprintf(words, sizeof words,
                "rank %d sends %zu of type %d to rank %d, which expects %zu of "
                "type %d%s",
                to.peer, from.bytes, from.type, comm.rank, to.bytes, to.type,
                from.ofAllToAll == to.ofAllToAll ? ""
                                                 : " in another operation");
  for (const String &known : arena()->state->complaints)
    if (known == words)
      return false;
  addComplaint(words);
  return false;
}

/// What other ranks have sent to this one.
static bool receive(Comm &comm) {
  bool moved = false;
  for (auto &[peer, receives] : comm.receives) {
    auto member = comm.clique->members.find(peer);
    if (member == comm.clique->members.end() || member->second->aborted)
      continue;
    auto &sends = member->second->sends[comm.rank];
    while (!receives.empty() && !sends.empty() &&
           fits(*sends.front(), *receives.front(), comm)) {
      Op *from = sends.front(), *to = receives.front();
      std::memcpy(to->data, from->data, to->bytes);
      from->done = to->done = moved = true;
      sends.pop_front();
      receives.pop_front();
    }
  }
  return moved;
}

static void run(Item &item) {
  item.running = true;
  for (Op *op : item.ops)
    (op->sends ? item.comm->sends : item.comm->receives)[op->peer].push_back(
        op);
}

static bool isOver(const Item &item) {
  if (item.comm->stalled)
    return false;
  for (const Op *op : item.ops)
    if (!op->done)
      return false;
  return true;
}

/// The first item of a stream; whether it is over.
static bool advance(Item *item) {
  if (item->waits)
    return item->event->reached || !item->event->recorded;
  if (!item->comm) {
    item->event->reached = true;
    return true;
  }
  if (!item->running)
    run(*item);
  if (!item->comm->stalled)
    receive(*item->comm);
  return isOver(*item);
}

void pump() {
  for (bool moved = true; moved;) {
    moved = false;
    for (auto &each : arena()->state->streams) {
      auto &items = each.first->items;
      while (!items.empty() && advance(items.front())) {
        for (Op *op : items.front()->ops)
          destroy(op);
        destroy(items.front());
        items.pop_front();
        moved = true;
      }
    }
  }
}

} // namespace fake

std::string fakeComplaints() {
  fake::Access state;
  std::string all;
  for (const fake::String &complaint : state->complaints)
    all.append(complaint.begin(), complaint.end()) += '\n';
  return all;
}

std::string fakeLeaks() {
  fake::Access state;
  int pid = getpid(), comms = 0, streams = 0, events = 0, blocks = 0;
  for (const auto &each : state->comms)
    comms += each.second && each.first->pid == pid;
  for (const auto &each : state->streams)
    streams += each.first->pid == pid;
  for (const auto &each : state->events)
    events += each.first->pid == pid;
  for (const auto &each : state->owners)
    blocks += each.second == pid;
  std::string all;
  auto note = [&](int count, const char *what) {
    if (count)
      all += std::to_string(count) + " " + what + "\n";
  };
  note(comms, "communicators");
  note(streams, "streams");
  note(events, "events");
  note(blocks, "blocks of device memory");
  note(state->contexts[pid], "contexts");
  return all;
}

namespace {
/// A process among others has no test around it that would ask.
struct LastWords {
  ~LastWords() {
    if (!std::getenv("MOE_FAKE_NCCL_MEMORY"))
      return;
    // Threads may be ending what `close` did not wait for.
    for (int tries = 0; tries < 500 && !fakeLeaks().empty(); ++tries)
      ::usleep(10000);
    std::string words = fakeComplaints() + fakeLeaks();
    if (!words.empty())
      std::fprintf(stderr, "fake nccl: %s", words.c_str());
  }
} lastWords;
} // namespace
