//===- Driver.cpp - The CUDA driver, loaded -------------------------------===//
//
// Part of moe-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Driver.h"

#include "../../Status.h"

#include <cstdlib>
#include <dlfcn.h>
#include <map>
#include <mutex>

namespace moe::cuda {

using runtime::fail;
using runtime::text;

/// Of CUDA 12.0, which reads the PTX that we write.
static constexpr int oldestVersion = 12000;

namespace {
class Symbols {
public:
  Symbols(void *handle, const std::string &file) : handle(handle), file(file) {}

  template <typename Function>
  void find(Function &function, const char *symbol) const {
    void *found = dlsym(handle, symbol);
    if (!found)
      fail(MOE_UNAVAILABLE, "'", file, "' is no CUDA driver: it has no ",
           symbol);
    function = reinterpret_cast<Function>(found);
  }

private:
  void *handle;
  const std::string &file;
};
} // namespace

std::string words(const Driver &driver, moe_cu_result result) {
  const char *words = nullptr;
  if (driver.GetErrorString(result, &words) == MOE_CU_SUCCESS && words)
    return words;
  return text("error ", result);
}

void check(const Driver &driver, moe_cu_result result, const char *call) {
  if (result == MOE_CU_SUCCESS)
    return;
  fail(result == MOE_CU_OUT_OF_MEMORY ? MOE_OUT_OF_MEMORY : MOE_DEVICE_FAILED,
       call, ": ", words(driver, result));
}

static void findSymbols(Driver &driver, const Symbols &symbols) {
  symbols.find(driver.GetErrorString, "cuGetErrorString");
  symbols.find(driver.Init, "cuInit");
  symbols.find(driver.DriverGetVersion, "cuDriverGetVersion");
  symbols.find(driver.DeviceGetCount, "cuDeviceGetCount");
  symbols.find(driver.DeviceGet, "cuDeviceGet");
  symbols.find(driver.DeviceGetName, "cuDeviceGetName");
  symbols.find(driver.DeviceGetAttribute, "cuDeviceGetAttribute");
  symbols.find(driver.DevicePrimaryCtxRetain, "cuDevicePrimaryCtxRetain");
  symbols.find(driver.DevicePrimaryCtxRelease, "cuDevicePrimaryCtxRelease_v2");
  symbols.find(driver.CtxPushCurrent, "cuCtxPushCurrent_v2");
  symbols.find(driver.CtxPopCurrent, "cuCtxPopCurrent_v2");
  symbols.find(driver.CtxSynchronize, "cuCtxSynchronize");
  symbols.find(driver.MemAlloc, "cuMemAlloc_v2");
  symbols.find(driver.MemFree, "cuMemFree_v2");
  symbols.find(driver.MemHostAlloc, "cuMemHostAlloc");
  symbols.find(driver.MemFreeHost, "cuMemFreeHost");
  symbols.find(driver.MemcpyHtoDAsync, "cuMemcpyHtoDAsync_v2");
  symbols.find(driver.MemcpyDtoHAsync, "cuMemcpyDtoHAsync_v2");
  symbols.find(driver.MemcpyDtoDAsync, "cuMemcpyDtoDAsync_v2");
  symbols.find(driver.MemsetD8Async, "cuMemsetD8Async");
  symbols.find(driver.PointerGetAttribute, "cuPointerGetAttribute");
  symbols.find(driver.ModuleLoadData, "cuModuleLoadData");
  symbols.find(driver.ModuleUnload, "cuModuleUnload");
  symbols.find(driver.ModuleGetFunction, "cuModuleGetFunction");
  symbols.find(driver.FuncSetAttribute, "cuFuncSetAttribute");
  symbols.find(driver.LaunchKernel, "cuLaunchKernel");
  symbols.find(driver.TensorMapEncodeTiled, "cuTensorMapEncodeTiled");
  symbols.find(driver.StreamCreate, "cuStreamCreate");
  symbols.find(driver.StreamSynchronize, "cuStreamSynchronize");
  symbols.find(driver.StreamDestroy, "cuStreamDestroy_v2");
  symbols.find(driver.StreamWaitEvent, "cuStreamWaitEvent");
  symbols.find(driver.StreamBeginCapture, "cuStreamBeginCapture_v2");
  symbols.find(driver.StreamEndCapture, "cuStreamEndCapture");
  symbols.find(driver.EventCreate, "cuEventCreate");
  symbols.find(driver.EventRecord, "cuEventRecord");
  symbols.find(driver.EventDestroy, "cuEventDestroy_v2");
  symbols.find(driver.GraphInstantiate, "cuGraphInstantiateWithFlags");
  symbols.find(driver.GraphLaunch, "cuGraphLaunch");
  symbols.find(driver.GraphExecDestroy, "cuGraphExecDestroy");
  symbols.find(driver.GraphDestroy, "cuGraphDestroy");
}

static std::string versionName(int version) {
  return text(version / 1000, ".", version % 1000 / 10);
}

static Driver loadDriver(const std::string &file, bool isSimulated) {
  Driver driver = {};
  driver.file = file;
  void *handle = dlopen(file.c_str(), RTLD_NOW | RTLD_LOCAL);
  if (!handle)
    fail(MOE_UNAVAILABLE, "cannot load the ",
         isSimulated ? "simulator" : "CUDA driver", " from '", file,
         "': ", dlerror(), "; MOE_CUDA names another file");
  findSymbols(driver, Symbols(handle, file));
  if (moe_cu_result result = driver.Init(0))
    fail(MOE_UNAVAILABLE, "cuInit: ", words(driver, result));
  int version = 0;
  check(driver, driver.DriverGetVersion(&version), "cuDriverGetVersion");
  if (version < oldestVersion)
    fail(MOE_UNAVAILABLE, "'", file, "' is a driver for CUDA ",
         versionName(version), ", expected one for CUDA ",
         versionName(oldestVersion), " or later");
  return driver;
}

/// The simulator is beside this library.
static std::string simulator() {
  Dl_info info;
  std::string self;
  if (dladdr(reinterpret_cast<const void *>(&moe_last_error), &info))
    self = info.dli_fname;
  size_t slash = self.rfind('/');
  return (slash == self.npos ? "" : self.substr(0, slash + 1)) +
         "libmoe_sim.so";
}

const Driver &driver(bool isSimulated) {
  static std::mutex mutex;
  // Never destroyed: memory may be freed while the program ends.
  static auto *drivers = new std::map<std::string, Driver>;
  const char *named = std::getenv("MOE_CUDA");
  std::string file = named && *named ? named
                     : isSimulated   ? simulator()
                                     : "libcuda.so.1";
  std::lock_guard<std::mutex> lock(mutex);
  auto place = drivers->find(file);
  if (place == drivers->end())
    place = drivers->emplace(file, loadDriver(file, isSimulated)).first;
  return place->second;
}

} // namespace moe::cuda
