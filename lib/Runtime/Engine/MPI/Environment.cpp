//===- Environment.cpp - The one MPI of this process ----------------------===//
//
// Part of moe-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Environment.h"

#include "../Support/Waiting.h"

#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <mutex>
#include <thread>

namespace moe::engine {

static std::atomic<bool> hasFailed{false}, hasLeftovers{false};
static std::atomic<void (*)()> lastWords{nullptr};

std::string mpiError(int code) {
  char words[MPI_MAX_ERROR_STRING] = "";
  int length = 0;
  if (MPI_Error_string(code, words, &length) != MPI_SUCCESS)
    return text("error ", code);
  return {words, static_cast<size_t>(length)};
}

void checkMpi(int code, const char *call) {
  if (code != MPI_SUCCESS)
    fail(MOE_RANK_FAILED, call, ": ", mpiError(code));
}

/// The end of a process that has not left MPI is the end of the job: mpirun
/// says so and ends the others. MPI_Abort would do, but may leave mpirun of
/// Open MPI 4 hanging where other ranks are in MPI_Finalize.
[[noreturn]] static void endJob(const char *why) {
  std::fprintf(stderr, "moe: %s; this ends the job\n", why);
  std::fflush(nullptr);
  std::_Exit(EXIT_FAILURE);
}

/// MPI_Finalize waits for all ranks, of which some may never come.
static void leaveWithin(int64_t patience) {
  std::thread([patience] {
    std::this_thread::sleep_for(std::chrono::nanoseconds(patience));
    endJob("after a failure not all ranks have come to their ends");
  }).detach();
  MPI_Finalize();
}

static void leaveMpi() {
  if (void (*body)() = lastWords.load())
    body();
  int finalized = 0;
  MPI_Finalized(&finalized);
  if (finalized)
    return;
  if (hasLeftovers)
    endJob("a failure has left messages under way");
  if (hasFailed)
    leaveWithin(3000 * milliseconds);
  else
    MPI_Finalize();
}

namespace {
/// Outlives the thread that waits for it.
struct Initialization {
  std::atomic<bool> done{false};
  int code = MPI_SUCCESS;
  int provided = MPI_THREAD_SINGLE;
};
} // namespace

/// On a thread of its own: MPI_Init has no deadline.
static void initialize(int64_t deadline) {
  auto state = std::make_shared<Initialization>();
  std::thread([state] {
    state->code = MPI_Init_thread(nullptr, nullptr, MPI_THREAD_SERIALIZED,
                                  &state->provided);
    state->done = true;
  }).detach();
  if (!waitUntil(deadline, [&] { return state->done.load(); }))
    fail(MOE_TIMEOUT, "MPI_Init_thread has not ended: not all ranks came");
  if (state->code != MPI_SUCCESS)
    fail(MOE_UNAVAILABLE, "MPI_Init_thread failed with code ", state->code);
  std::atexit(leaveMpi);
}

void enterMpi(int64_t deadline) {
  static std::mutex mutex;
  std::lock_guard<std::mutex> lock(mutex);
  int initialized = 0, finalized = 0, level = MPI_THREAD_SINGLE;
  MPI_Finalized(&finalized);
  if (finalized)
    fail(MOE_UNAVAILABLE, "MPI was finalized before");
  MPI_Initialized(&initialized);
  if (!initialized)
    initialize(deadline);
  MPI_Query_thread(&level);
  if (level < MPI_THREAD_SERIALIZED)
    fail(MOE_UNAVAILABLE, "MPI was initialised with thread level ", level,
         ", expected MPI_THREAD_SERIALIZED (", MPI_THREAD_SERIALIZED,
         ") or more");
}

void noteFailure() { hasFailed = true; }
void noteLeftovers() { hasFailed = hasLeftovers = true; }
void atProcessEnd(void (*body)()) { lastWords = body; }

} // namespace moe::engine
