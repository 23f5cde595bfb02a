//===- Worker.cpp - The one thread that speaks with NCCL and the device ---===//
//
// Part of moe-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Worker.h"

#include "../Support/Waiting.h"

#include <algorithm>
#include <cstdio>

namespace moe::engine::nccl {

/// What communicators may take to end, and how much of that `close` waits.
static constexpr int64_t patience = 2000 * milliseconds;
static constexpr int64_t patienceOfClose = 500 * milliseconds;

Worker::Worker(const Libraries &loaded, int32_t rank, int32_t number,
               std::vector<Socket> links)
    : rank(rank), libraries(loaded), mesh(rank, std::move(links)),
      device(libraries.cuda, number), communicators(libraries.nccl, rank) {
  headers.resize(mesh.size());
  thread = std::thread([this] {
    if (run())
      delete this;
  });
}

void Worker::close(std::unique_ptr<Worker> worker) {
  std::unique_lock<std::mutex> lock(worker->mutex);
  worker->stopping = true;
  worker->mesh.wake();
  bool ends =
      worker->changed.wait_for(lock, std::chrono::nanoseconds(patienceOfClose),
                               [&] { return worker->stopped; });
  if (ends) {
    lock.unlock();
    return worker->thread.join();
  }
  // Others still use the communicators, or a call of NCCL or CUDA hangs.
  worker->orphaned = true;
  worker->thread.detach();
  (void)worker.release();
}

void Worker::start(std::shared_ptr<Work> work) {
  std::lock_guard<std::mutex> lock(mutex);
  if (failure)
    failAfter(*failure);
  started.push_back(std::move(work));
  mesh.wake();
}

void Worker::check() {
  std::lock_guard<std::mutex> lock(mutex);
  if (failure)
    failAgain(*failure);
}

void Worker::fail(const Failure &found, bool isTold) {
  std::lock_guard<std::mutex> lock(mutex);
  if (found.rank >= 0 && found.rank != rank && found.status != MOE_TIMEOUT)
    failedRanks.insert(found.rank);
  if (!failure) {
    failure = found;
    wasTold = isTold;
  }
  mesh.wake();
}

void Worker::abort(const Failure &found) {
  fail(found);
  Reason reason = {found.status, found.rank, {}};
  {
    std::lock_guard<std::mutex> lock(mutex);
    if (wasTold)
      return;
    reason.rank = failure->rank;
  }
  std::snprintf(reason.text, sizeof reason.text, "%s", found.message.c_str());
  mesh.sendAll({MessageKind::Failed, rank, reason});
}

void Worker::failed(uint8_t *flags) {
  std::lock_guard<std::mutex> lock(mutex);
  for (int32_t other : failedRanks)
    flags[other] = 1;
}

bool Worker::isStopping() {
  std::lock_guard<std::mutex> lock(mutex);
  return stopping;
}

std::optional<Failure> Worker::getFailure() {
  std::lock_guard<std::mutex> lock(mutex);
  return failure;
}

//===----------------------------------------------------------------------===//
// On the thread
//===----------------------------------------------------------------------===//

/// Whether nobody waits for it any more.
bool Worker::run() {
  auto attempt = [&](auto &&body) {
    try {
      body();
    } catch (const Failure &found) {
      fail(found);
    } catch (const std::exception &error) {
      fail(Failure(MOE_OUT_OF_MEMORY, rank, error.what()));
    }
  };
  attempt([&] { device.enter(); });
  while (!isStopping())
    attempt([&] { serve(); });
  // Others would wait for what this rank leaves unfinished.
  if (!active.empty() && !getFailure()) {
    abort(Failure(MOE_RANK_FAILED, rank, text("rank ", rank, " has ended")));
    endAll(*getFailure());
  }
  // Before others are waited for, who may wait for this rank.
  mesh.sendAll({MessageKind::Bye, rank, 0});
  attempt([&] {
    if (!getFailure() && !communicators.close(now() + patience))
      device.abandon();
  });
  if (auto why = getFailure())
    endAll(*why);
  device.leave();
  std::lock_guard<std::mutex> lock(mutex);
  stopped = true;
  changed.notify_all();
  return orphaned;
}

/// Until there is a failure, or nothing more to do.
void Worker::serve() {
  Mesh::Listener listener = {[&](const Message &message) { hear(message); },
                             [&](int32_t other) { hearEnd(other); }};
  Backoff backoff;
  bool moved = true;
  while (!isStopping()) {
    if (auto why = getFailure())
      endAll(*why);
    if (active.empty())
      backoff.reset();
    else if (!moved)
      backoff.pause();
    mesh.poll(/*waits=*/active.empty(), listener);
    takeStarted();
    moved = advance();
    if (moved)
      backoff.reset();
  }
}

void Worker::hear(const Message &message) {
  switch (message.kind) {
  case MessageKind::Part:
    headers[static_cast<size_t>(message.rank)].push_back(message.as<Header>());
    break;
  case MessageKind::Id:
    communicators.hear(message.as<GroupId>());
    break;
  case MessageKind::Bye:
    closed.insert(message.rank);
    break;
  case MessageKind::Failed: {
    Reason reason = message.as<Reason>();
    reason.text[sizeof reason.text - 1] = 0;
    fail(Failure(static_cast<moe_status>(reason.status), reason.rank,
                 reason.text),
         /*isTold=*/true);
    break;
  }
  default:
    break;
  }
}

void Worker::hearEnd(int32_t other) {
  fail(Failure(MOE_RANK_FAILED, other, text("rank ", other, " has ended")));
}

void Worker::takeStarted() {
  std::deque<std::shared_ptr<Work>> fresh;
  {
    std::lock_guard<std::mutex> lock(mutex);
    fresh.swap(started);
  }
  for (std::shared_ptr<Work> &work : fresh) {
    for (size_t i = 0; i < work->ranks.size(); ++i)
      if (work->ranks[i] != rank)
        mesh.send(work->ranks[i], {MessageKind::Part, rank,
                                   work->header(static_cast<int32_t>(i))});
    active.push_back(std::move(work));
  }
}

/// Those of a rank are for the exchanges with it in their order.
void Worker::takeHeaders(Work &work) {
  for (int32_t other : work.ranks) {
    if (!work.isWaitingFor(other))
      continue;
    auto &queue = headers[static_cast<size_t>(other)];
    if (!queue.empty()) {
      Header said = queue.front();
      queue.pop_front();
      work.hear(other, said);
    } else if (closed.count(other)) {
      failOf(MOE_RANK_FAILED, other, "rank ", other, " has ended");
    }
  }
}

bool Worker::advance() {
  if (getFailure())
    return false;
  for (const auto &work : active)
    takeHeaders(*work);
  communicators.checkAll();
  bool moved = false, mayIssue = true;
  for (const auto &work : active) {
    moved |= advance(*work, mayIssue);
    mayIssue &= work->phase == Work::Running;
  }
  auto isOver = [&](const std::shared_ptr<Work> &work) {
    if (work->phase != Work::Running || !work->isOver(device))
      return false;
    work->finish(device);
    work->release(device);
    work->end(std::nullopt);
    return true;
  };
  auto over = std::remove_if(active.begin(), active.end(), isOver);
  moved |= over != active.end();
  active.erase(over, active.end());
  return moved;
}

Comm Worker::communicator(const Work &work) {
  return communicators.find(work.ranks, work.group,
                            [&](int32_t to, const GroupId &id) {
                              mesh.send(to, {MessageKind::Id, rank, id});
                            });
}

bool Worker::advance(Work &work, bool mayIssue) {
  if (!mayIssue || work.phase == Work::Running)
    return false;
  // NCCL has had errors with groups of one, and never sees them.
  Comm comm = nullptr;
  if (work.ranks.size() > 1) {
    comm = communicator(work);
    if (!comm)
      return false;
  }
  if (work.phase == Work::Queued)
    work.issue(device, libraries.nccl, comm);
  // NCCL may still be putting it into the stream.
  if (comm && !communicators.isIdle(comm))
    return false;
  work.mark(device);
  work.phase = Work::Running;
  return true;
}

/// Callers first: they are late already.
void Worker::endAll(const Failure &why) {
  {
    std::lock_guard<std::mutex> lock(mutex);
    active.insert(active.end(), started.begin(), started.end());
    started.clear();
  }
  for (const auto &work : active)
    work->end(why);
  if (!ended && !communicators.abort(now() + patience))
    device.abandon();
  ended = true;
  for (const auto &work : active)
    work->release(device);
  active.clear();
}

} // namespace moe::engine::nccl
