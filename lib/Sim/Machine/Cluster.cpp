//===- Cluster.cpp - Blocks that run at once, and their threads -----------===//
//
// Part of moe-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Cluster.h"

#include <algorithm>
#include <cstring>

using namespace moe::sim;

static thread_local Cluster *theCluster = nullptr;

// Units that copy or multiply beside the threads. Where more are needed they
// share a clock, and a missing wait can go unseen.
static constexpr unsigned agentsPerBlock = 64;

Cluster *moe::sim::running() { return theCluster; }
Thread &moe::sim::self() { return *theCluster->current; }

static size_t roundUp(size_t value, size_t multiple) {
  return (value + multiple - 1) / multiple * multiple;
}

/// The next place that is aligned as asked and not better, lest a kernel work
/// here by luck.
static size_t place(size_t from, size_t alignment) {
  size_t at = roundUp(from, alignment);
  return at % (2 * alignment) && alignment < 1024 ? at
         : alignment < 1024                       ? at + alignment
                                                  : at;
}

// What the driver keeps for itself at the start of shared memory.
static constexpr size_t reservedShared = 1024;

static void layOut(Block &block, const Launch &launch, Random &random) {
  const moe_sim_kernel &kernel = *launch.kernel;
  block.sharedBegin = reservedShared;
  size_t end = reservedShared;
  if (kernel.static_shared) {
    block.sharedBegin = place(end, kernel.static_alignment);
    end = block.sharedBegin + kernel.static_shared;
  }
  block.dynamicBegin = block.sharedEnd = end;
  if (launch.dynamicShared) {
    block.dynamicBegin = place(end, kernel.dynamic_alignment);
    block.sharedEnd = block.dynamicBegin + launch.dynamicShared;
  }
  block.shadow = std::make_unique<Shadow>(block.sharedEnd);
  // What another kernel left there.
  uint64_t noise = random.next() | 0x8080808080808080;
  for (size_t i = 0; i + sizeof noise <= block.sharedEnd; i += sizeof noise)
    std::memcpy(block.shared + i, &noise, sizeof noise);
}

Cluster::Cluster(Launch &launch, Window &window, Stacks &stacks, Dim3 origin,
                 uint32_t number, uint32_t firstOfLaunch)
    : launch(launch), window(window), number(number),
      firstOfLaunch(firstOfLaunch), blocks(launch.cluster.count()),
      stacks(stacks) {
  theCluster = this;
  size_t threads = launch.block.count();
  firstAgent = unsigned(blocks.size() * threads);
  agents = unsigned(blocks.size() * agentsPerBlock);
  auto none = std::make_shared<Stamps>();
  none->seen.resize(firstAgent + agents);
  none->fenced.resize(firstAgent + agents);
  nothing = std::move(none);
  while (stacks.size() < firstAgent)
    stacks.push_back(std::make_unique<Stack>());

  for (unsigned rank = 0; rank < blocks.size(); ++rank) {
    Block &block = blocks[rank];
    Dim3 within = launch.cluster.at(rank);
    block.cluster = this;
    block.rank = rank;
    block.id = {origin.x + within.x, origin.y + within.y, origin.z + within.z};
    block.shared = window.block(rank);
    layOut(block, launch, *launch.random);
    block.live = unsigned(threads);
    block.threads = std::vector<Thread>(threads);
    block.warps = std::vector<Warp>((threads + 31) / 32);
    block.warpgroups = std::vector<Warpgroup>((threads + 127) / 128);
    for (Warpgroup &group : block.warpgroups)
      group.agent = newAgent();
    for (unsigned i = 0; i < threads; ++i) {
      Thread &thread = block.threads[i];
      Warp &warp = block.warps[i / 32];
      warp.block = thread.block = &block;
      warp.first = i / 32 * 32;
      warp.live |= 1u << i % 32;
      thread.warp = &warp;
      thread.index = i;
      thread.lane = i % 32;
      start(thread);
    }
  }
  live = firstAgent;
}

Cluster::~Cluster() { theCluster = nullptr; }

void Cluster::start(Thread &thread) {
  unsigned index = thread.block->rank * unsigned(thread.block->threads.size()) +
                   thread.index;
  thread.clock.start(nothing, index);
  thread.fiber.start(*stacks[index], enter, &thread);
  thread.runnable = true;
  runnable.push_back(&thread);
}

