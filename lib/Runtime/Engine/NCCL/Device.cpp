//===- Device.cpp - One device: memory, a stream, marks in it -------------===//
//
// Part of moe-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Device.h"

#include "moe/Support/ChooseDevice.h"

#include <algorithm>

namespace moe::engine::nccl {

static DeviceAddress address(const void *data) {
  return reinterpret_cast<DeviceAddress>(data);
}

Device::Device(const Cuda &cuda, int32_t local) : cuda(cuda) {
  int count = 0;
  if (int result = cuda.Init(0)) {
    const char *words = nullptr;
    cuda.GetErrorString(result, &words);
    fail(MOE_UNAVAILABLE, "cuInit: ", words ? words : text("error ", result));
  }
  check(cuda, cuda.DeviceGetCount(&count), "cuDeviceGetCount");
  if (count < 1)
    fail(MOE_UNAVAILABLE, "CUDA shows no device");
  const char *list = std::getenv("MOE_GPU");
  std::optional<int> chosen = chooseDevice(list, local, count);
  if (!chosen)
    fail(MOE_INVALID_ARGUMENT, "found MOE_GPU='", list,
         "', expected numbers of GPUs with commas between them");
  if (*chosen >= count)
    fail(MOE_UNAVAILABLE, "found GPU number ", *chosen, ", expected one below ",
         count, ", as so many are there");
  check(cuda, cuda.DeviceGet(&device, *chosen), "cuDeviceGet");
}

void Device::enter() {
  check(cuda, cuda.DevicePrimaryCtxRetain(&context, device),
        "cuDevicePrimaryCtxRetain");
  check(cuda, cuda.CtxSetCurrent(context), "cuCtxSetCurrent");
  check(cuda, cuda.StreamCreate(&exchanges, StreamNonBlocking),
        "cuStreamCreate");
  check(cuda, cuda.StreamCreate(&copies, StreamNonBlocking), "cuStreamCreate");
}

void Device::leave() {
  if (!context || abandoned)
    return;
  for (const Block &block : blocks)
    cuda.MemFree(block.address);
  if (copies)
    cuda.StreamDestroy(copies);
  if (exchanges)
    cuda.StreamDestroy(exchanges);
  cuda.CtxSetCurrent(nullptr);
  cuda.DevicePrimaryCtxRelease(device);
}

bool Device::holds(const void *data) const {
  unsigned type = 0;
  return data &&
         cuda.PointerGetAttribute(&type, AttributeMemoryType, address(data)) ==
             0 &&
         type == MemoryTypeDevice;
}

char *Device::take(uint64_t bytes) {
  // Powers of two, so that blocks fit again.
  uint64_t size = 1 << 16;
  while (size < bytes)
    size *= 2;
  auto found =
      std::find_if(blocks.begin(), blocks.end(), [&](const Block &block) {
        return !block.taken && block.bytes == size;
      });
  if (found == blocks.end()) {
    DeviceAddress fresh = 0;
    check(cuda, cuda.MemAlloc(&fresh, size), "cuMemAlloc");
    found = blocks.insert(blocks.end(), {fresh, size, false});
  }
  found->taken = true;
  return reinterpret_cast<char *>(found->address);
}

void Device::giveBack(char *block) {
  for (Block &each : blocks)
    if (each.address == address(block))
      each.taken = false;
}

void Device::fromHost(void *to, const void *from, uint64_t bytes) {
  check(cuda, cuda.MemcpyHtoDAsync(address(to), from, bytes, copies),
        "cuMemcpyHtoDAsync");
  check(cuda, cuda.StreamSynchronize(copies), "cuStreamSynchronize");
}

void Device::toHost(void *to, const void *from, uint64_t bytes) {
  check(cuda, cuda.MemcpyDtoHAsync(to, address(from), bytes, copies),
        "cuMemcpyDtoHAsync");
  check(cuda, cuda.StreamSynchronize(copies), "cuStreamSynchronize");
}

void Device::copy(void *to, const void *from, uint64_t bytes) {
  check(cuda, cuda.MemcpyDtoDAsync(address(to), address(from), bytes, copies),
        "cuMemcpyDtoDAsync");
  check(cuda, cuda.StreamSynchronize(copies), "cuStreamSynchronize");
}

void Device::waitFor(Event mark) {
  check(cuda, cuda.StreamWaitEvent(exchanges, mark, 0), "cuStreamWaitEvent");
}

void Device::copyInOrder(void *to, const void *from, uint64_t bytes) {
  if (bytes)
    check(cuda,
          cuda.MemcpyDtoDAsync(address(to), address(from), bytes, exchanges),
          "cuMemcpyDtoDAsync");
}

Event Device::mark() {
  Event event = nullptr;
  check(cuda, cuda.EventCreate(&event, EventDisableTiming), "cuEventCreate");
  check(cuda, cuda.EventRecord(event, exchanges), "cuEventRecord");
  return event;
}

bool Device::reached(Event mark) const {
  int result = cuda.EventQuery(mark);
  if (result == static_cast<int>(CudaNotReady))
    return false;
  check(cuda, result, "cuEventQuery");
  return true;
}

void Device::release(Event mark) {
  if (!abandoned)
    cuda.EventDestroy(mark);
}

} // namespace moe::engine::nccl
