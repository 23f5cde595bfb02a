//===- Engine.cpp - Ranks with a device each ------------------------------===//
//
// Part of moe-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "../Support/Launcher.h"
#include "../Support/Waiting.h"
#include "Rendezvous.h"
#include "Worker.h"

using namespace moe::engine;
using namespace moe::engine::nccl;

struct moe_engine_request final {
  std::shared_ptr<Work> work;
};

namespace {
struct NcclEngine {
  std::unique_ptr<Worker> worker;
  int32_t rank, size, local;
};
} // namespace

static NcclEngine &from(void *self) { return *static_cast<NcclEngine *>(self); }

static moe_status start(void *self, const moe_transfer *transfer,
                        moe_engine_request **request,
                        moe_engine_failure *told) {
  return guard(told, [&] {
    NcclEngine &engine = from(self);
    checkTransfer(*transfer, engine.rank, engine.size, "nccl");
    auto made = std::make_unique<moe_engine_request>();
    made->work = engine.worker->makeWork(*transfer);
    engine.worker->start(made->work);
    *request = made.release();
    return MOE_OK;
  });
}

static moe_status poll(void *self, moe_engine_request *request,
                       moe_engine_failure *told) {
  moe_status status = guard(told, [&] {
    moe_status state = request->work->poll();
    if (state == MOE_OK)
      request->work->join();
    return state;
  });
  if (status != MOE_IN_PROGRESS)
    delete request;
  return status;
}

/// Late, unless it was done just now.
static void giveUp(NcclEngine &engine, Work &work) {
  if (!work.giveUp())
    return;
  std::vector<int32_t> missing = work.missing();
  Failure late(MOE_TIMEOUT, missing.empty() ? -1 : missing.front(),
               missing.empty() ? "all ranks came, but NCCL did not end"
                               : nameRanks(missing) + " did not come");
  engine.worker->fail(late);
  throw late;
}

static moe_status wait(void *self, moe_engine_request *request,
                       int64_t deadline, moe_engine_failure *told) {
  if (!request->work->wait(deadline)) {
    moe_status status = guard(told, [&] {
      giveUp(from(self), *request->work);
      return MOE_OK;
    });
    if (status != MOE_OK) {
      delete request;
      return status;
    }
  }
  return poll(self, request, told);
}

static void abortAll(void *self, moe_status status, const char *reason) {
  guard(nullptr, [&] {
    from(self).worker->abort(
        Failure(status, from(self).rank, reason ? reason : "aborted"));
    return MOE_OK;
  });
}

static void failed(void *self, uint8_t *flags) {
  from(self).worker->failed(flags);
}

static moe_status check(void *self, moe_engine_failure *told) {
  return guard(told, [&] {
    from(self).worker->check();
    return MOE_OK;
  });
}

static void closeEngine(void *self) {
  std::unique_ptr<NcclEngine> engine(&from(self));
  Worker::close(std::move(engine->worker));
}

/// The first exchange, of nothing among all, makes the communicator of all.
static void connectAll(NcclEngine &engine, int64_t deadline) {
  std::vector<int32_t> ranks(static_cast<size_t>(engine.size));
  for (size_t i = 0; i < ranks.size(); ++i)
    ranks[i] = static_cast<int32_t>(i);
  std::vector<moe_piece> nothing(ranks.size());
  moe_transfer transfer = {};
  transfer.ranks = ranks.data();
  transfer.members = engine.size;
  transfer.self = engine.rank;
  transfer.send = transfer.receive = nothing.data();
  transfer.sequence = transfer.tag = ~uint64_t(0);
  std::shared_ptr<Work> work = engine.worker->makeWork(transfer);
  engine.worker->start(work);
  if (!work->wait(deadline) && work->giveUp()) {
    std::vector<int32_t> missing = work->missing();
    failOf(MOE_TIMEOUT, missing.empty() ? -1 : missing.front(),
           "ncclCommInitRankConfig has not connected the ranks in time",
           missing.empty() ? "" : ": ",
           missing.empty() ? "" : nameRanks(missing) + " did not come");
  }
  work->poll();
}

static std::unique_ptr<NcclEngine> open(const moe_engine_options &options) {
  auto engine = std::make_unique<NcclEngine>();
  Launched launched = findLaunched(options);
  engine->rank = launched.rank;
  engine->size = launched.size;
  engine->local = launched.local;
  Libraries libraries = loadLibraries();
  std::vector<Socket> links(1);
  if (engine->size > 1)
    links = meet(findPlace(options.rendezvous), engine->rank,
                 {engine->size, 0, libraries.version}, options.open_deadline);
  engine->worker = std::make_unique<Worker>(libraries, engine->rank,
                                            launched.local, std::move(links));
  if (engine->size == 1)
    return engine;
  try {
    connectAll(*engine, options.open_deadline);
  } catch (const Failure &failure) {
    engine->worker->abort(failure);
    Worker::close(std::move(engine->worker));
    throw;
  }
  return engine;
}

extern "C" MOE_API moe_status moe_engine_open(const moe_engine_options *options,
                                              moe_engine *engine,
                                              moe_engine_failure *told) {
  return guard(told, [&] {
    std::unique_ptr<NcclEngine> self = open(*options);
    *engine = {MOE_ENGINE_ABI_VERSION,
               sizeof(moe_engine),
               MOE_ENGINE_STREAMS,
               "nccl",
               self->rank,
               self->size,
               self->local,
               self.get(),
               start,
               poll,
               wait,
               abortAll,
               failed,
               check,
               closeEngine};
    (void)self.release();
    return MOE_OK;
  });
}
