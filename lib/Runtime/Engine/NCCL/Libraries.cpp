//===- Libraries.cpp - NCCL and the CUDA driver, loaded -------------------===//
//
// Part of moe-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Libraries.h"

#include <cstdlib>
#include <dlfcn.h>

namespace moe::engine::nccl {

namespace {
/// A library and what to call it in messages.
class Library {
public:
  Library(const char *what, const char *variable, const char *usual);
  template <typename Function>
  void find(Function &function, const char *symbol) {
    void *found = dlsym(handle, symbol);
    if (!found)
      fail(MOE_UNAVAILABLE, "'", file, "' is no ", what, ": it has no ",
           symbol);
    function = reinterpret_cast<Function>(found);
  }

  const char *what;
  std::string file;

private:
  void *handle;
};
} // namespace

Library::Library(const char *what, const char *variable, const char *usual)
    : what(what) {
  const char *named = std::getenv(variable);
  file = named && *named ? named : usual;
  handle = dlopen(file.c_str(), RTLD_NOW | RTLD_LOCAL);
  if (!handle)
    fail(MOE_UNAVAILABLE, "cannot load ", what, " from '", file,
         "': ", dlerror(), "; ", variable, " names another file");
}

std::string versionName(int version) {
  if (version < 10000) // until 2.8
    return text(version / 1000, ".", version / 100 % 10, ".", version % 100);
  return text(version / 10000, ".", version / 100 % 100, ".", version % 100);
}

static void loadNccl(Nccl &nccl, int &version) {
  Library library("NCCL", "MOE_NCCL", "libnccl.so.2");
  library.find(nccl.GetVersion, "ncclGetVersion");
  if (int result = nccl.GetVersion(&version); result != Success)
    fail(MOE_UNAVAILABLE, "'", library.file, "': ncclGetVersion failed with ",
         result);
  if (version < oldestVersion)
    fail(MOE_UNAVAILABLE, "'", library.file, "' is NCCL ", versionName(version),
         ", expected ", versionName(oldestVersion), " or later");
  library.find(nccl.GetUniqueId, "ncclGetUniqueId");
  library.find(nccl.CommInitRankConfig, "ncclCommInitRankConfig");
  library.find(nccl.CommGetAsyncError, "ncclCommGetAsyncError");
  library.find(nccl.CommFinalize, "ncclCommFinalize");
  library.find(nccl.CommDestroy, "ncclCommDestroy");
  library.find(nccl.CommAbort, "ncclCommAbort");
  library.find(nccl.GroupStart, "ncclGroupStart");
  library.find(nccl.GroupEnd, "ncclGroupEnd");
  library.find(nccl.Send, "ncclSend");
  library.find(nccl.Recv, "ncclRecv");
  library.find(nccl.GetErrorString, "ncclGetErrorString");
  library.find(nccl.GetLastError, "ncclGetLastError");
  if (version >= allToAllVersion)
    library.find(nccl.AlltoAll, "ncclAlltoAll");
}

static void loadCuda(Cuda &cuda) {
  Library library("the CUDA driver", "MOE_CUDA", "libcuda.so.1");
  library.find(cuda.Init, "cuInit");
  library.find(cuda.DeviceGetCount, "cuDeviceGetCount");
  library.find(cuda.DeviceGet, "cuDeviceGet");
  library.find(cuda.DevicePrimaryCtxRetain, "cuDevicePrimaryCtxRetain");
  library.find(cuda.DevicePrimaryCtxRelease, "cuDevicePrimaryCtxRelease_v2");
  library.find(cuda.CtxSetCurrent, "cuCtxSetCurrent");
  library.find(cuda.MemAlloc, "cuMemAlloc_v2");
  library.find(cuda.MemFree, "cuMemFree_v2");
  library.find(cuda.MemcpyHtoDAsync, "cuMemcpyHtoDAsync_v2");
  library.find(cuda.MemcpyDtoHAsync, "cuMemcpyDtoHAsync_v2");
  library.find(cuda.MemcpyDtoDAsync, "cuMemcpyDtoDAsync_v2");
  library.find(cuda.PointerGetAttribute, "cuPointerGetAttribute");
  library.find(cuda.StreamCreate, "cuStreamCreate");
  library.find(cuda.StreamDestroy, "cuStreamDestroy_v2");
  library.find(cuda.StreamSynchronize, "cuStreamSynchronize");
  library.find(cuda.StreamWaitEvent, "cuStreamWaitEvent");
  library.find(cuda.EventCreate, "cuEventCreate");
  library.find(cuda.EventDestroy, "cuEventDestroy_v2");
  library.find(cuda.EventRecord, "cuEventRecord");
  library.find(cuda.EventQuery, "cuEventQuery");
  library.find(cuda.GetErrorString, "cuGetErrorString");
}

Libraries loadLibraries() {
  Libraries libraries;
  loadNccl(libraries.nccl, libraries.version);
  loadCuda(libraries.cuda);
  return libraries;
}

void check(const Nccl &nccl, int result, const char *call, Comm comm) {
  if (result == Success || result == InProgress)
    return;
  const char *more = comm ? nccl.GetLastError(comm) : nullptr;
  fail(MOE_RANK_FAILED, call, ": ", nccl.GetErrorString(result),
       more && *more ? ": " : "", more ? more : "");
}

void check(const Cuda &cuda, int result, const char *call) {
  if (result == 0)
    return;
  const char *words = nullptr;
  cuda.GetErrorString(result, &words);
  fail(MOE_RANK_FAILED, call, ": ", words ? words : text("error ", result));
}

} // namespace moe::engine::nccl
