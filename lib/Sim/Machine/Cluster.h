//===- Cluster.h - Blocks that run at once, and their threads ---*- C++ -*-===//
//
// Part of moe-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef MOE_LIB_SIM_MACHINE_CLUSTER_H
#define MOE_LIB_SIM_MACHINE_CLUSTER_H

#include "Clock.h"
#include "Fiber.h"
#include "Launch.h"
#include "Mbarrier.h"
#include "Window.h"

#include <deque>
#include <functional>
#include <unordered_map>
#include <unordered_set>

namespace moe::sim {

struct Block;
struct Warp;
class Cluster;

/// Ends the thread that is running.
[[noreturn]] void endThread();

/// A copy by cp.async, which is done when it is waited for.
struct PendingCopy {
  char *to;
  unsigned bytes;
  unsigned site;
  char data[16];
};

/// Copies by cp.async.bulk to global memory that a thread waits for together.
struct BulkGroup {
  struct Half {
    unsigned pending = 0;
    Gathering gathering;
  };
  Half reads, writes;
  std::vector<Thread *> waiting;
};

/// What a thread waits for, for the report of a deadlock.
struct Waiting {
  std::string what;
  unsigned site = 0;
};

struct Thread {
  Block *block = nullptr;
  Warp *warp = nullptr;
  unsigned index = 0; // in the block
  unsigned lane = 0;
  Clock clock;
  Fiber fiber;
  bool done = false;
  bool runnable = false;
  Waiting waiting;
  unsigned untilSwitch = 0;

  // cp.async: what is not yet in a group, and the groups, oldest first.
  std::vector<PendingCopy> copies;
  std::deque<std::vector<PendingCopy>> copyGroups;
  // The same for cp.async.bulk that writes global memory.
  std::shared_ptr<BulkGroup> bulk;
  std::deque<std::shared_ptr<BulkGroup>> bulkGroups;
  // What a relaxed atomic releases since a fence, and a fence acquires.
  Past fenced, loaded;
  // wgmma: groups that it has committed, and whether one is open.
  uint32_t wgmmaGroups = 0;
  bool wgmmaFenced = false;
  unsigned clusterArrivals = 0;
  Order waits = Order::Block;     // for an mbarrier
  unsigned trues = 0, voters = 0; // of a barrier that reduces
};

/// Lanes that do something together: the last to come does it for all.
struct Meeting {
  const char *name;
  uint32_t mask;
  unsigned site;
  uint32_t here = 0;
  void *parts[32] = {};
  Thread *threads[32] = {};
  void (*together)(Meeting &);
};

struct Warp {
  Block *block = nullptr;
  unsigned first = 0; // thread
  uint32_t live = 0;  // lanes that have not ended
  std::vector<Meeting *> meetings;
};

/// One of the sixteen of bar.sync.
struct Barrier {
  struct Lanes {
    uint32_t here = 0;
    bool whole = false; // and counted
  };
  std::vector<Lanes> lanes; // by warp; empty while nobody is there
  bool inUse() const { return !lanes.empty(); }

  unsigned expected = 0; // threads
  bool all = false;      // those of every warp that has not ended
  unsigned arrived = 0;
  unsigned site = 0;
  Gathering gathering;
  std::vector<Thread *> waiting;
  unsigned trues = 0, voters = 0; // predicates of a reduction
};

/// Four warps that multiply together.
struct Warpgroup {
  unsigned agent = 0;
  uint32_t lastStamp = 0;
  unsigned here = 0, some = 0; // threads at a product, and one of them
  unsigned site = 0;
  void *parts[128] = {};
  std::vector<Thread *> waiting;
  std::vector<Past> groups; // what is known to who has waited for each
};

/// The last use of a block's memory by a thread of another block, or a unit.
struct Visit {
  Thread *thread;
  uint32_t stamp;
  unsigned site;
};

struct Block {
  Cluster *cluster = nullptr;
  unsigned rank = 0; // in the cluster
  Dim3 id;
  char *shared = nullptr; // its window
  size_t sharedBegin = 0, dynamicBegin = 0, sharedEnd = 0;
  std::unique_ptr<Shadow> shadow;
  std::vector<Thread> threads;
  std::vector<Warp> warps;
  std::vector<Warpgroup> warpgroups;
  Barrier barriers[16];
  unsigned live = 0;
  std::unordered_map<unsigned, Visit> visits; // by who made them
  Gathering ends;                             // what is known to whom has ended
};

/// Work of a unit beside the threads: a copy, done when chance says so.
struct AsyncWork {
  Thread *thread; // that asked for it
  unsigned site;
  std::function<void()> perform;
};

class Cluster {
public:
  using Stacks = std::vector<std::unique_ptr<Stack>>;

