//===- World.cpp - One rank among others ----------------------------------===//
//
// Part of moe-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
// Groups, operations with a deadline, and the first failure.
//
//===----------------------------------------------------------------------===//

#include "World.h"
#include "../Status.h"

#include "moe/Runtime/Package.h"

#include <algorithm>
#include <cstdio>
#include <numeric>
#include <utility>

using namespace moe::runtime;

static constexpr int64_t defaultMilliseconds = 60000;

std::vector<int32_t> moe::runtime::groupRanks(const Grid &grid, int32_t rank,
                                              int32_t axes) {
  int32_t sizes[] = {grid.dp, grid.ep, grid.tp};
  int32_t steps[] = {grid.ep * grid.tp, grid.tp, 1};
  std::vector<int32_t> ranks = {rank};
  for (int axis = 0; axis < 3; ++axis) {
    if (!(axes >> axis & 1))
      continue;
    std::vector<int32_t> more;
    for (int32_t base : ranks) {
      int32_t first = base - base / steps[axis] % sizes[axis] * steps[axis];
      for (int32_t i = 0; i < sizes[axis]; ++i)
        more.push_back(first + i * steps[axis]);
    }
    ranks = std::move(more);
  }
  std::sort(ranks.begin(), ranks.end());
  return ranks;
}

moe_world::moe_world(const moe_engine &engine, const moe_world_options &options)
    : engine(engine),
      timeout((options.timeout_ms ? options.timeout_ms : defaultMilliseconds) *
              1000000),
      ranksPerNode(options.node_ranks ? options.node_ranks : engine.size),
      flightPath(options.flight ? options.flight : "") {
  std::vector<int32_t> ranks(static_cast<size_t>(size()));
  std::iota(ranks.begin(), ranks.end(), 0);
  groupOf(ranks);
}

moe_world::~moe_world() {
  if (failure())
    writeFlight();
  engine.close(engine.self);
}

Group &moe_world::everyone() { return *groups.front(); }

Group &moe_world::groupOf(const std::vector<int32_t> &ranks) {
  for (const std::unique_ptr<Group> &group : groups)
    if (group->ranks == ranks)
      return *group;
  auto group = std::make_unique<Group>();
  group->ranks = ranks;
  group->self = static_cast<int32_t>(
      std::find(ranks.begin(), ranks.end(), rank()) - ranks.begin());
  groups.push_back(std::move(group));
  return *groups.back();
}

Group &moe_world::group(const Grid &grid, int32_t axes) {
  return groupOf(groupRanks(grid, rank(), axes));
}

moe_status moe_world::failure(std::string *message) const {
  std::lock_guard<std::mutex> lock(mutex);
  if (message)
    *message = failedMessage;
  return failedWith;
}

void moe_world::throwFailure() const {
  std::string message;
  moe_status status = failure(&message);
  throw Error(status, message);
}

void moe_world::check() const {
  if (failure())
    throwFailure();
}

/// Keeps the first failure.
void moe_world::record(moe_status status, const std::string &message) {
  std::lock_guard<std::mutex> lock(mutex);
  if (failedWith)
    return;
  failedMessage = message;
  failedWith = status;
}

/// Writes what has happened until now, once.
void moe_world::writeFlight() noexcept {
  if (flightPath.empty() || flightWritten)
    return;
  flightWritten = true;
  try {
    std::string message;
    moe_status status = failure(&message);
    flight.write(flightPath, rank(), size(), status, message);
  } catch (const std::exception &error) {
    std::lock_guard<std::mutex> lock(mutex);
    failedMessage.append("; ").append(error.what());
  }
}

void moe_world::end(moe_status status, const std::string &message) noexcept {
  try {
    record(status, message);
    engine.abort(engine.self, status, message.c_str());
    writeFlight();
  } catch (...) {
    engine.abort(engine.self, status, "out of memory");
  }
}

void moe_world::abort(const char *reason) noexcept {
  try {
    std::string message = text("rank ", rank(), " ended the world: ", reason);
    record(MOE_ABORTED, message);
    engine.abort(engine.self, MOE_RANK_FAILED, message.c_str());
  } catch (...) {
    engine.abort(engine.self, MOE_RANK_FAILED, reason);
  }
}

WorldPhase::WorldPhase(moe_world &world, const char *name, int64_t timeoutMs)
    : name(name), start(moe_clock()),
      deadline(start + (timeoutMs ? timeoutMs * 1000000 : world.timeout)),
      world(world) {
  world.phase = this;
}

WorldPhase::~WorldPhase() { world.phase = nullptr; }

void moe_world::setDeadline(Operation &operation) const {
  operation.start = moe_clock();
  operation.deadline = phase ? phase->deadline : operation.start + timeout;
}

void moe_world::begin(Operation &operation) {
  check();
  setDeadline(operation);
  FlightEntry &entry = flight.add();
  operation.entry = &entry;
  entry.operation = operation.kind;
  entry.axes = operation.axes;
  entry.start = operation.start;
  std::string_view name = operation.name;
  entry.name[name.copy(entry.name.data(), entry.name.size() - 1)] = 0;
  ++figures.operations;
}

