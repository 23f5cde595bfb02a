//===- Device.h - One GPU: its context, a stream, memory --------*- C++ -*-===//
//
// Part of moe-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef MOE_LIB_RUNTIME_DEVICE_CUDA_DEVICE_H
#define MOE_LIB_RUNTIME_DEVICE_CUDA_DEVICE_H

#include "Driver.h"

#include <memory>
#include <mutex>

namespace moe::cuda {

/// A device and its primary context, which others in the process use too.
class Device {
public:
  Device(const Driver &driver, int number);
  Device(const Device &) = delete;
  Device &operator=(const Device &) = delete;
  ~Device();

  /// As in 90.
  int capability() const { return major * 10 + minor; }
  int processors() const { return multiprocessors; }
  std::string name() const;

  /// Runs `body` in the device's context, if that is there still: without it
  /// there is nothing to give back.
  template <typename Body> void giveBack(Body &&body) const noexcept {
    if (driver.CtxPushCurrent(context))
      return;
    body();
    moe_cu_context left = nullptr;
    driver.CtxPopCurrent(&left);
  }

  const Driver &driver;
  const int number;

private:
  friend class InContext;
  moe_cu_device handle = 0;
  moe_cu_context context = nullptr;
  int major = 0, minor = 0, multiprocessors = 0;
};

/// While it lives, the calling thread is in the device's context; after that,
/// in the one that it was in.
class InContext {
public:
  explicit InContext(const Device &device) : device(device) {
    check(device.driver, device.driver.CtxPushCurrent(device.context),
          "cuCtxPushCurrent");
  }
  InContext(const InContext &) = delete;
  InContext &operator=(const InContext &) = delete;
  ~InContext() {
    moe_cu_context left = nullptr;
    device.driver.CtxPopCurrent(&left);
  }

private:
  const Device &device;
};

/// Work in order. Used by one thread at a time.
class Stream {
public:
  explicit Stream(const Device &device);
  Stream(const Stream &) = delete;
  Stream &operator=(const Stream &) = delete;
  ~Stream();

  moe_cu_stream handle() const { return used; }
  /// Work goes into a stream of the caller's from now on; null: into the own
  /// one again.
  void use(moe_cu_stream callers) { used = callers ? callers : stream; }
  bool isCallers() const { return used != stream; }
  // In the context of the device:
  void toDevice(moe_cu_address to, const void *from, int64_t bytes);
  void toHost(void *to, moe_cu_address from, int64_t bytes);
  void copy(moe_cu_address to, moe_cu_address from, int64_t bytes);
  void clear(moe_cu_address to, int64_t bytes);
  void wait();

private:
  const Device &device;
  moe_cu_stream stream = nullptr, used = nullptr;
};

/// Memory of the device that grows.
class Memory {
public:
  Memory() = default;
  Memory(Memory &&other) noexcept { swap(other); }
  Memory &operator=(Memory &&other) noexcept {
    swap(other);
    return *this;
  }
  ~Memory() { release(); }

  /// At least `bytes` bytes. Contents are kept only where nothing grows.
  void ensure(const Device &device, int64_t bytes);
  moe_cu_address address() const { return data; }

private:
  void release();
  void swap(Memory &other) noexcept {
    std::swap(device, other.device);
    std::swap(data, other.data);
    std::swap(size, other.size);
  }
  const Device *device = nullptr;
  moe_cu_address data = 0;
  int64_t size = 0;
};

/// The device for rank `local` of those of this machine. All that ask for one
/// at the same time have the same.
std::shared_ptr<const Device> openDevice(bool isSimulated, int local);

} // namespace moe::cuda

#endif // MOE_LIB_RUNTIME_DEVICE_CUDA_DEVICE_H
