//===- Memory.cpp - Memory and copies -------------------------------------===//
//
// Part of moe-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "State.h"

#include <cstdlib>
#include <cstring>

using namespace moe::sim;
using Address = unsigned long long;

static char *pointer(Address address) {
  return reinterpret_cast<char *>(address);
}

MOE_SIM_CUDA cuMemAlloc_v2(Address *address, size_t bytes) {
  Call call;
  if (call)
    return call.status;
  if (!address || bytes == 0)
    return InvalidValue;
  if (isGloballyCaptured())
    return CaptureUnsupported;
  char *memory = state().memory.allocate(bytes);
  if (!memory)
    return OutOfMemory;
  *address = reinterpret_cast<Address>(memory);
  return Success;
}

MOE_SIM_CUDA cuMemFree_v2(Address address) {
  Call call;
  if (call)
    return call.status;
  if (!address)
    return Success;
  if (isGloballyCaptured())
    return CaptureUnsupported;
  if (int status = drainContext(currentContext()))
    return status;
  return state().memory.release(pointer(address)) ? Success : InvalidValue;
}

MOE_SIM_CUDA cuMemAllocAsync(Address *address, size_t bytes, void *stream) {
  StreamCall call(stream);
  return call ? call.status : cuMemAlloc_v2(address, bytes);
}

MOE_SIM_CUDA cuMemFreeAsync(Address address, void *handle) {
  StreamCall call(handle);
  if (call)
    return call.status;
  enqueue(*call.stream, [address] {
    return state().memory.release(pointer(address)) ? Success : InvalidValue;
  });
  return Success;
}

MOE_SIM_CUDA cuMemGetInfo_v2(size_t *free, size_t *total) {
  Call call;
  if (call)
    return call.status;
  *free = state().memory.free();
  *total = state().memory.total();
  return Success;
}

MOE_SIM_CUDA cuMemHostAlloc(void **memory, size_t bytes, unsigned flags) {
  Call call;
  if (call)
    return call.status;
  *memory = std::malloc(bytes ? bytes : 1);
  if (!*memory)
    return OutOfMemory;
  state().pinned[*memory] = bytes;
  return Success;
}

MOE_SIM_CUDA cuMemFreeHost(void *memory) {
  Call call(Call::Initialized);
  if (call)
    return call.status;
  if (!state().pinned.count(memory))
    return InvalidValue;
  // Copies may be under way.
  if (!contextStack().empty() && !state().sticky)
    drainContext(currentContext());
  state().pinned.erase(memory);
  std::free(memory);
  return Success;
}

static bool isPinned(const void *memory) {
  const auto &pinned = state().pinned;
  auto after = pinned.upper_bound(memory);
  if (after == pinned.begin())
    return false;
  auto before = std::prev(after);
  return static_cast<const char *>(memory) <
         static_cast<const char *>(before->first) + before->second;
}

/// Null unless all of the range is memory of the device.
static Allocation *allocationOf(const char *address, size_t bytes,
                                size_t &offset) {
  Memory::Place place = state().memory.find(address);
  if (!place.allocation || place.allocation->freed || place.offset < 0 ||
      place.offset + bytes > place.allocation->size)
    return nullptr;
  offset = size_t(place.offset);
  return place.allocation;
}

static bool isOnDevice(Address address, size_t bytes) {
  size_t offset;
  return allocationOf(pointer(address), bytes, offset);
}

static int writeDevice(char *to, const char *from, size_t bytes) {
  size_t offset;
  Allocation *allocation = allocationOf(to, bytes, offset);
  if (!allocation)
    return InvalidValue;
  allocation->shadow.markHost(offset, bytes);
  std::memmove(to, from, bytes);
  return Success;
}

