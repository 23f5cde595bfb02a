//===- Worker.h - The one thread that speaks with NCCL and the device -*- C++
//-*-===//
//
// Part of moe-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Exchanges are issued in the order in which they were started, one after the
// other, and run together. The worker also listens to the other ranks; a
// failure ends all exchanges, and only then the communicators.
//
//===----------------------------------------------------------------------===//

#ifndef MOE_LIB_RUNTIME_ENGINE_NCCL_WORKER_H
#define MOE_LIB_RUNTIME_ENGINE_NCCL_WORKER_H

#include "Mesh.h"
#include "Work.h"

#include <deque>
#include <set>
#include <thread>

namespace moe::engine::nccl {

class Worker {
public:
  Worker(const Libraries &libraries, int32_t rank, int32_t device,
         std::vector<Socket> links);
  /// Does not wait long: the thread then ends the rest alone.
  static void close(std::unique_ptr<Worker> worker);

  std::shared_ptr<Work> makeWork(const moe_transfer &transfer) const {
    return std::make_shared<Work>(transfer, libraries.cuda);
  }
  void start(std::shared_ptr<Work> work);
  /// Fails with the first failure, if there is one.
  void check();
  /// The first failure counts.
  void fail(const Failure &failure, bool isTold = false);
  /// The same, and tells the others, unless it was one of them who told.
  void abort(const Failure &failure);
  void failed(uint8_t *flags);

  const int32_t rank;

private:
  bool run();
  void serve();
  bool isStopping();
  std::optional<Failure> getFailure();
  void hear(const Message &message);
  void hearEnd(int32_t rank);
  void takeStarted();
  void takeHeaders(Work &work);
  Comm communicator(const Work &work);
  bool advance();
  bool advance(Work &work, bool mayIssue);
  void endAll(const Failure &failure);

  const Libraries libraries;
  Mesh mesh;
  Device device;
  Communicators communicators;
  std::deque<std::shared_ptr<Work>> active;
  std::vector<std::deque<Header>> headers; /* that came early, by rank */
  std::set<int32_t> closed;
  bool ended = false; /* all exchanges, by a failure */

  std::mutex mutex; /* of what follows */
  std::condition_variable changed;
  std::deque<std::shared_ptr<Work>> started;
  std::set<int32_t> failedRanks;
  std::optional<Failure> failure;
  bool wasTold = false; /* by another rank, which has told all */
  bool stopping = false, stopped = false, orphaned = false;
  std::thread thread;
};

} // namespace moe::engine::nccl

#endif // MOE_LIB_RUNTIME_ENGINE_NCCL_WORKER_H
