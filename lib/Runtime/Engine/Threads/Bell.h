//===- Bell.h - Sleep until something has changed ---------------*- C++ -*-===//
//
// Part of moe-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
// A condition variable whose ringing costs one load while no one sleeps.
//
//===----------------------------------------------------------------------===//

#ifndef MOE_LIB_RUNTIME_ENGINE_THREADS_BELL_H
#define MOE_LIB_RUNTIME_ENGINE_THREADS_BELL_H

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <mutex>

namespace moe::runtime::threads {

class Bell {
public:
  /// Until `changed`, which looks at atomics that are written before `ring`, or
  /// until `deadline`, a time of moe_clock.
  template <typename Changed>
  void sleep(const Changed &changed, int64_t deadline) {
    std::chrono::steady_clock::time_point end{
        std::chrono::nanoseconds(deadline)};
    std::unique_lock<std::mutex> lock(mutex);
    // Either this sees the change, or who makes it sees the sleeper.
    sleepers.fetch_add(1);
    condition.wait_until(lock, end, changed);
    sleepers.fetch_sub(1);
  }

  void ring() {
    if (!sleepers.load())
      return;
    std::lock_guard<std::mutex> lock(mutex);
    condition.notify_all();
  }

private:
  std::mutex mutex;
  std::condition_variable condition;
  std::atomic<int32_t> sleepers{0};
};

} // namespace moe::runtime::threads

#endif // MOE_LIB_RUNTIME_ENGINE_THREADS_BELL_H
