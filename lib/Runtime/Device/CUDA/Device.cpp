//===- Device.cpp - One GPU: its context, a stream, memory ----------------===//
//
// Part of moe-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Device.h"

#include "../../Status.h"
#include "moe/Support/ChooseDevice.h"

#include <cstdlib>
#include <map>

namespace moe::cuda {

using runtime::fail;

Device::Device(const Driver &driver, int number)
    : driver(driver), number(number) {
  int count = 0;
  check(driver, driver.DeviceGetCount(&count), "cuDeviceGetCount");
  if (count < 1)
    fail(MOE_UNAVAILABLE, "CUDA shows no device");
  if (number < 0 || number >= count)
    fail(MOE_UNAVAILABLE, "found GPU number ", number, ", expected one below ",
         count, ", as so many are there");
  check(driver, driver.DeviceGet(&handle, number), "cuDeviceGet");
  auto attribute = [&](int &value, int which) {
    check(driver, driver.DeviceGetAttribute(&value, which, handle),
          "cuDeviceGetAttribute");
  };
  attribute(major, MOE_CU_COMPUTE_CAPABILITY_MAJOR);
  attribute(minor, MOE_CU_COMPUTE_CAPABILITY_MINOR);
  attribute(multiprocessors, MOE_CU_MULTIPROCESSOR_COUNT);
  check(driver, driver.DevicePrimaryCtxRetain(&context, handle),
        "cuDevicePrimaryCtxRetain");
}

Device::~Device() { driver.DevicePrimaryCtxRelease(handle); }

std::string Device::name() const {
  char text[256] = {};
  if (driver.DeviceGetName(text, sizeof text - 1, handle))
    return "GPU";
  return text;
}

Stream::Stream(const Device &device) : device(device) {
  InContext scope(device);
  check(device.driver,
        device.driver.StreamCreate(&stream, MOE_CU_STREAM_NON_BLOCKING),
        "cuStreamCreate");
  used = stream;
}

Stream::~Stream() {
  device.giveBack([&] { device.driver.StreamDestroy(stream); });
}

void Stream::toDevice(moe_cu_address to, const void *from, int64_t bytes) {
  if (bytes)
    check(device.driver,
          device.driver.MemcpyHtoDAsync(to, from, size_t(bytes), used),
          "cuMemcpyHtoDAsync");
}

void Stream::toHost(void *to, moe_cu_address from, int64_t bytes) {
  if (bytes)
    check(device.driver,
          device.driver.MemcpyDtoHAsync(to, from, size_t(bytes), used),
          "cuMemcpyDtoHAsync");
}

void Stream::copy(moe_cu_address to, moe_cu_address from, int64_t bytes) {
  if (bytes)
    check(device.driver,
          device.driver.MemcpyDtoDAsync(to, from, size_t(bytes), used),
          "cuMemcpyDtoDAsync");
}

void Stream::clear(moe_cu_address to, int64_t bytes) {
  if (bytes)
    check(device.driver,
          device.driver.MemsetD8Async(to, 0, size_t(bytes), used),
          "cuMemsetD8Async");
}

void Stream::wait() {
  check(device.driver, device.driver.StreamSynchronize(used),
        "cuStreamSynchronize");
}

void Memory::release() {
  if (!data)
    return;
  device->giveBack([&] { device->driver.MemFree(data); });
  data = 0;
  size = 0;
}

void Memory::ensure(const Device &on, int64_t bytes) {
  if (data && bytes <= size)
    return;
  // The old memory goes before the new one comes, so that only one is held.
  release();
  device = &on;
  int64_t rounded = (std::max<int64_t>(bytes, 1) + 255) / 256 * 256;
  moe_cu_result result = on.driver.MemAlloc(&data, size_t(rounded));
  if (result == MOE_CU_OUT_OF_MEMORY)
    fail(MOE_OUT_OF_MEMORY, "out of memory on ", on.name(), " for ", rounded,
         " bytes");
  check(on.driver, result, "cuMemAlloc");
  size = rounded;
}

static int chosenNumber(const Driver &driver, int local) {
  int count = 0;
  check(driver, driver.DeviceGetCount(&count), "cuDeviceGetCount");
  const char *text = std::getenv("MOE_GPU");
  std::optional<int> number = chooseDevice(text, local, count);
  if (!number)
    fail(MOE_INVALID_ARGUMENT, "found MOE_GPU='", text,
         "', expected numbers of GPUs with commas between them");
  return *number;
}

std::shared_ptr<const Device> openDevice(bool isSimulated, int local) {
  static std::mutex mutex;
  using Key = std::pair<const Driver *, int>;
  static std::map<Key, std::weak_ptr<const Device>> devices;
  const Driver &loaded = driver(isSimulated);
  int number = chosenNumber(loaded, local);
  std::lock_guard<std::mutex> lock(mutex);
  std::weak_ptr<const Device> &known = devices[{&loaded, number}];
  std::shared_ptr<const Device> device = known.lock();
  if (!device)
    known = device = std::make_shared<Device>(loaded, number);
  return device;
}

} // namespace moe::cuda
