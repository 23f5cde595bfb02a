//===- Open.cpp - Worlds through the C interface --------------------------===//
//
// Part of moe-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
// Options, the launcher's variables, and the engine they lead to.
//
//===----------------------------------------------------------------------===//

#include "../Engine/Plugin.h"
#include "../Engine/Threads.h"
#include "../Status.h"
#include "Environment.h"
#include "World.h"

#include "moe/Runtime/Package.h"

using namespace moe::runtime;

/// More would be a mistake rather than a machine.
static constexpr int32_t mostThreads = 4096;
static constexpr int64_t mostMilliseconds = INT64_MAX / 4000000;

static void checkOptions(const moe_world_options &options) {
  auto requireTime = [](const char *name, int64_t value) {
    if (value < 0 || value > mostMilliseconds)
      fail(MOE_INVALID_ARGUMENT, "'", name, "': found ", value,
           ", expected 0 to ", mostMilliseconds);
  };
  requireTime("open_ms", options.open_ms);
  requireTime("timeout_ms", options.timeout_ms);
  if (options.node_ranks < 0)
    fail(MOE_INVALID_ARGUMENT, "'node_ranks': found ", options.node_ranks,
         ", expected none below 0");
}

/// Takes the engine, whatever happens.
static std::unique_ptr<moe_world> makeWorld(const moe_engine &engine,
                                            const moe_world_options &options) {
  try {
    return std::make_unique<moe_world>(engine, options);
  } catch (...) {
    engine.close(engine.self);
    throw;
  }
}

static std::unique_ptr<moe_world> open(const moe_world_options *given) {
  moe_world_options options = {};
  options.rank = options.size = -1;
  if (given)
    options = *given;
  checkOptions(options);
  if (options.rank < 0 || options.size < 0 || !options.engine) {
    std::optional<Launched> launched = readLauncher();
    if (options.rank < 0)
      options.rank = launched ? launched->rank : -1;
    if (options.size < 0)
      options.size = launched ? launched->size : -1;
    if (!options.engine)
      options.engine = launched ? launched->engine : "threads";
  }
  std::string engine = options.engine;
  bool threads = engine == "threads";
  if (threads && options.size < 0)
    options.size = 1;
  if (options.size >= 0 && options.rank >= options.size)
    fail(MOE_INVALID_ARGUMENT, "found rank ", options.rank, " of ",
         options.size);
  if (threads && options.size != 1)
    fail(MOE_INVALID_ARGUMENT,
         "engine 'threads' has all ranks in one process: found size ",
         options.size, ", expected 1, or moe_world_open_threads");
  if (threads)
    return makeWorld(openThreads(1)[0], options);
  int64_t milliseconds = options.open_ms ? options.open_ms : 60000;
  moe_engine_options joining = {options.rank, options.size,
                                moe_clock() + milliseconds * 1000000,
                                options.rendezvous};
  return makeWorld(openPlugin(engine, joining), options);
}

moe_status moe_world_open(const moe_world_options *options, moe_world **world) {
  return guard([&] {
    requireSet(world, "world");
    *world = open(options).release();
  });
}

moe_status moe_world_open_threads(const moe_world_options *options,
                                  moe_world **worlds) {
  return guard([&] {
    requireSet(options, "options");
    requireSet(worlds, "worlds");
    checkOptions(*options);
    if (options->engine && std::string(options->engine) != "threads")
      fail(MOE_INVALID_ARGUMENT, "found engine '", options->engine,
           "', expected 'threads'");
    if (options->size < 1 || options->size > mostThreads)
      fail(MOE_INVALID_ARGUMENT, "'size': found ", options->size,
           ", expected 1 to ", mostThreads);
    std::vector<moe_engine> engines = openThreads(options->size);
    std::vector<std::unique_ptr<moe_world>> opened(engines.size());
    size_t next = 0;
    try {
      for (; next < engines.size(); ++next)
        opened[next] = makeWorld(engines[next], *options);
    } catch (...) {
      while (++next < engines.size())
        engines[next].close(engines[next].self);
      throw;
    }
    for (size_t i = 0; i < opened.size(); ++i)
      worlds[i] = opened[i].release();
  });
}

int32_t moe_world_rank(const moe_world *world) {
  return world ? world->rank() : -1;
}

int32_t moe_world_size(const moe_world *world) {
  return world ? world->size() : -1;
}

void moe_world_abort(moe_world *world, const char *reason) {
  if (world)
    world->abort(reason ? reason : "no reason given");
}

void moe_world_close(moe_world *world) { delete world; }

moe_status moe_world_get_statistics(const moe_world *world,
                                    moe_world_statistics *statistics) {
  return guard([&] {
    requireSet(world, "world");
    requireSet(statistics, "statistics");
    *statistics = world->statistics();
  });
}
