//===- World.h - One rank among others --------------------------*- C++ -*-===//
//
// Part of moe-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// A world has an engine, which moves pieces of memory within groups of ranks.
// Here are the groups, deadlines, the first failure and the flight recorder;
// Collectives.h has the operations, Exchange.h what generated code calls.
//
//===----------------------------------------------------------------------===//

#ifndef MOE_LIB_RUNTIME_COLLECTIVE_WORLD_H
#define MOE_LIB_RUNTIME_COLLECTIVE_WORLD_H

#include "../Buffer.h"
#include "Flight.h"

#include <atomic>
#include <memory>
#include <mutex>

namespace moe::runtime {

/// Ranks that exchange something, as one of them sees them.
struct Group {
  std::vector<int32_t> ranks; ///< ascending
  int32_t self = 0;           ///< this rank's number among them
  uint64_t sequence = 0;      ///< exchanges until now
  int32_t size() const { return static_cast<int32_t>(ranks.size()); }
};

/// The ranks that differ from `rank` in these axes alone.
std::vector<int32_t> groupRanks(const Grid &grid, int32_t rank, int32_t axes);

/// Bytes of the slice of a sum that each of `members` adds up; the last ones
/// may have less.
inline uint64_t sliceBytes(uint64_t bytes, int32_t members) {
  uint64_t each = (bytes + members - 1) / members;
  return (each + 63) / 64 * 64;
}

/// What a rank is about to run.
struct RunHeader {
  uint64_t fingerprint = 0; ///< of the manifest
  int64_t function = -1;    ///< index; -1: none, a layer is being created
  int64_t tokens = 0;
};

/// A collective while it runs: what messages and the flight recorder say.
struct Operation {
  const char *kind = "";
  const char *name = "";
  int32_t axes = 0; ///< 0: all ranks
  uint64_t tag = 0; ///< the same on all members
  /// "all_reduce 'parts' over tp", as messages of all members show it.
  const char *what = "";
  uint64_t flags = 0; ///< of its exchanges: MOE_TRANSFER_...
  int64_t start = 0, deadline = 0;
  FlightEntry *entry = nullptr;
};

/// An exchange that a rank has started and not yet waited for.
struct Started {
  moe_engine_request *request = nullptr;
  uint64_t sent = 0, received = 0;
};

/// Operations that have one deadline together, while it lives.
class WorldPhase {
public:
  /// `timeoutMs` 0: the timeout of an operation of this world.
  WorldPhase(moe_world &world, const char *name, int64_t timeoutMs);
  ~WorldPhase();
  WorldPhase(const WorldPhase &) = delete;
  WorldPhase &operator=(const WorldPhase &) = delete;

  const char *const name; ///< as messages begin: "match of averaging"
  const int64_t start, deadline;

private:
  moe_world &world;
};

} // namespace moe::runtime

struct moe_world {
  moe_world(const moe_engine &engine, const moe_world_options &options);
  ~moe_world();
  moe_world(const moe_world &) = delete;
  moe_world &operator=(const moe_world &) = delete;

  int32_t rank() const { return engine.rank; }
  int32_t size() const { return engine.size; }
  /// This rank's number among those of its machine.
  int32_t local() const { return engine.local; }

  /// The group of this rank over axes of a grid, which is as large as this
  /// world. It stays where it is.
  moe::runtime::Group &group(const moe::runtime::Grid &grid, int32_t axes);
  /// The group of these ranks, ascending, of which this is one.
  moe::runtime::Group &groupOf(const std::vector<int32_t> &ranks);
  /// All ranks.
  moe::runtime::Group &everyone();

  /// Runs `body` as one operation: with a deadline, an entry of the flight
  /// recorder and, if it throws, failure of the world, which is thrown.
  template <typename Body>
  void operate(moe::runtime::Operation &operation, const Body &body) {
    begin(operation);
    try {
      body();
    } catch (...) {
      failOperation(operation);
    }
    finish(operation, MOE_OK);
  }

  /// The same in two halves, between which the rank does something else: each
  /// has a deadline, and what is in between is no waiting.
  template <typename Body>
  void start(moe::runtime::Operation &operation, const Body &body) {
    begin(operation);
    try {
      body();
    } catch (...) {
      failOperation(operation);
    }
    pause(operation);
  }
  template <typename Body>
  void complete(moe::runtime::Operation &operation, const Body &body) {
    try {
      resume(operation);
      body();
    } catch (...) {
      failOperation(operation);
    }
    finish(operation, MOE_OK);
  }

