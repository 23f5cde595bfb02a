//===- Team.cpp - The ranks that run together -----------------------------===//
//
// Part of moe-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
// A rank that fails ends the others' waiting; what it says is what the user
// reads. Threads stay, so that each keeps its own pool of threads.
//
//===----------------------------------------------------------------------===//

#include "Team.h"

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <unistd.h>

namespace moe::run {

StatusError::StatusError(moe_status status)
    : RunError(std::string(moe_last_error()) + " (" + moe_status_name(status) +
               ")"),
      status(status) {}

void check(moe_status status) {
  if (status != MOE_OK)
    throw StatusError(status);
}

/// Whether a rank fails so because another one did.
static bool isOfOthers(moe_status status) {
  return status == MOE_RANK_FAILED || status == MOE_ABORTED;
}

/// This process's number among several that a launcher has started, or -1.
/// Where that makes no sense it is 0: the runtime says so, and is heard.
static int launchedRank() {
  for (auto [rank, size] :
       {std::pair{"OMPI_COMM_WORLD_RANK", "OMPI_COMM_WORLD_SIZE"},
        {"PMI_RANK", "PMI_SIZE"},
        {"RANK", "WORLD_SIZE"},
        {"SLURM_PROCID", "SLURM_NTASKS"}}) {
    const char *number = std::getenv(rank), *all = std::getenv(size);
    if (!number || !all)
      continue;
    long mine = std::strtol(number, nullptr, 10);
    long ranks = std::strtol(all, nullptr, 10);
    if (ranks == 1)
      return -1;
    return mine > 0 && mine < ranks ? int(mine) : 0;
  }
  return -1;
}

/// Whether all ranks are in this process, each with a device that NCCL
/// connects.
static bool hasAllDevices(const Options &options) {
  return options.engine == "nccl" && options.ranks && launchedRank() < 0;
}

bool isLaunched(const Options &options) {
  bool open = options.engine.empty() && options.ranks == 0;
  return open ? launchedRank() >= 0
              : !options.engine.empty() && options.engine != "threads" &&
                    !hasAllDevices(options);
}

bool isSilent(const Options &options) {
  return isLaunched(options) && launchedRank() > 0;
}

bool isLocated(const std::exception &error) {
  auto *failed = dynamic_cast<const StatusError *>(&error);
  return !(failed && isOfOthers(failed->status)) &&
         std::string_view(error.what()).find(": error: ") !=
             std::string_view::npos;
}

static void useThreads(const Options &options, int ranks) {
  int all = options.threads ? options.threads
                            : int(std::thread::hardware_concurrency());
  moe_set_threads(std::max(1, all / ranks));
}

/// Each rank waits for the others, so each needs a thread.
static void openTogether(moe_world_options wanted,
                         std::vector<moe_world *> &worlds) {
  std::string meeting =
      (std::filesystem::temp_directory_path() / "moe-run-XXXXXX").string();
  int file = mkstemp(meeting.data());
  if (file < 0)
    throw RunError("cannot make '" + meeting + "', where ranks would meet");
  close(file);
  unlink(meeting.c_str());
  wanted.rendezvous = meeting.c_str();
  std::vector<std::exception_ptr> failures(worlds.size());
  std::vector<std::thread> threads;
  for (size_t i = 0; i < worlds.size(); ++i)
    threads.emplace_back([&, i, mine = wanted]() mutable {
      mine.rank = int(i);
      try {
        check(moe_world_open(&mine, &worlds[i]));
      } catch (...) {
        failures[i] = std::current_exception();
      }
    });
  for (std::thread &thread : threads)
    thread.join();
  unlink(meeting.c_str());
  for (const std::exception_ptr &failure : failures)
    if (failure) {
      for (moe_world *world : worlds)
        moe_world_close(world);
      std::rethrow_exception(failure);
    }
}

Team::Team(const Options &options, int ranks) {
  moe_world_options wanted = {};
  std::string engine = options.engine;
  bool processes = isLaunched(options);
  if (engine.empty() && !processes)
    engine = "threads";
  wanted.engine = engine.empty() ? nullptr : engine.c_str();
  wanted.rank = processes ? -1 : 0;
  wanted.size = processes ? -1 : ranks;
  wanted.timeout_ms = options.timeout;
  wanted.node_ranks = options.nodeRanks;
  wanted.flight = options.flight.empty() ? nullptr : options.flight.c_str();
  std::vector<moe_world *> worlds(processes ? 1 : size_t(ranks));
  if (processes)
    check(moe_world_open(&wanted, worlds.data()));
  else if (hasAllDevices(options))
    openTogether(wanted, worlds);
  else
    check(moe_world_open_threads(&wanted, worlds.data()));
  members = std::vector<Member>(worlds.size());
  for (size_t i = 0; i < worlds.size(); ++i)
    members[i].world = worlds[i];
  useThreads(options, ranks);
  if (members.size() > 1)
    for (size_t i = 0; i < members.size(); ++i)
      members[i].thread = std::thread([this, i] { work(i); });
}

Team::~Team() {
  {
    std::lock_guard<std::mutex> lock(mutex);
    ended = true;
  }
  changed.notify_all();
  for (Member &member : members)
    if (member.thread.joinable())
      member.thread.join();
  // Whatever ends this process early must not keep others waiting.
  if (std::uncaught_exceptions())
    abort("moe-run has ended");
  for (Member &member : members)
    if (member.world)
      moe_world_close(member.world);
}

void Team::abort(const char *reason) {
  for (Member &member : members)
    if (member.world)
      moe_world_abort(member.world, reason);
}

int Team::rank(size_t member) const {
  moe_world *world = members[member].world;
  return world ? moe_world_rank(world) : 0;
}

void Team::run(size_t i) {
  Member &member = members[i];
  try {
    (*body)(i);
  } catch (const std::exception &error) {
    {
      std::lock_guard<std::mutex> lock(mutex);
      failed.push_back(i);
      member.failure = std::current_exception();
    }
    if (member.world)
      moe_world_abort(member.world, error.what());
  }
}

void Team::work(size_t i) {
  std::unique_lock<std::mutex> lock(mutex);
  for (uint64_t done = 0;;) {
    changed.wait(lock, [&] { return ended || round != done; });
    if (ended)
      return;
    done = round;
    lock.unlock();
    run(i);
    lock.lock();
    if (--running == 0)
      changed.notify_all();
  }
}

/// Of all that failed, the first that was not told to by another one.
std::exception_ptr Team::firstFailure() const {
  for (size_t i : failed)
    try {
      std::rethrow_exception(members[i].failure);
    } catch (const StatusError &error) {
      if (!isOfOthers(error.status))
        return members[i].failure;
    } catch (...) {
      return members[i].failure;
    }
  return members[failed[0]].failure;
}

void Team::each(const std::function<void(size_t)> &called) {
  body = &called;
  failed.clear();
  if (members.size() == 1) {
    run(0);
  } else {
    std::unique_lock<std::mutex> lock(mutex);
    ++round;
    running = members.size();
    changed.notify_all();
    changed.wait(lock, [&] { return running == 0; });
  }
  if (!failed.empty())
    std::rethrow_exception(firstFailure());
}

/// Of several lengths; the longest decides how much each rank sends.
std::vector<std::vector<char>>
Team::gatherBytes(const std::vector<char> &mine) {
  moe_world *world = members[0].world;
  size_t ranks = size_t(moe_world_size(world));
  std::vector<uint64_t> lengths(ranks);
  uint64_t length = mine.size();
  check(moe_world_gather(world, &length, sizeof length, lengths.data()));
  uint64_t most = *std::max_element(lengths.begin(), lengths.end());
  std::vector<char> sent = mine, all(most * ranks);
  sent.resize(most);
  check(moe_world_gather(world, sent.data(), most, all.data()));
  std::vector<std::vector<char>> result;
  for (size_t r = 0; r < ranks; ++r) {
    const char *from = all.data() + r * most;
    result.emplace_back(from, from + lengths[r]);
  }
  return result;
}

double Team::ofFirst(double mine) {
  moe_world *world = members[0].world;
  if (!world || size_t(moe_world_size(world)) == members.size())
    return mine;
  std::vector<double> all(size_t(moe_world_size(world)));
  check(moe_world_gather(world, &mine, sizeof mine, all.data()));
  return all[0];
}

std::vector<Array> Team::gather(std::vector<Array> mine) {
  if (isAlone() || size_t(moe_world_size(members[0].world)) == mine.size())
    return mine;
  std::vector<char> shape(mine[0].shape.size() * sizeof(int64_t));
  std::memcpy(shape.data(), mine[0].shape.data(), shape.size());
  std::vector<std::vector<char>> shapes = gatherBytes(shape);
  std::vector<std::vector<char>> data = gatherBytes(mine[0].data);
  std::vector<Array> all;
  for (size_t r = 0; r < data.size(); ++r) {
    Array &array = all.emplace_back();
    array.dtype = mine[0].dtype;
    array.shape.resize(shapes[r].size() / sizeof(int64_t));
    std::memcpy(array.shape.data(), shapes[r].data(), shapes[r].size());
    array.data = std::move(data[r]);
  }
  return all;
}

} // namespace moe::run
