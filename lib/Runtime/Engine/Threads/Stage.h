//===- Stage.h - One exchange among threads ---------------------*- C++ -*-===//
//
// Part of moe-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Every member puts down what it sends and where it receives. The last one to
// come checks that these fit. From then on the memory of all is open: whoever
// has time takes a part of the work, its own first, and copies straight from
// one rank's memory to another's. A stage is used again and again, in rounds.
//
// Memory is only touched by the last one to come, until the stage has moved on,
// and by who is *inside*, which is counted; both look first whether everything
// has ended. A member leaves, well or not, when the last to come has moved on
// or will not begin, and no one is inside: then no one will touch its memory.
//
//===----------------------------------------------------------------------===//

#ifndef MOE_LIB_RUNTIME_ENGINE_THREADS_STAGE_H
#define MOE_LIB_RUNTIME_ENGINE_THREADS_STAGE_H

#include "Bell.h"

#include "moe/Runtime/Engine.h"

#include <memory>
#include <string>
#include <vector>

namespace moe::runtime::threads {

class Hub;
struct Room;

class Stage {
public:
  Stage(const std::vector<int32_t> &ranks, Bell &bell);

  enum class State { waiting, open, done, refused };
  State state(uint64_t round) const {
    uint64_t at = progress.load();
    return at == refused         ? State::refused
           : at <= 2 * round     ? State::waiting
           : at == 2 * round + 1 ? State::open
                                 : State::done;
  }

  /// Brings the transfer of a member. Small exchanges are done by the last to
  /// come before this returns.
  void arrive(Hub &hub, uint64_t round, const moe_transfer &transfer);
  /// Takes what parts are left of an open round.
  void work(const Hub &hub, uint64_t round, int32_t self);
  /// Until no one touches memory of members any more.
  void drain(uint64_t round) const;

  bool hasCome(int32_t member, uint64_t round) const {
    return slots[member].came.load() > round;
  }

  /// "rank 3 is at barrier over tp", of one that has come.
  std::string where(int32_t member) const;

private:
  struct Slot {
    moe_transfer transfer;
    std::atomic<uint64_t> came{0}; ///< rounds
    uint64_t parts = 0;            ///< of what the member receives
    alignas(64) std::atomic<uint64_t> next{0};
  };

  /// While it lives, memory of members may be touched, if it is `allowed`.
  class Inside {
  public:
    Inside(Stage &stage, const Hub &hub);
    ~Inside() { stage.inside.fetch_sub(1); }
    Inside(const Inside &) = delete;
    Inside &operator=(const Inside &) = delete;
    const bool allowed;

  private:
    Stage &stage;
  };

  void begin(Hub &hub, uint64_t round);
  bool takeParts(const Hub &hub, uint64_t round, int32_t self);
  std::string mismatch() const;
  uint64_t bytesOf(int32_t member) const;
  void split();
  void runPart(int32_t slot, uint64_t part) const;
  void copy(int32_t to, uint64_t begin, uint64_t end) const;
  void reduce(uint64_t begin, uint64_t end) const;

  const std::vector<int32_t> &ranks;
  Bell &bell;
  const int32_t members;
  std::unique_ptr<Slot[]> slots;
  static constexpr uint64_t refused = ~uint64_t(0);

  alignas(64) std::atomic<uint64_t> arrived{0}; ///< in all rounds
  /// Twice the rounds that are done, and one while the next is open.
  /// `refused` from when everything has ended.
  alignas(64) std::atomic<uint64_t> progress{0};
  /// Not beside what others look at while they wait.
  alignas(64) std::atomic<int32_t> inside{0};
  alignas(64) std::atomic<uint64_t> remaining{0}; ///< parts
};

} // namespace moe::runtime::threads

#endif // MOE_LIB_RUNTIME_ENGINE_THREADS_STAGE_H