unsigned Cluster::newAgent() { return firstAgent + nextAgent++ % agents; }

Past Cluster::pastOf(unsigned agent, uint32_t stamp) const {
  auto past = std::make_shared<Stamps>(*nothing);
  past->seen[agent] = past->fenced[agent] = stamp;
  return past;
}

void Cluster::enter(void *argument) {
  auto &thread = *static_cast<Thread *>(argument);
  thread.fiber.entered();
  Launch &launch = theCluster->launch;
  launch.kernel->body(launch.parameters.data());
  try {
    endThread();
  } catch (const Stopped &) {
    thread.done = true;
  }
  abandon();
}

void moe::sim::endThread() {
  Thread &thread = self();
  thread.block->cluster->end(thread);
  thread.fiber.leave(/*forGood=*/true);
  __builtin_unreachable();
}

void Cluster::end(Thread &thread) {
  thread.done = true;
  --live;
  --thread.block->live;
  thread.warp->live &= ~(1u << thread.lane);
  progress();
  leaveMeetings(thread);
  leaveBarriers(thread);
  leaveClusterBarrier(*this);
  leaveBlock(thread);
}

void Cluster::wake(Thread &thread) {
  if (thread.runnable)
    return;
  thread.runnable = true;
  runnable.push_back(&thread);
}

void Cluster::wakeAll(std::vector<Thread *> &threads) {
  progress();
  for (Thread *thread : threads)
    wake(*thread);
  threads.clear();
}

void Cluster::wait(std::string what, unsigned site) {
  Thread &thread = *current;
  thread.waiting = {std::move(what), site};
  thread.fiber.leave();
}

void Cluster::yield() {
  Thread &thread = *current;
  wake(thread);
  thread.fiber.leave();
}

void Cluster::poll(const char *what, unsigned site) {
  ++vainPolls;
  current->waiting = {what, site};
  yield();
}

void Cluster::runNext() {
  size_t choice = launch.random->below(runnable.size() + async.size());
  // Copies are slow or fast, and not as rare as one among many threads.
  if (!async.empty() && launch.random->below(16) == 0)
    choice = runnable.size() + launch.random->below(async.size());
  if (choice >= runnable.size()) {
    choice -= runnable.size();
    AsyncWork work = std::move(async[choice]);
    async[choice] = std::move(async.back());
    async.pop_back();
    progress();
    asking = work.thread;
    work.perform();
    asking = nullptr;
    return;
  }
  Thread &thread = *runnable[choice];
  runnable[choice] = runnable.back();
  runnable.pop_back();
  thread.runnable = false;
  current = &thread;
  thread.fiber.resume();
  current = nullptr;
}

void Cluster::run() {
  // Polls in vain of every thread a few times over: nobody makes progress.
  constexpr size_t patience = 64;
  try {
    while (!report && (live || !async.empty())) {
      if (!live)
        fail(*async.front().thread, Fault::InFlight,
             "the block ends before its copy is done", async.front().site);
      if (runnable.empty() && async.empty())
        deadlock();
      if (async.empty() && vainPolls > patience * (runnable.size() + 1))
        deadlock();
      runNext();
    }
  } catch (const Stopped &) {
    current = nullptr; // the report says the rest
  }
}

bool Cluster::holdsStack(const void *address) const {
  const Thread &thread = *current;
  size_t index =
      thread.block->rank * thread.block->threads.size() + thread.index;
  return stacks[index]->holds(address);
}

void moe::sim::fail(Thread &thread, Fault fault, std::string words,
                    unsigned site) {
  Cluster &cluster = *theCluster;
  const Launch &launch = cluster.launch;
  cluster.report =
      Report{fault, text(name(fault), ": ", words, "\n  at ", launch.site(site),
                         "\n  kernel ", launch.kernel->name, ", block ",
                         text(thread.block->id), ", thread ",
                         text(launch.block.at(thread.index)), "\n")};
  throw Stopped();
}

void moe::sim::abandon() {
  self().fiber.leave(/*forGood=*/true);
  __builtin_unreachable();
}
