//===- Waiting.cpp - Time, and how to spend it ----------------------------===//
//
// Part of moe-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Waiting.h"

#include <algorithm>
#include <thread>

namespace moe::engine {

void Backoff::pause() {
  constexpr int looks = 8, yields = 64, longest = 200;
  if (++rounds <= looks)
    return;
  if (rounds <= yields)
    return std::this_thread::yield();
  std::this_thread::sleep_for(
      std::chrono::microseconds(std::min(rounds - yields, longest)));
}

} // namespace moe::engine
