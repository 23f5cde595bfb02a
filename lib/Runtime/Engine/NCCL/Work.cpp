//===- Work.cpp - An exchange on its way through NCCL ---------------------===//
//
// Part of moe-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Work.h"

#include "../Support/Waiting.h"

#include <algorithm>

namespace moe::engine::nccl {

Work::Work(const moe_transfer &given, const Cuda &cuda)
    : ranks(given.ranks, given.ranks + given.members),
      group(groupNumber(given.ranks, given.members)),
      sent(given.send, given.send + given.members),
      received(given.receive, given.receive + given.members),
      what(given.what ? given.what : "an exchange"),
      transfer({ranks.data(), given.members, given.self, sent.data(),
                received.data(), given.sequence, given.tag, given.reduce,
                given.dtype, what.c_str(), given.flags, given.stream}),
      cuda(cuda), came(ranks.size()) {
  came[static_cast<size_t>(transfer.self)] = true;
  if (!isInStream())
    return;
  check(cuda, cuda.EventCreate(&ready, EventDisableTiming), "cuEventCreate");
  check(cuda, cuda.EventRecord(ready, static_cast<Stream>(transfer.stream)),
        "cuEventRecord");
}

Work::~Work() {
  if (ready)
    cuda.EventDestroy(ready);
  if (ready && event)
    cuda.EventDestroy(event);
}

//===----------------------------------------------------------------------===//
// The caller
//===----------------------------------------------------------------------===//

moe_status Work::poll() {
  std::lock_guard<std::mutex> lock(mutex);
  if (!done)
    return MOE_IN_PROGRESS;
  if (failure)
    failAgain(*failure);
  return MOE_OK;
}

void Work::join() {
  if (isInStream())
    check(cuda,
          cuda.StreamWaitEvent(static_cast<Stream>(transfer.stream), event, 0),
          "cuStreamWaitEvent");
}

bool Work::wait(int64_t deadline) {
  std::unique_lock<std::mutex> lock(mutex);
  return changed.wait_until(lock, timePoint(deadline), [&] { return done; });
}

bool Work::giveUp() {
  constexpr auto longest = std::chrono::milliseconds(50);
  std::unique_lock<std::mutex> lock(mutex);
  if (done)
    return false;
  givenUp = true;
  changed.wait_for(lock, longest, [&] { return !touching; });
  return true;
}

std::vector<int32_t> Work::missing() {
  std::lock_guard<std::mutex> lock(mutex);
  std::vector<int32_t> result;
  for (size_t i = 0; i < ranks.size(); ++i)
    if (!came[i])
      result.push_back(ranks[i]);
  return result;
}

//===----------------------------------------------------------------------===//
// The worker
//===----------------------------------------------------------------------===//

Header Work::header(int32_t member) const {
  return headerFor(transfer, member);
}

int32_t Work::memberOf(int32_t rank) const {
  auto found = std::lower_bound(ranks.begin(), ranks.end(), rank);
  return found != ranks.end() && *found == rank
             ? static_cast<int32_t>(found - ranks.begin())
             : -1;
}

bool Work::isWaitingFor(int32_t rank) {
  int32_t member = memberOf(rank);
  std::lock_guard<std::mutex> lock(mutex);
  return member >= 0 && !came[static_cast<size_t>(member)];
}

void Work::hear(int32_t rank, const Header &said) {
  int32_t member = memberOf(rank);
  if (auto failure = disagreement(transfer, member, said))
    failAgain(*failure);
  std::lock_guard<std::mutex> lock(mutex);
  came[static_cast<size_t>(member)] = true;
}

bool Work::beginTouch() {
  std::lock_guard<std::mutex> lock(mutex);
  touching = !givenUp;
  return touching;
}

void Work::endTouch() {
  std::lock_guard<std::mutex> lock(mutex);
  touching = false;
  changed.notify_all();
}

void Work::end(std::optional<Failure> why) {
  std::lock_guard<std::mutex> lock(mutex);
  if (done)
    return;
  done = true;
  failure = std::move(why);
  changed.notify_all();
}

} // namespace moe::engine::nccl
