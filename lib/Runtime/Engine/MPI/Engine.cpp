//===- Engine.cpp - Ranks that are processes of mpirun --------------------===//
//
// Part of moe-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Every call of MPI is under one mutex, as MPI_THREAD_SERIALIZED asks, and none
// waits: `wait` looks again and again until its deadline.
//
//===----------------------------------------------------------------------===//

#include "../Support/Launcher.h"
#include "../Support/Waiting.h"
#include "Environment.h"
#include "Exchange.h"
#include "Messenger.h"

#include <memory>
#include <mutex>
#include <set>

using namespace moe::engine;

struct moe_engine_request final {
  Exchange exchange;
};

namespace {
class MpiEngine {
public:
  MpiEngine(MPI_Comm comm, int32_t rank, int32_t size);
  ~MpiEngine();
  MpiEngine(const MpiEngine &) = delete;
  MpiEngine &operator=(const MpiEngine &) = delete;

  moe_engine_request *start(const moe_transfer &transfer);
  moe_status poll(moe_engine_request *request);
  moe_status wait(moe_engine_request *request, int64_t deadline);
  void abort(moe_status status, const std::string &text);
  void failed(uint8_t *flags);
  bool hasFailed() const { return failure.has_value(); }

  const int32_t rank, size;

private:
  void listen();
  void note(const Failure &failure);
  void release(moe_engine_request *request, bool done);
  [[noreturn]] void timeOut(moe_engine_request *request);

  std::mutex mutex;
  MPI_Comm comm;
  Messenger messenger;
  std::optional<Failure> failure; /* the first */
  bool wasTold = false;           /* by another rank, which has told all */
  std::set<int32_t> failedRanks;
  int64_t patience = 0; /* until when exchanges are taken back */
};
} // namespace

/// What MPI may take to forget all exchanges that are given up.
static constexpr int64_t grace = 50 * milliseconds;

/// Of this process; engines are made and closed under its mutex.
static struct {
  std::mutex mutex;
  std::set<MpiEngine *> open;
  std::vector<MpiEngine *> kept; /* others may still send to them */
} engines;

MpiEngine::MpiEngine(MPI_Comm comm, int32_t rank, int32_t size)
    : rank(rank), size(size), comm(comm), messenger(comm, rank, size) {}

MpiEngine::~MpiEngine() { MPI_Comm_free(&comm); }

void MpiEngine::note(const Failure &found) {
  if (found.rank >= 0 && found.rank != rank && found.status != MOE_TIMEOUT)
    failedRanks.insert(found.rank);
  if (failure)
    return;
  failure = found;
  noteFailure();
}

/// Throws the first failure, of this rank or another.
void MpiEngine::listen() {
  if (!failure)
    if (auto heard = messenger.hear()) {
      note(*heard);
      wasTold = true;
    }
  if (failure)
    failAgain(*failure);
}

void MpiEngine::release(moe_engine_request *request, bool done) {
  if (!done && !patience)
    patience = now() + grace;
  if (!done && !request->exchange.cancel(patience)) {
    noteLeftovers();
    return; // MPI may still look at its headers
  }
  delete request;
}

moe_engine_request *MpiEngine::start(const moe_transfer &transfer) {
  checkTransfer(transfer, rank, size, "mpi");
  std::lock_guard<std::mutex> lock(mutex);
  try {
    listen();
  } catch (const Failure &found) {
    failAfter(found);
  }
  return new moe_engine_request{Exchange(transfer, comm)};
}

moe_status MpiEngine::poll(moe_engine_request *request) {
  std::lock_guard<std::mutex> lock(mutex);
  try {
    listen();
    if (!request->exchange.advance())
      return MOE_IN_PROGRESS;
  } catch (const Failure &found) {
    note(found);
    release(request, false);
    throw;
  }
  release(request, true);
  return MOE_OK;
}

void MpiEngine::timeOut(moe_engine_request *request) {
  std::lock_guard<std::mutex> lock(mutex);
  std::vector<int32_t> missing = request->exchange.missing();
  Failure late(MOE_TIMEOUT, missing.empty() ? -1 : missing.front(),
               text(nameRanks(missing), request->exchange.allCame()
                                            ? " did not move all pieces"
                                            : " did not come"));
  note(late);
  release(request, false);
  throw late;
}

moe_status MpiEngine::wait(moe_engine_request *request, int64_t deadline) {
  Backoff backoff;
  for (;;) {
    moe_status status = poll(request);
    if (status != MOE_IN_PROGRESS)
      return status;
    if (now() >= deadline)
      timeOut(request);
    backoff.pause();
  }
}

