//===- Ranks.cpp - Ranks of a test ----------------------------------------===//
//
// Part of moe-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
// Engines are those of the library, seen through a table that can change what
// passes.
//
//===----------------------------------------------------------------------===//

#include "Ranks.h"

#include <cstdlib>
#include <dlfcn.h>
#include <mutex>
#include <set>

#include "Runtime/Engine/Threads.h"

using namespace moe::runtime;

namespace moe::test {

namespace {
/// What has been started and not released. A rank that dies leaves its own
/// there, where the sanitizer does not take them for lost.
class Outstanding {
public:
  void add(moe_engine_request *request) {
    std::lock_guard<std::mutex> lock(mutex);
    requests.insert(request);
  }
  void remove(moe_engine_request *request) {
    std::lock_guard<std::mutex> lock(mutex);
    requests.erase(request);
  }

private:
  std::mutex mutex;
  std::set<moe_engine_request *> requests;
};
} // namespace

static Outstanding &outstanding() {
  static auto *all = new Outstanding;
  return *all;
}

TamperedEngine::TamperedEngine(const moe_engine &inner) : inner(inner) {}

void TamperedEngine::closeInner() {
  if (!closed)
    inner.close(inner.self);
  closed = true;
}

moe_engine TamperedEngine::table() {
  moe_engine out = inner;
  out.self = this;
  out.start = start;
  out.wait = wait;
  out.poll = [](void *self, moe_engine_request *request,
                moe_engine_failure *failure) {
    outstanding().remove(request);
    moe_status status =
        of(self).inner.poll(of(self).inner.self, request, failure);
    if (status == MOE_IN_PROGRESS)
      outstanding().add(request);
    return status;
  };
  out.abort = [](void *self, moe_status status, const char *text) {
    if (!of(self).closed)
      of(self).inner.abort(of(self).inner.self, status, text);
  };
  out.failed = [](void *self, uint8_t *failed) {
    of(self).inner.failed(of(self).inner.self, failed);
  };
  out.close = [](void *self) { of(self).closeInner(); };
  return out;
}

moe_status TamperedEngine::start(void *self, const moe_transfer *transfer,
                                 moe_engine_request **request,
                                 moe_engine_failure *failure) {
  TamperedEngine &engine = of(self);
  if (engine.closed)
    return MOE_ABORTED;
  bool now = engine.started++ == engine.at;
  moe_transfer changed = *transfer;
  if (now && engine.before) {
    size_t members = transfer->reduce ? 1 : transfer->members;
    engine.pieces[0].assign(transfer->send, transfer->send + members);
    engine.pieces[1].assign(transfer->receive, transfer->receive + members);
    changed.send = engine.pieces[0].data();
    changed.receive = engine.pieces[1].data();
    engine.before(changed);
  }
  moe_status status =
      engine.inner.start(engine.inner.self, &changed, request, failure);
  if (status == MOE_OK)
    outstanding().add(*request);
  if (now && engine.after)
    engine.after();
  return status;
}

moe_status TamperedEngine::wait(void *self, moe_engine_request *request,
                                int64_t deadline, moe_engine_failure *failure) {
  TamperedEngine &engine = of(self);
  if (engine.closed)
    return MOE_ABORTED;
  outstanding().remove(request);
  return engine.inner.wait(engine.inner.self, request, deadline, failure);
}

/// Runs `body` for each rank on a thread of its own.
template <typename Body> static void onThreads(int32_t size, const Body &body) {
  std::vector<std::thread> threads;
  for (int32_t rank = 0; rank < size; ++rank)
    threads.emplace_back([&body, rank] { body(rank); });
  for (std::thread &thread : threads)
    thread.join();
}

/// Those of the plug-in that MOE_TEST_ENGINE names, or else threads.
static std::vector<moe_engine> openEngines(int32_t size) {
  const char *library = std::getenv("MOE_TEST_ENGINE");
  if (!library)
    return openThreads(size);
  static auto open = reinterpret_cast<moe_engine_opener>(
      dlsym(dlopen(library, RTLD_NOW | RTLD_LOCAL), MOE_ENGINE_OPEN_SYMBOL));
  TemporaryFolder folder;
  std::string place = folder / "place";
  std::vector<moe_engine> engines(static_cast<size_t>(size));
  onThreads(size, [&](int32_t rank) {
    moe_engine &engine = engines[static_cast<size_t>(rank)];
    engine.abi_version = MOE_ENGINE_ABI_VERSION;
    engine.struct_size = sizeof engine;
    moe_engine_options options = {rank, size, moe_clock() + 20000000000,
                                  place.c_str()};
    moe_engine_failure failure = {};
    EXPECT_EQ(MOE_OK, open(&options, &engine, &failure)) << failure.text;
  });
  return engines;
}

Ranks::Ranks(int32_t size, const RanksOptions &options) {
  moe_world_options worldOptions = {};
  worldOptions.timeout_ms = options.timeoutMs;
  worldOptions.node_ranks = options.nodeRanks;
  worldOptions.flight =
      options.flight.empty() ? nullptr : options.flight.c_str();
  for (const moe_engine &engine : openEngines(size)) {
    engines.push_back(std::make_unique<TamperedEngine>(engine));
    moe_engine table = engines.back()->table();
    if (!options.reduces)
      table.capabilities = 0;
    worlds.push_back(std::make_unique<moe_world>(table, worldOptions));
  }
}

Ranks::~Ranks() {
  // Some engines wait for each other there.
  onThreads(size(), [&](int32_t rank) {
    worlds[static_cast<size_t>(rank)].reset();
    engines[static_cast<size_t>(rank)]->closeInner();
  });
}

void Ranks::run(const std::function<void(moe_world &)> &body) {
  onThreads(size(), [&](int32_t rank) { body((*this)[rank]); });
}

Collective makeCollective(CollectiveKind kind, moe_element dtype, int64_t row) {
  Collective out;
  out.kind = kind;
  out.axes = epAxis;
  out.dtype = dtype;
  out.row = row;
  out.name = "test";
  if (kind == CollectiveKind::allReduce ||
      kind == CollectiveKind::reduceScatter)
    out.reduce = MOE_REDUCE_SUM;
  return out;
}

Exchange makeExchange(moe_world &world, const Collective &collective) {
  return Exchange(world, {1, world.size(), 1}, {collective});
}

} // namespace moe::test
