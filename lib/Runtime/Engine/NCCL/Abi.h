//===- Abi.h - What we call of NCCL and of the CUDA driver ------*- C++ -*-===//
//
// Part of moe-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Declared here from their documentation, since neither's headers are needed
// for anything else. Later versions keep both: NCCL reads no more of Config
// than its `size` says.
//
//===----------------------------------------------------------------------===//

#ifndef MOE_LIB_RUNTIME_ENGINE_NCCL_ABI_H
#define MOE_LIB_RUNTIME_ENGINE_NCCL_ABI_H

#include <cstddef>
#include <cstdint>

namespace moe::engine::nccl {

using Comm = struct CommObject *;
using Stream = struct StreamObject *;
using Event = struct EventObject *;
using Context = struct ContextObject *;
using DeviceAddress = unsigned long long;

enum Result : int { Success = 0, RemoteError = 6, InProgress = 7 };
enum DataType : int { Uint8 = 1 };

struct UniqueId {
  char bytes[128];
};

/// That of 2.18, the first version that is accepted.
constexpr int oldestVersion = 21800;
/// The first with ncclAlltoAll.
constexpr int allToAllVersion = 22800;

constexpr int undefinedInt = INT32_MIN;
struct Config {
  size_t size = sizeof(Config);
  unsigned magic = 0xcafebeef;
  unsigned version = oldestVersion;
  int blocking = 0;
  int cgaClusterSize = undefinedInt;
  int minCtas = undefinedInt;
  int maxCtas = undefinedInt;
  const char *netName = nullptr;
  int splitShare = undefinedInt;
};
static_assert(sizeof(Config) == 48 && offsetof(Config, netName) == 32);

/// libnccl.so.2; AlltoAll is null where that is too old for it.
struct Nccl {
  int (*GetVersion)(int *);
  int (*GetUniqueId)(UniqueId *);
  int (*CommInitRankConfig)(Comm *, int, UniqueId, int, Config *);
  int (*CommGetAsyncError)(Comm, int *);
  int (*CommFinalize)(Comm);
  int (*CommDestroy)(Comm);
  int (*CommAbort)(Comm);
  int (*GroupStart)();
  int (*GroupEnd)();
  int (*Send)(const void *, size_t, int, int, Comm, Stream);
  int (*Recv)(void *, size_t, int, int, Comm, Stream);
  int (*AlltoAll)(const void *, void *, size_t, int, Comm, Stream);
  const char *(*GetErrorString)(int);
  const char *(*GetLastError)(Comm);
};

/// libcuda.so.1
struct Cuda {
  int (*Init)(unsigned);
  int (*DeviceGetCount)(int *);
  int (*DeviceGet)(int *, int);
  int (*DevicePrimaryCtxRetain)(Context *, int);
  int (*DevicePrimaryCtxRelease)(int);
  int (*CtxSetCurrent)(Context);
  int (*MemAlloc)(DeviceAddress *, size_t);
  int (*MemFree)(DeviceAddress);
  int (*MemcpyHtoDAsync)(DeviceAddress, const void *, size_t, Stream);
  int (*MemcpyDtoHAsync)(void *, DeviceAddress, size_t, Stream);
  int (*MemcpyDtoDAsync)(DeviceAddress, DeviceAddress, size_t, Stream);
  int (*PointerGetAttribute)(void *, int, DeviceAddress);
  int (*StreamCreate)(Stream *, unsigned);
  int (*StreamDestroy)(Stream);
  int (*StreamSynchronize)(Stream);
  int (*StreamWaitEvent)(Stream, Event, unsigned);
  int (*EventCreate)(Event *, unsigned);
  int (*EventDestroy)(Event);
  int (*EventRecord)(Event, Stream);
  int (*EventQuery)(Event);
  int (*GetErrorString)(int, const char **);
};
enum CudaConstant : unsigned {
  CudaNotReady = 600,
  StreamNonBlocking = 1,
  EventDisableTiming = 2,
  AttributeMemoryType = 2,
  MemoryTypeDevice = 2
};

} // namespace moe::engine::nccl

#endif // MOE_LIB_RUNTIME_ENGINE_NCCL_ABI_H
