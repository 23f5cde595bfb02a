//===- Waiting.h - Time, and how to spend it --------------------*- C++ -*-===//
//
// Part of moe-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef MOE_LIB_RUNTIME_ENGINE_SUPPORT_WAITING_H
#define MOE_LIB_RUNTIME_ENGINE_SUPPORT_WAITING_H

#include <chrono>
#include <cstdint>

namespace moe::engine {

using Clock = std::chrono::steady_clock;

/// The time of moe_clock.
inline int64_t now() {
  return std::chrono::nanoseconds(Clock::now().time_since_epoch()).count();
}

inline Clock::time_point timePoint(int64_t time) {
  return Clock::time_point(std::chrono::nanoseconds(time));
}

constexpr int64_t milliseconds = 1000000;

/// Looks often at first, then less and less: ranks may outnumber the cores.
class Backoff {
public:
  void pause();
  void reset() { rounds = 0; }

private:
  int rounds = 0;
};

/// Looks until `done()` or the deadline; whether it was done.
template <typename Done> bool waitUntil(int64_t deadline, Done &&done) {
  Backoff backoff;
  while (!done()) {
    if (now() >= deadline)
      return false;
    backoff.pause();
  }
  return true;
}

} // namespace moe::engine

#endif // MOE_LIB_RUNTIME_ENGINE_SUPPORT_WAITING_H
