//===- Ranks.h - Ranks of a test --------------------------------*- C++ -*-===//
//
// Part of moe-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
// Worlds on the threads engine, a thread for each, and engines that misbehave.
//
//===----------------------------------------------------------------------===//

#ifndef MOE_TEST_UNIT_RUNTIME_RANKS_H
#define MOE_TEST_UNIT_RUNTIME_RANKS_H

#include "Runtime/Collective/Exchange.h"
#include "Runtime/Status.h"

#include "Support.h"

#include <thread>

namespace moe::test {

/// An engine that does something to one of the exchanges that it starts.
class TamperedEngine {
public:
  using Tamper = std::function<void(moe_transfer &)>;
  explicit TamperedEngine(const moe_engine &inner);

  moe_engine table();
  /// At the exchange number `at`: before it starts, and when it has.
  int at = -1;
  Tamper before;
  std::function<void()> after;
  /// Of all that were started.
  int started = 0;
  void closeInner();

private:
  static TamperedEngine &of(void *self) {
    return *static_cast<TamperedEngine *>(self);
  }
  static moe_status start(void *self, const moe_transfer *transfer,
                          moe_engine_request **request,
                          moe_engine_failure *failure);
  static moe_status wait(void *self, moe_engine_request *request,
                         int64_t deadline, moe_engine_failure *failure);
  moe_engine inner;
  bool closed = false;
  std::vector<moe_piece> pieces[2];
};

struct RanksOptions {
  int64_t timeoutMs = 30000;
  int32_t nodeRanks = 0;
  std::string flight;
  bool reduces = true; ///< the engine adds
};

class Ranks {
public:
  explicit Ranks(int32_t size, const RanksOptions &options = {});
  ~Ranks();

  /// Calls `body` for each rank on a thread of its own; `close` from there ends
  /// a rank.
  void run(const std::function<void(moe_world &)> &body);
  moe_world &operator[](int32_t rank) {
    return *worlds[static_cast<size_t>(rank)];
  }
  TamperedEngine &engine(int32_t rank) {
    return *engines[static_cast<size_t>(rank)];
  }
  void close(int32_t rank) { worlds[static_cast<size_t>(rank)].reset(); }
  int32_t size() const { return static_cast<int32_t>(worlds.size()); }

private:
  std::vector<std::unique_ptr<TamperedEngine>> engines;
  std::vector<std::unique_ptr<moe_world>> worlds;
};

/// One collective over all ranks, which are on the ep axis.
runtime::Collective makeCollective(runtime::CollectiveKind kind,
                                   moe_element dtype = MOE_F32,
                                   int64_t row = 1);
/// An exchange with this one collective.
runtime::Exchange makeExchange(moe_world &world,
                               const runtime::Collective &collective);

/// Numbers that depend on the seed alone.
class Numbers {
public:
  explicit Numbers(uint64_t seed) : state(seed * 0x9E3779B97F4A7C15 + 1) {}
  uint64_t next() {
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    return state * 0x2545F4914F6CDD1D;
  }
  int64_t below(int64_t bound) {
    return static_cast<int64_t>(next() >> 11) % bound;
  }

private:
  uint64_t state;
};

} // namespace moe::test

#endif // MOE_TEST_UNIT_RUNTIME_RANKS_H
