//===- Cuda.cpp - The calls of the CUDA driver ----------------------------===//
//
// Part of moe-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Shared.h"

#include <cstring>
#include <unistd.h>

using namespace fake;
using Address = unsigned long long;

enum Code {
  Done = 0,
  OutOfMemory = 2,
  InvalidValue = 1,
  NoDevice = 100,
  InvalidContext = 201,
  NotReady = 600,
  Unknown = 999
};

static thread_local bool hasContext = false;

static char *pointer(Address address) {
  return reinterpret_cast<char *>(address);
}

/// Whether the call goes on; counts it.
static bool goesOn(const char *call) {
  Fault fault = faultOf(call, -1);
  suffer(fault);
  if (!hasContext) {
    Access state;
    addComplaint(std::string(call) + " without a context");
  }
  return fault != Fault::Fail;
}

extern "C" {

int cuInit(unsigned) {
  return faultOf("cuInit", -1) == Fault::Fail ? NoDevice : Done;
}

int cuGetErrorString(int code, const char **words) {
  *words = code == NoDevice      ? "no CUDA-capable device is detected"
           : code == OutOfMemory ? "out of memory"
                                 : "unknown error";
  return Done;
}

int cuDeviceGetCount(int *count) {
  *count = setting("devices", 2);
  return Done;
}

int cuDeviceGet(int *device, int number) {
  *device = number;
  return number < setting("devices", 2) ? Done : InvalidValue;
}

int cuDevicePrimaryCtxRetain(void **context, int device) {
  if (faultOf("cuDevicePrimaryCtxRetain", -1) == Fault::Fail)
    return Unknown;
  static char some;
  *context = &some;
  Access state;
  ++state->contexts[getpid()];
  return Done;
}

int cuDevicePrimaryCtxRelease_v2(int) {
  Access state;
  int &count = state->contexts[getpid()];
  count -= count > 0; // none after a reset
  return Done;
}

int cuCtxSetCurrent(void *context) {
  hasContext = context != nullptr;
  return Done;
}

int cuMemAlloc_v2(Address *address, size_t bytes) {
  if (!goesOn("cuMemAlloc"))
    return OutOfMemory;
  Access state;
  char *block = static_cast<char *>(allocate(bytes));
  std::memset(block, 0xab, bytes);
  state->memory[block] = bytes;
  state->owners[block] = getpid();
  *address = reinterpret_cast<Address>(block);
  return Done;
}

int cuMemFree_v2(Address address) {
  goesOn("cuMemFree");
  Access state;
  for (const auto &each : state->streams)
    if (each.first->pid == getpid())
      for (const Item *item : each.first->items)
        for (const Op *op : item->ops)
          if (item->comm && op->data >= pointer(address) &&
              op->data < pointer(address) + state->memory[pointer(address)])
            addComplaint("device memory is freed while an exchange uses it");
  if (!state->memory.erase(pointer(address)))
    addComplaint("cuMemFree of what is not device memory");
  state->owners.erase(pointer(address));
  release(pointer(address));
  return Done;
}

/// Real copies of pageable memory would wait for what is before them.
static int copy(const char *call, void *to, const void *from, size_t bytes,
                StreamState *stream) {
  if (!goesOn(call))
    return Unknown;
  {
    Access state;
    if (!stream->items.empty())
      addComplaint(std::string(call) + " behind an exchange");
  }
  std::memcpy(to, from, bytes);
  return Done;
}

int cuMemcpyHtoDAsync_v2(Address to, const void *from, size_t bytes,
                         StreamState *stream) {
  return copy("cuMemcpyHtoDAsync", pointer(to), from, bytes, stream);
}

int cuMemcpyDtoHAsync_v2(void *to, Address from, size_t bytes,
                         StreamState *stream) {
  return copy("cuMemcpyDtoHAsync", to, pointer(from), bytes, stream);
}

int cuMemcpyDtoDAsync_v2(Address to, Address from, size_t bytes,
                         StreamState *stream) {
  return copy("cuMemcpyDtoDAsync", pointer(to), pointer(from), bytes, stream);
}

int cuPointerGetAttribute(void *value, int, Address address) {
  Access state;
  auto block = state->memory.upper_bound(pointer(address));
  if (block == state->memory.begin())
    return InvalidValue;
  --block;
  if (pointer(address) >= block->first + block->second)
    return InvalidValue;
  unsigned device = 2;
  std::memcpy(value, &device, sizeof device);
  return Done;
}

int cuStreamCreate(StreamState **stream, unsigned) {
  if (!goesOn("cuStreamCreate"))
    return Unknown;
  Access state;
  *stream = make<StreamState>();
  (*stream)->pid = getpid();
  state->streams[*stream] = true;
  return Done;
}

int cuStreamDestroy_v2(StreamState *stream) {
  Access state;
  state->streams.erase(stream);
  return Done;
}

int cuStreamSynchronize(StreamState *stream) {
  Access state;
  if (!stream->items.empty())
    addComplaint("cuStreamSynchronize of an exchange");
  return Done;
}

int cuEventCreate(EventState **event, unsigned) {
  if (!goesOn("cuEventCreate"))
    return Unknown;
  Access state;
  *event = make<EventState>();
  (*event)->pid = getpid();
  state->events[*event] = true;
  return Done;
}

int cuEventDestroy_v2(EventState *event) {
  Access state;
  state->events.erase(event);
  return Done;
}

int cuEventRecord(EventState *event, StreamState *stream) {
  Access state;
  for (const auto &each : state->comms)
    if (each.second && !each.first->aborted && !each.first->asked.empty() &&
        each.first->stream == stream)
      addComplaint("cuEventRecord before NCCL is in the stream");
  event->recorded = true;
  event->reached = false;
  stream->items.push_back(make<Item>(Item{nullptr, {}, false, event}));
  return Done;
}

int cuStreamWaitEvent(StreamState *stream, EventState *event, unsigned) {
  Access state;
  stream->items.push_back(make<Item>(Item{nullptr, {}, false, event, true}));
  return Done;
}

int cuEventQuery(EventState *event) {
  Fault fault = faultOf("cuEventQuery", -1);
  suffer(fault);
  if (fault == Fault::Fail)
    return Unknown;
  Access state;
  pump();
  return event->reached ? Done : NotReady;
}
}
