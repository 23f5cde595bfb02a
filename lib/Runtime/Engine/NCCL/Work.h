//===- Work.h - An exchange on its way through NCCL -------------*- C++ -*-===//
//
// Part of moe-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef MOE_LIB_RUNTIME_ENGINE_NCCL_WORK_H
#define MOE_LIB_RUNTIME_ENGINE_NCCL_WORK_H

#include "../Support/Agreement.h"
#include "Communicators.h"
#include "Device.h"

#include <condition_variable>
#include <memory>
#include <mutex>

namespace moe::engine::nccl {

/// What the caller's thread and the worker's know of an exchange.
class Work {
public:
  /// Marks where the caller's stream is, if there is one. `cuda` stays loaded.
  Work(const moe_transfer &transfer, const Cuda &cuda);
  ~Work();
  Work(const Work &) = delete;
  Work &operator=(const Work &) = delete;

  //===--- For the caller ---------------------------------------------------//

  moe_status poll();
  /// Once it is done: what comes into the caller's stream waits for it.
  void join();
  /// False: the deadline is over.
  bool wait(int64_t deadline);
  /// Its memory is the caller's again, at once or nearly so. False: it was
  /// done before.
  bool giveUp();
  /// Members that have not said where they are.
  std::vector<int32_t> missing();

  //===--- For the worker ---------------------------------------------------//

  const std::vector<int32_t> ranks;
  const uint64_t group;

  Header header(int32_t member) const;
  int32_t memberOf(int32_t rank) const;
  bool isWaitingFor(int32_t rank);
  void hear(int32_t rank, const Header &said);
  /// Brings what leaves to the device and asks NCCL to move it.
  void issue(Device &device, const Nccl &nccl, Comm comm);
  /// After `issue`, once NCCL has taken it.
  void mark(Device &device) { event = device.mark(); }
  /// Whether all have come and, unless a stream waits for it, rows have moved.
  bool isOver(Device &device);
  /// Brings what came to the host.
  void finish(Device &device);
  void end(std::optional<Failure> why);
  void release(Device &device);

  enum Phase { Queued, Issued, Running } phase = Queued;

private:
  struct Call {
    int peer;
    const void *from; /* or null */
    void *to;
    uint64_t bytes;
  };
  bool isInStream() const { return transfer.stream != nullptr; }
  void prepareInStream(Device &device);
  void prepareEqual(Device &device);
  void preparePairs(Device &device);
  const void *prepare(Device &device, const moe_piece &piece, char *block);
  void *expect(Device &device, const moe_piece &piece, char *block);
  void keepOwn(Device &device, char *block);
  void ask(const Nccl &nccl, Comm comm, Stream stream);
  /// Runs `copy` unless the memory is the caller's again.
  template <typename Copy> bool touch(Copy &&copy);
  bool beginTouch();
  void endTouch();
  char *takeBlock(Device &device, uint64_t bytes);

  const std::vector<moe_piece> sent, received;
  const std::string what;
  const moe_transfer transfer; /* of the above */
  struct Arrival {
    void *to;
    const char *from;
    uint64_t bytes;
    bool toDevice;
  };
  std::vector<Call> calls;
  std::vector<Arrival> arrivals;
  std::vector<char *> blocks;
  Event event = nullptr; /* after it */
  Event ready = nullptr; /* before it, in the caller's stream */
  const Cuda cuda;

  std::mutex mutex;
  std::condition_variable changed;
  std::vector<bool> came;
  bool done = false, givenUp = false, touching = false;
  std::optional<Failure> failure;
};

} // namespace moe::engine::nccl

#endif // MOE_LIB_RUNTIME_ENGINE_NCCL_WORK_H