  Cluster(Launch &launch, Window &window, Stacks &stacks, Dim3 origin,
          uint32_t number, uint32_t firstOfLaunch);
  ~Cluster();

  void run();

  /// Lets others run; returns when somebody has woken this thread.
  void wait(std::string what, unsigned site);
  void wake(Thread &thread);
  void wakeAll(std::vector<Thread *> &threads);
  /// Lets others run, and then goes on.
  void yield();
  /// The same for a thread that has looked for something in vain.
  void poll(const char *what, unsigned site);
  void progress() { vainPolls = 0; }

  /// An index in the clocks for a unit that works beside the threads.
  unsigned newAgent();
  uint32_t newStamp() { return ++stamps; }
  /// What is known to whoever has waited for a unit.
  Past pastOf(unsigned agent, uint32_t stamp) const;
  /// Of which thread or unit an access was, in words.
  std::string who(const Access &access) const;
  /// Where an address is, in words.
  std::string where(const void *address) const;
  bool holdsStack(const void *address) const;
  /// Whether another block of the launch has released what this one acquired.
  bool comesAfter(uint32_t other) const { return after.count(other) != 0; }

  Launch &launch;
  Window &window;
  const uint32_t number, firstOfLaunch;
  std::vector<Block> blocks;
  Past nothing; // what all have seen when they start
  Thread *current = nullptr;
  Thread *asking = nullptr; // for whom a unit works
  std::optional<Report> report;

  std::vector<AsyncWork> async;
  std::unordered_map<char *, std::unique_ptr<Mbarrier>> mbarriers;
  std::unordered_map<void *, Past> released; // by atomics, by address
  std::unordered_set<uint32_t> after, loaded;

  // barrier.cluster
  Gathering clusterGathering;
  Past clusterPast;
  unsigned clusterArrived = 0, clusterPhase = 0;
  std::vector<Thread *> clusterWaiting;

  unsigned live = 0;

private:
  void start(Thread &thread);
  void runNext();
  [[noreturn]] void deadlock();
  static void enter(void *thread);
  void end(Thread &thread);
  friend void endThread();

  Stacks &stacks;
  std::vector<Thread *> runnable;
  unsigned firstAgent, agents, nextAgent = 0;
  uint32_t stamps = 0;
  size_t vainPolls = 0;
};

/// The thread that is running: a kernel's calls have nothing else to go by.
Thread &self();
/// The cluster that is running, null outside of a launch.
Cluster *running();

/// Ends the launch with a report on that thread: throws Stopped.
[[noreturn]] void fail(Thread &thread, Fault fault, std::string words,
                       unsigned site);

/// Waits for the lanes of the mask, of which the last does `together`.
void meet(const char *name, uint32_t mask, void *part, unsigned site,
          bool aligned, void (*together)(Meeting &));
/// What a thread that ends is no longer waited for.
void leaveMeetings(Thread &thread);
void leaveBarriers(Thread &thread);
void leaveClusterBarrier(Cluster &cluster);
/// With the last thread of a block its memory goes.
void leaveBlock(Thread &thread);

/// Leaves a kernel whose launch has failed.
[[noreturn]] void abandon();

} // namespace moe::sim

#endif // MOE_LIB_SIM_MACHINE_CLUSTER_H