void MpiEngine::abort(moe_status status, const std::string &reason) {
  std::lock_guard<std::mutex> lock(mutex);
  note(Failure(status, rank, reason));
  if (!wasTold)
    messenger.tell(Failure(status, failure->rank, reason));
}

void MpiEngine::failed(uint8_t *flags) {
  std::lock_guard<std::mutex> lock(mutex);
  for (int32_t other : failedRanks)
    flags[other] = 1;
}

//===----------------------------------------------------------------------===//
// The table
//===----------------------------------------------------------------------===//

static MpiEngine &from(void *self) { return *static_cast<MpiEngine *>(self); }

static moe_status start(void *self, const moe_transfer *transfer,
                        moe_engine_request **request,
                        moe_engine_failure *told) {
  return guard(told, [&] {
    *request = from(self).start(*transfer);
    return MOE_OK;
  });
}

static moe_status poll(void *self, moe_engine_request *request,
                       moe_engine_failure *told) {
  return guard(told, [&] { return from(self).poll(request); });
}

static moe_status wait(void *self, moe_engine_request *request,
                       int64_t deadline, moe_engine_failure *told) {
  return guard(told, [&] { return from(self).wait(request, deadline); });
}

static void abortAll(void *self, moe_status status, const char *reason) {
  guard(nullptr, [&] {
    from(self).abort(status, reason ? reason : "aborted");
    return MOE_OK;
  });
}

static void failed(void *self, uint8_t *flags) { from(self).failed(flags); }

static void closeEngine(void *self) {
  std::lock_guard<std::mutex> lock(engines.mutex);
  MpiEngine *engine = &from(self);
  engines.open.erase(engine);
  if (engine->hasFailed())
    engines.kept.push_back(engine);
  else
    delete engine;
}

/// A rank that ends without `close` leaves the others waiting.
static void tellOfEnd() {
  std::lock_guard<std::mutex> lock(engines.mutex);
  for (MpiEngine *engine : engines.open)
    abortAll(engine, MOE_RANK_FAILED,
             text("rank ", engine->rank, ": the process has ended").c_str());
}

static MPI_Comm duplicateWorld(int64_t deadline) {
  MPI_Comm comm;
  MPI_Request request;
  checkMpi(MPI_Comm_idup(MPI_COMM_WORLD, &comm, &request), "MPI_Comm_idup");
  bool done = waitUntil(deadline, [&] {
    int flag = 0;
    checkMpi(MPI_Test(&request, &flag, MPI_STATUS_IGNORE), "MPI_Test");
    return flag != 0;
  });
  if (!done) {
    noteFailure();
    fail(MOE_TIMEOUT, "MPI_Comm_idup has not ended: not all ranks came");
  }
  MPI_Comm_set_errhandler(comm, MPI_ERRORS_RETURN);
  return comm;
}

static void checkWorld(const moe_engine_options &options, int rank, int size) {
  if (options.size >= 0 && options.size != size)
    fail(MOE_INVALID_ARGUMENT, "MPI has ", size, size == 1 ? " rank" : " ranks",
         ", expected ", options.size, "; is this run by 'mpirun -n ",
         options.size, "'?");
  if (options.rank >= 0 && options.rank != rank)
    fail(MOE_INVALID_ARGUMENT, "this is rank ", rank, " of MPI, expected ",
         options.rank);
}

extern "C" MOE_API moe_status moe_engine_open(const moe_engine_options *options,
                                              moe_engine *engine,
                                              moe_engine_failure *told) {
  return guard(told, [&] {
    std::lock_guard<std::mutex> lock(engines.mutex);
    enterMpi(options->open_deadline);
    int rank = 0, size = 0;
    checkMpi(MPI_Comm_rank(MPI_COMM_WORLD, &rank), "MPI_Comm_rank");
    checkMpi(MPI_Comm_size(MPI_COMM_WORLD, &size), "MPI_Comm_size");
    checkWorld(*options, rank, size);
    auto self = std::make_unique<MpiEngine>(
        duplicateWorld(options->open_deadline), rank, size);
    engines.open.insert(self.get());
    atProcessEnd(tellOfEnd);
    *engine = {MOE_ENGINE_ABI_VERSION,
               sizeof(moe_engine),
               0,
               "mpi",
               rank,
               size,
               findLaunched({rank, size, 0, nullptr}).local,
               self.release(),
               start,
               poll,
               wait,
               abortAll,
               failed,
               nullptr,
               closeEngine};
    return MOE_OK;
  });
}
