//===- Parallel.cpp - Loops of generated code on threads ------------------===//
//
// Part of moe-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Small parts in order, each taken by the next OpenMP thread that is free, or
// whatever executor the application has set. A loop inside a loop runs on the
// thread that reached it, so that the threads of one level never wait for those
// of another.
//
//===----------------------------------------------------------------------===//

#include "moe/Runtime/Package.h"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <thread>

#ifdef _OPENMP
#include <omp.h>
#include <pthread.h>
#endif

static std::atomic<moe_executor> currentExecutor{nullptr};
static std::atomic<void *> currentUser{nullptr};
[[maybe_unused]] static std::atomic<int> requestedThreads{0};
// In a process that was forked from one with a pool, whose threads it lacks.
[[maybe_unused]] static std::atomic<bool> poolIsLost{false};
static thread_local bool insideLoop = false;

namespace {
/// Marks this thread as working on a loop.
class LoopScope {
public:
  LoopScope() : before(insideLoop) { insideLoop = true; }
  ~LoopScope() { insideLoop = before; }

private:
  bool before;
};

struct Work {
  moe_body body;
  void *context;
};
} // namespace

static void runPart(void *context, int64_t begin, int64_t end) {
  LoopScope scope;
  const Work *work = static_cast<const Work *>(context);
  if (begin < end)
    work->body(work->context, begin, end);
}

/// Takes parts until there are none left. Parts next to each other go to one
/// thread as far as all threads still end together.
[[maybe_unused]] static void takeParts(const Work &work, int64_t count,
                                       int64_t part,
                                       std::atomic<int64_t> &next) {
  for (int64_t begin; (begin = next.fetch_add(part)) < count;)
    runPart(const_cast<Work *>(&work), begin, std::min(begin + part, count));
}

/// Of the built-in pool.
static int64_t builtinThreads() {
#ifdef _OPENMP
  if (poolIsLost.load(std::memory_order_relaxed))
    return 1;
  int wanted = requestedThreads.load(std::memory_order_relaxed);
  return wanted > 0 ? wanted : omp_get_max_threads();
#else
  return 1;
#endif
}

static void runBuiltin(const Work &work, int64_t count) {
#ifdef _OPENMP
  int64_t threads = std::min(builtinThreads(), count);
  if (threads > 1) {
    // OpenMP would wait there for the threads that it has started here.
    [[maybe_unused]] static const int watched =
        pthread_atfork(nullptr, nullptr, [] { poolIsLost.store(true); });
    constexpr int64_t partsPerThread = 256;
    int64_t part = std::max<int64_t>(1, count / (threads * partsPerThread));
    std::atomic<int64_t> next{0};
#pragma omp parallel num_threads(static_cast<int>(threads))
    takeParts(work, count, part, next);
    return;
  }
#endif
  // One thread at this level: loops further in may still use all of them.
  work.body(work.context, 0, count);
}

void moe_parallel_for(moe_body body, void *context, int64_t count) {
  if (count <= 0)
    return;
  if (insideLoop) {
    body(context, 0, count);
    return;
  }
  Work work{body, context};
  moe_executor executor = currentExecutor.load(std::memory_order_acquire);
  if (executor)
    executor(currentUser.load(std::memory_order_acquire), runPart, &work,
             count);
  else
    runBuiltin(work, count);
}

int64_t moe_thread_count(void) {
  if (insideLoop)
    return 1;
  // An executor does not say how many it has.
  return currentExecutor.load(std::memory_order_acquire)
             ? std::max(1u, std::thread::hardware_concurrency())
             : builtinThreads();
}

void moe_set_executor(moe_executor executor, void *user) {
  // The user pointer first: no loop sees the new executor with the old one.
  currentUser.store(user, std::memory_order_release);
  currentExecutor.store(executor, std::memory_order_release);
}

void moe_set_threads(int threads) {
  requestedThreads.store(std::max(threads, 0), std::memory_order_relaxed);
}

int64_t moe_clock(void) {
  return std::chrono::duration_cast<std::chrono::nanoseconds>(
             std::chrono::steady_clock::now().time_since_epoch())
      .count();
}