  /// One exchange within an operation; returns when it is done. There is a
  /// piece for each member. With a reduction, it is that of send[0].
  void move(moe::runtime::Operation &operation, moe::runtime::Group &group,
            const moe_piece *send, const moe_piece *receive,
            moe_reduction reduce = MOE_REDUCE_NONE,
            moe_element dtype = MOE_BYTE);
  /// The two halves of `move`. Pieces stay until the second has returned.
  moe::runtime::Started
  startMove(const moe::runtime::Operation &operation,
            moe::runtime::Group &group, const moe_piece *send,
            const moe_piece *receive, moe_reduction reduce = MOE_REDUCE_NONE,
            moe_element dtype = MOE_BYTE, void *stream = nullptr);
  void finishMove(const moe::runtime::Operation &operation,
                  moe::runtime::Started &started);
  /// Once this world has failed: returns when this rank's memory is its own
  /// again.
  void abandonMove(const moe::runtime::Operation &operation,
                   moe::runtime::Started &started) noexcept;

  /// Meets each other rank in turn; `ready` counts those that have come, with
  /// this one.
  void meetAll(std::atomic<int32_t> &ready);

  /// Ends this world, here and on all ranks that can be reached, unless it has
  /// ended. For what keeps this rank from coming to where others wait for it.
  void end(moe_status status, const std::string &message) noexcept;
  /// Fails with what ended this world, if anything has.
  void check() const;
  [[noreturn]] void throwFailure() const;
  /// The status that ended it, MOE_OK while nothing has.
  moe_status failure(std::string *message = nullptr) const;
  /// From any thread.
  void abort(const char *reason) noexcept;

  /// "rank 1: all_reduce 'parts' over tp", as messages begin; the phase, if
  /// there is one, is before the operation.
  std::string where(const moe::runtime::Operation &operation) const;

  bool reduces() const { return engine.capabilities & MOE_ENGINE_REDUCES; }
  /// Whether pieces may be on a device, and moved in the order of a stream.
  bool movesInStreams() const {
    return engine.capabilities & MOE_ENGINE_STREAMS;
  }
  /// Fails with what has gone wrong in streams.
  void checkStreams();
  /// Ranks of one machine, for `hierarchical`.
  int32_t nodeRanks() const { return ranksPerNode; }
  moe_world_statistics statistics() const { return figures; }
  /// What was counted since `before`. It is counted no more: nothing has moved
  /// that was only recorded.
  moe_world_statistics takeBack(const moe_world_statistics &before);
  /// What was recorded has moved.
  void count(const moe_world_statistics &more);

  /// Memory that operations use again and again.
  moe::runtime::Buffer scratch[3];
  std::vector<moe_piece> pieces[4];
  std::vector<int64_t> numbers[4];
  std::vector<moe::runtime::RunHeader> headers;

private:
  friend class moe::runtime::WorldPhase;
  void begin(moe::runtime::Operation &operation);
  void setDeadline(moe::runtime::Operation &operation) const;
  void pause(const moe::runtime::Operation &operation);
  void resume(moe::runtime::Operation &operation) const;
  void finish(moe::runtime::Operation &operation, moe_status status);
  /// In a handler: ends the world with the exception in flight.
  [[noreturn]] void failOperation(moe::runtime::Operation &operation);
  void record(moe_status status, const std::string &message);
  void writeFlight() noexcept;
  [[noreturn]] void failExchange(const moe::runtime::Operation &operation,
                                 moe_status status,
                                 const moe_engine_failure &failure) const;

  moe_engine engine;
  int64_t timeout; ///< nanoseconds of an operation
  const moe::runtime::WorldPhase *phase = nullptr; ///< that is going on
  int32_t ranksPerNode;
  std::string flightPath;
  bool flightWritten = false;
  moe::runtime::FlightRecorder flight;
  moe_world_statistics figures = {};
  std::vector<std::unique_ptr<moe::runtime::Group>> groups;
  mutable std::mutex mutex; ///< of the two that follow
  moe_status failedWith = MOE_OK;
  std::string failedMessage;
};

#endif // MOE_LIB_RUNTIME_COLLECTIVE_WORLD_H