MOE_SIM_CUDA cuMemcpyHtoDAsync_v2(Address to, const void *from, size_t bytes,
                                  void *handle) {
  StreamCall call(handle);
  if (call)
    return call.status;
  if (bytes == 0)
    return Success;
  if (!from || !isOnDevice(to, bytes))
    return InvalidValue;
  if (isPinned(from)) {
    enqueue(*call.stream, [=] {
      return writeDevice(pointer(to), static_cast<const char *>(from), bytes);
    });
    return Success;
  }
  if (call.stream->capture)
    return invalidate(*call.stream);
  // Memory that can be paged out is copied aside first.
  auto *begin = static_cast<const char *>(from);
  std::vector<char> data(begin, begin + bytes);
  enqueue(*call.stream, [to, bytes, data = std::move(data)] {
    return writeDevice(pointer(to), data.data(), bytes);
  });
  return Success;
}

static int readDevice(char *to, const char *from, size_t bytes) {
  size_t offset;
  if (!allocationOf(from, bytes, offset))
    return InvalidValue;
  std::memcpy(to, from, bytes);
  return Success;
}

MOE_SIM_CUDA cuMemcpyDtoHAsync_v2(void *to, Address from, size_t bytes,
                                  void *handle) {
  StreamCall call(handle);
  if (call)
    return call.status;
  if (bytes == 0)
    return Success;
  if (!to || !isOnDevice(from, bytes))
    return InvalidValue;
  if (call.stream->capture && !isPinned(to))
    return invalidate(*call.stream);
  enqueue(*call.stream, [=] {
    return readDevice(static_cast<char *>(to), pointer(from), bytes);
  });
  return isPinned(to) ? Success : drain(*call.stream);
}

MOE_SIM_CUDA cuMemcpyDtoDAsync_v2(Address to, Address from, size_t bytes,
                                  void *handle) {
  StreamCall call(handle);
  if (call)
    return call.status;
  if (bytes == 0)
    return Success;
  if (!isOnDevice(to, bytes) || !isOnDevice(from, bytes))
    return InvalidValue;
  enqueue(*call.stream, [=] {
    size_t offset;
    Allocation *source = allocationOf(pointer(from), bytes, offset);
    if (!source)
      return int(InvalidValue);
    bool written = source->shadow.written(offset, bytes);
    int status = writeDevice(pointer(to), pointer(from), bytes);
    // A copy of what nobody has written is no more than that.
    if (status == Success && !written)
      if (Allocation *target = allocationOf(pointer(to), bytes, offset))
        target->shadow.markUnwritten(offset, bytes);
    return status;
  });
  return Success;
}

MOE_SIM_CUDA cuMemsetD8Async(Address to, unsigned char value, size_t bytes,
                             void *handle) {
  StreamCall call(handle);
  if (call)
    return call.status;
  if (bytes == 0)
    return Success;
  if (!isOnDevice(to, bytes))
    return InvalidValue;
  enqueue(*call.stream, [=] {
    std::vector<char> data(bytes, char(value));
    return writeDevice(pointer(to), data.data(), bytes);
  });
  return Success;
}

MOE_SIM_CUDA cuPointerGetAttribute(void *value, int attribute,
                                   Address address) {
  Call call(Call::Initialized);
  if (call)
    return call.status;
  enum { Context = 1, MemoryType = 2, DeviceOrdinal = 9 };
  bool pinned = isPinned(pointer(address));
  Memory::Place place = state().memory.find(pointer(address));
  bool device = place.allocation && !place.allocation->freed &&
                place.offset >= 0 &&
                size_t(place.offset) < place.allocation->size;
  if (!pinned && !device)
    return InvalidValue;
  unsigned type = device ? 2 : 1;
  int ordinal = 0;
  void *context = &state().contexts[0];
  switch (attribute) {
  case Context:
    std::memcpy(value, &context, sizeof context);
    return Success;
  case MemoryType:
    std::memcpy(value, &type, sizeof type);
    return Success;
  case DeviceOrdinal:
    std::memcpy(value, &ordinal, sizeof ordinal);
    return Success;
  default:
    return InvalidValue;
  }
}