static double secondsSince(int64_t start) {
  return double(moe_clock() - start) * 1e-9;
}

void moe_world::pause(const Operation &operation) {
  figures.waited_seconds += secondsSince(operation.start);
}

/// A rank that computes is not late: others wait as long as they wait.
void moe_world::resume(Operation &operation) const {
  setDeadline(operation);
  check();
}

void moe_world::finish(Operation &operation, moe_status status) {
  FlightEntry &entry = *operation.entry;
  entry.end = moe_clock();
  figures.waited_seconds += double(entry.end - operation.start) * 1e-9;
  entry.status = status;
  entry.ended = true;
}

void moe_world::failOperation(Operation &operation) {
  try {
    throw;
  } catch (const Error &error) {
    finish(operation, error.status);
    end(error.status, error.message);
  } catch (...) {
    finish(operation, MOE_OUT_OF_MEMORY);
    end(MOE_OUT_OF_MEMORY, "out of memory");
  }
  throwFailure();
}

std::string moe_world::where(const Operation &operation) const {
  return text("rank ", rank(), ": ", phase ? phase->name : "",
              phase ? ": " : "", operation.what);
}

void moe_world::failExchange(const Operation &operation, moe_status status,
                             const moe_engine_failure &failure) const {
  char seconds[32];
  int64_t begun = phase ? phase->start : operation.start;
  std::snprintf(seconds, sizeof seconds, "%.3f s", secondsSince(begun));
  fail(status, where(operation), ": ",
       *failure.text ? failure.text : moe_status_name(status), ", after ",
       seconds);
}

/// What a sum moves where each member adds a slice and gives it to the others.
static uint64_t bytesOfSum(const Group &group, uint64_t bytes) {
  uint64_t each = sliceBytes(bytes, group.size());
  uint64_t begin = std::min(bytes, each * static_cast<uint64_t>(group.self));
  uint64_t own = std::min(each, bytes - begin);
  return bytes - own + own * static_cast<uint64_t>(group.size() - 1);
}

void moe_world::move(Operation &operation, Group &group, const moe_piece *send,
                     const moe_piece *receive, moe_reduction reduce,
                     moe_element dtype) {
  Started started = startMove(operation, group, send, receive, reduce, dtype);
  finishMove(operation, started);
}

Started moe_world::startMove(const Operation &operation, Group &group,
                             const moe_piece *send, const moe_piece *receive,
                             moe_reduction reduce, moe_element dtype,
                             void *stream) {
  moe_transfer transfer = {};
  transfer.stream = stream;
  transfer.ranks = group.ranks.data();
  transfer.members = group.size();
  transfer.self = group.self;
  transfer.send = send;
  transfer.receive = receive;
  transfer.sequence = group.sequence++;
  transfer.tag = operation.tag;
  transfer.reduce = reduce;
  transfer.dtype = dtype;
  transfer.what = operation.what;
  transfer.flags = operation.flags;

  Started started;
  moe_engine_failure failure = {};
  moe_status status =
      engine.start(engine.self, &transfer, &started.request, &failure);
  if (status != MOE_OK)
    failExchange(operation, status, failure);
  if (reduce) {
    started.sent = started.received = bytesOfSum(group, send[0].bytes);
    return started;
  }
  for (int32_t i = 0; i < group.size(); ++i) {
    if (i == group.self)
      continue;
    started.sent += send[i].bytes;
    started.received += receive[i].bytes;
  }
  return started;
}

void moe_world::finishMove(const Operation &operation, Started &started) {
  moe_engine_failure failure = {};
  moe_status status =
      engine.wait(engine.self, std::exchange(started.request, nullptr),
                  operation.deadline, &failure);
  if (status != MOE_OK)
    failExchange(operation, status, failure);
  figures.sent_bytes += started.sent;
  figures.received_bytes += started.received;
  operation.entry->bytes += started.sent + started.received;
}

moe_world_statistics moe_world::takeBack(const moe_world_statistics &before) {
  moe_world_statistics since = figures;
  since.operations -= before.operations;
  since.sent_bytes -= before.sent_bytes;
  since.received_bytes -= before.received_bytes;
  since.waited_seconds = 0;
  figures = before;
  return since;
}

void moe_world::count(const moe_world_statistics &more) {
  figures.operations += more.operations;
  figures.sent_bytes += more.sent_bytes;
  figures.received_bytes += more.received_bytes;
}

void moe_world::checkStreams() {
  check();
  moe_engine_failure why = {};
  if (!movesInStreams() || engine.check(engine.self, &why) == MOE_OK)
    return;
  end(why.status, text("rank ", rank(), ": ", why.text));
  throwFailure();
}

void moe_world::abandonMove(const Operation &operation,
                            Started &started) noexcept {
  moe_engine_request *request = std::exchange(started.request, nullptr);
  if (!request)
    return;
  moe_engine_failure why = {};
  moe_status status = engine.wait(engine.self, request, moe_clock(), &why);
  operation.entry->end = moe_clock();
  operation.entry->status = status ? status : failure();
  operation.entry->ended = true;
}
