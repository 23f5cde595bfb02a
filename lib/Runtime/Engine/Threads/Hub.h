//===- Hub.h - Where the ranks of one process meet --------------*- C++ -*-===//
//
// Part of moe-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
// A room for each group of ranks, and what all of them need to know: who has
// left, and what ended everything.
//
//===----------------------------------------------------------------------===//

#ifndef MOE_LIB_RUNTIME_ENGINE_THREADS_HUB_H
#define MOE_LIB_RUNTIME_ENGINE_THREADS_HUB_H

#include "Stage.h"

#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace moe::runtime::threads {

/// The meeting place of one group.
struct Room {
  /// Exchanges of a group that may run at once.
  static constexpr size_t depth = 16;

  explicit Room(std::vector<int32_t> ranks);

  const std::vector<int32_t> ranks;
  std::vector<std::unique_ptr<Stage>> stages; ///< taken in turn
  Bell bell;
};

class Hub {
public:
  explicit Hub(int32_t size);

  Room &room(const int32_t *ranks, int32_t members);

  /// The first call counts: from then on nothing begins, and who waits returns.
  void end(moe_status status, int32_t rank, std::string_view text);
  bool hasEnded() const { return ended.load(); }
  /// Why; only once it has ended.
  const moe_engine_failure &ending() const { return why; }

  /// Before a rank sleeps until others come to a stage: if now all sleep, they
  /// would do so for ever, and everything ends.
  void fallAsleep(int32_t rank, const Stage &stage, uint64_t round,
                  int32_t member);
  void wakeUp(int32_t rank);

  void leave(int32_t rank);
  bool hasLeft(int32_t rank) const { return gone[rank].load(); }
  uint32_t left() const { return goneCount.load(); }

  const int32_t size;
  /// Ranks have a core each: waiting without sleep takes nothing from others.
  const bool coreForEach;

private:
  struct Sleeper {
    const Stage *stage = nullptr; ///< null: it is awake
    uint64_t round = 0;
    int32_t member = 0;
  };
  void wakeAll();
  /// What all wait for, if all do. With the mutex held.
  std::string stuck() const;

  std::mutex mutex;
  std::map<std::vector<int32_t>, std::unique_ptr<Room>> rooms;
  std::atomic<bool> ended{false};
  moe_engine_failure why = {};
  std::vector<std::atomic<bool>> gone;
  std::atomic<uint32_t> goneCount{0};
  std::vector<Sleeper> sleepers; ///< of each rank
};

} // namespace moe::runtime::threads

#endif // MOE_LIB_RUNTIME_ENGINE_THREADS_HUB_H
