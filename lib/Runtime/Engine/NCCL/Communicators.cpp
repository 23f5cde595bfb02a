//===- Communicators.cpp - One for each group of ranks --------------------===//
//
// Part of moe-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Communicators.h"

#include "../Support/Waiting.h"

#include <algorithm>
#include <atomic>
#include <thread>
#include <utility>

namespace moe::engine::nccl {

void Communicators::makeId(Entry &entry) {
  UniqueId id;
  check(nccl, nccl.GetUniqueId(&id), "ncclGetUniqueId");
  entry.id = id;
}

Comm Communicators::advance(Entry &entry, const std::vector<int32_t> &ranks) {
  if (!entry.id)
    return nullptr;
  if (!entry.comm) {
    auto self = std::find(ranks.begin(), ranks.end(), rank) - ranks.begin();
    Config config;
    check(nccl,
          nccl.CommInitRankConfig(&entry.comm, static_cast<int>(ranks.size()),
                                  *entry.id, static_cast<int>(self), &config),
          "ncclCommInitRankConfig");
  }
  if (!entry.ready)
    entry.ready = isIdle(entry.comm);
  return entry.ready ? entry.comm : nullptr;
}

bool Communicators::isIdle(Comm comm) const {
  int state = Success;
  check(nccl, nccl.CommGetAsyncError(comm, &state), "ncclCommGetAsyncError");
  check(nccl, state, "NCCL", comm);
  return state == Success;
}

void Communicators::checkAll() const {
  for (const auto &each : entries)
    if (each.second.comm)
      isIdle(each.second.comm);
}

bool Communicators::close(int64_t deadline) {
  for (const auto &each : entries)
    if (each.second.comm)
      check(nccl, nccl.CommFinalize(each.second.comm), "ncclCommFinalize");
  bool quiet = waitUntil(deadline, [&] {
    return std::all_of(entries.begin(), entries.end(), [&](const auto &each) {
      return !each.second.comm || isIdle(each.second.comm);
    });
  });
  if (!quiet)
    return abort(deadline + 1000 * milliseconds);
  for (auto &each : entries)
    if (Comm comm = std::exchange(each.second.comm, nullptr))
      nccl.CommDestroy(comm);
  return true;
}

/// Each on a thread that may hang without harm: an abort may wait for what runs
/// on another communicator, until that is aborted as well.
bool Communicators::abort(int64_t deadline) {
  auto left = std::make_shared<std::atomic<int>>(0);
  for (auto &each : entries)
    if (Comm comm = std::exchange(each.second.comm, nullptr)) {
      ++*left;
      std::thread([abort = nccl.CommAbort, comm, left] {
        abort(comm);
        --*left;
      }).detach();
    }
  return waitUntil(deadline, [&] { return *left == 0; });
}

} // namespace moe::engine::nccl
