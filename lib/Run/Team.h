//===- Team.h - The ranks that run together ---------------------*- C++ -*-===//
//
// Part of moe-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
// All of them in this process, each on a thread; one of them, with the others
// in processes of their own; or a single one that needs no world.
//
//===----------------------------------------------------------------------===//

#ifndef MOE_LIB_RUN_TEAM_H
#define MOE_LIB_RUN_TEAM_H

#include "Array.h"
#include "Options.h"

#include "moe/Runtime/Package.h"

#include <condition_variable>
#include <exception>
#include <functional>
#include <mutex>
#include <thread>

namespace moe::run {

/// A failed call of the runtime.
struct StatusError : RunError {
  StatusError(moe_status status);
  moe_status status;
};

/// Throws StatusError with the runtime's message unless the call succeeded.
void check(moe_status status);

/// Whether a launcher has started this process as one rank of several, where
/// the options leave that open.
bool isLaunched(const Options &options);
/// Whether another process, the first rank, says what went wrong.
bool isSilent(const Options &options);

/// What is wrong with a file names the file itself; a rank that others have
/// told so does not.
bool isLocated(const std::exception &error);

class Team {
public:
  /// One rank without a world.
  Team() : members(1) {}
  /// As the options say, for a package of `ranks` ranks.
  Team(const Options &options, int ranks);
  ~Team();
  Team(const Team &) = delete;

  /// The ranks in this process.
  size_t size() const { return members.size(); }
  moe_world *world(size_t member) const { return members[member].world; }
  int rank(size_t member) const;
  bool isAlone() const { return !members[0].world; }
  /// Whether the first rank is here.
  bool reports() const { return rank(0) == 0; }

  /// Calls `body(member)` for all members, each on its thread, and throws what
  /// the first to fail has thrown, once all have ended.
  void each(const std::function<void(size_t)> &body);

  /// Ends the others' waiting: this process comes no further.
  void abort(const char *reason);

  /// The arrays of all ranks, from those of the members here. All processes
  /// call it.
  std::vector<Array> gather(std::vector<Array> mine);
  /// The first rank's number, for what all processes must decide alike.
  double ofFirst(double mine);

private:
  struct Member {
    moe_world *world = nullptr;
    std::exception_ptr failure;
    std::thread thread;
  };

  void work(size_t member);
  void run(size_t member);
  std::exception_ptr firstFailure() const;
  std::vector<std::vector<char>> gatherBytes(const std::vector<char> &mine);

  std::vector<Member> members;
  std::mutex mutex; ///< of all that follows
  std::condition_variable changed;
  const std::function<void(size_t)> *body = nullptr;
  std::vector<size_t> failed; ///< in the order of time
  uint64_t round = 0;         ///< what `body` is
  size_t running = 0;
  bool ended = false;
};

} // namespace moe::run

#endif // MOE_LIB_RUN_TEAM_H
