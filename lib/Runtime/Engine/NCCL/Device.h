//===- Device.h - One device: memory, a stream, marks in it -----*- C++ -*-===//
//
// Part of moe-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Copies from and to the host are on a stream of their own and are over when
// the call returns. On the stream of exchanges they would wait for other ranks:
// those of pageable memory end only after what is before them.
//
//===----------------------------------------------------------------------===//

#ifndef MOE_LIB_RUNTIME_ENGINE_NCCL_DEVICE_H
#define MOE_LIB_RUNTIME_ENGINE_NCCL_DEVICE_H

#include "Libraries.h"

namespace moe::engine::nccl {

/// Used by one thread, from `enter` to `leave`.
class Device {
public:
  /// The one for rank `local` of this machine, see ChooseDevice.h.
  Device(const Cuda &cuda, int32_t local);
  Device(const Device &) = delete;
  Device &operator=(const Device &) = delete;

  void enter();
  /// Frees everything, on the thread that entered.
  void leave();
  /// Whether NCCL can use this memory as it is.
  bool holds(const void *data) const;
  /// Freed only at the end: that would wait for what runs.
  char *take(uint64_t bytes);
  void giveBack(char *block);
  void fromHost(void *to, const void *from, uint64_t bytes);
  void toHost(void *to, const void *from, uint64_t bytes);
  void copy(void *to, const void *from, uint64_t bytes);

  /// In the stream of exchanges: waits for a mark of another stream, or copies.
  void waitFor(Event mark);
  void copyInOrder(void *to, const void *from, uint64_t bytes);

  Stream stream() const { return exchanges; }
  /// What is in the stream so far.
  Event mark();
  bool reached(Event mark) const;
  void release(Event mark);
  /// Frees nothing from now on: NCCL may still be at work.
  void abandon() { abandoned = true; }

private:
  struct Block {
    DeviceAddress address;
    uint64_t bytes;
    bool taken;
  };
  const Cuda &cuda;
  int device = 0;
  bool abandoned = false;
  Context context = nullptr;
  Stream exchanges = nullptr, copies = nullptr;
  std::vector<Block> blocks;
};

} // namespace moe::engine::nccl

#endif // MOE_LIB_RUNTIME_ENGINE_NCCL_DEVICE_H
