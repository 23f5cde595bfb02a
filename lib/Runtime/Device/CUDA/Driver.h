//===- Driver.h - The CUDA driver, loaded -----------------------*- C++ -*-===//
//
// Part of moe-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef MOE_LIB_RUNTIME_DEVICE_CUDA_DRIVER_H
#define MOE_LIB_RUNTIME_DEVICE_CUDA_DRIVER_H

#include "moe/Runtime/Cuda.h"

#include <string>

namespace moe::cuda {

/// Functions of the driver, without the `cu` of their names.
struct Driver {
  moe_cu_result (*Init)(unsigned);
  moe_cu_result (*DriverGetVersion)(int *);
  moe_cu_result (*GetErrorString)(moe_cu_result, const char **);
  moe_cu_result (*DeviceGetCount)(int *);
  moe_cu_result (*DeviceGet)(moe_cu_device *, int);
  moe_cu_result (*DeviceGetName)(char *, int, moe_cu_device);
  moe_cu_result (*DeviceGetAttribute)(int *, int, moe_cu_device);
  moe_cu_result (*DevicePrimaryCtxRetain)(moe_cu_context *, moe_cu_device);
  moe_cu_result (*DevicePrimaryCtxRelease)(moe_cu_device);
  moe_cu_result (*CtxPushCurrent)(moe_cu_context);
  moe_cu_result (*CtxPopCurrent)(moe_cu_context *);
  moe_cu_result (*CtxSynchronize)();
  moe_cu_result (*MemAlloc)(moe_cu_address *, size_t);
  moe_cu_result (*MemFree)(moe_cu_address);
  moe_cu_result (*MemHostAlloc)(void **, size_t, unsigned);
  moe_cu_result (*MemFreeHost)(void *);
  moe_cu_result (*MemcpyHtoDAsync)(moe_cu_address, const void *, size_t,
                                   moe_cu_stream);
  moe_cu_result (*MemcpyDtoHAsync)(void *, moe_cu_address, size_t,
                                   moe_cu_stream);
  moe_cu_result (*MemcpyDtoDAsync)(moe_cu_address, moe_cu_address, size_t,
                                   moe_cu_stream);
  moe_cu_result (*MemsetD8Async)(moe_cu_address, unsigned char, size_t,
                                 moe_cu_stream);
  moe_cu_result (*PointerGetAttribute)(void *, int, moe_cu_address);
  moe_cu_result (*ModuleLoadData)(moe_cu_module *, const void *);
  moe_cu_result (*ModuleUnload)(moe_cu_module);
  moe_cu_result (*ModuleGetFunction)(moe_cu_function *, moe_cu_module,
                                     const char *);
  moe_cu_result (*FuncSetAttribute)(moe_cu_function, int, int);
  moe_cu_result (*LaunchKernel)(moe_cu_function, unsigned, unsigned, unsigned,
                                unsigned, unsigned, unsigned, unsigned,
                                moe_cu_stream, void **, void **);
  moe_cu_result (*TensorMapEncodeTiled)(void *, int, unsigned, void *,
                                        const uint64_t *, const uint64_t *,
                                        const uint32_t *, const uint32_t *, int,
                                        int, int, int);
  moe_cu_result (*StreamCreate)(moe_cu_stream *, unsigned);
  moe_cu_result (*StreamSynchronize)(moe_cu_stream);
  moe_cu_result (*StreamDestroy)(moe_cu_stream);
  moe_cu_result (*StreamWaitEvent)(moe_cu_stream, moe_cu_event, unsigned);
  moe_cu_result (*StreamBeginCapture)(moe_cu_stream, int);
  moe_cu_result (*StreamEndCapture)(moe_cu_stream, moe_cu_graph *);
  moe_cu_result (*EventCreate)(moe_cu_event *, unsigned);
  moe_cu_result (*EventRecord)(moe_cu_event, moe_cu_stream);
  moe_cu_result (*EventDestroy)(moe_cu_event);
  moe_cu_result (*GraphInstantiate)(moe_cu_graph_exec *, moe_cu_graph,
                                    unsigned long long);
  moe_cu_result (*GraphLaunch)(moe_cu_graph_exec, moe_cu_stream);
  moe_cu_result (*GraphExecDestroy)(moe_cu_graph_exec);
  moe_cu_result (*GraphDestroy)(moe_cu_graph);

  std::string file;
};

/// The driver, loaded and initialised once; it stays for the life of the
/// process. From the file that MOE_CUDA names, or else from where the system
/// looks. Fails with MOE_UNAVAILABLE where it is not there or too old.
const Driver &driver(bool isSimulated);

/// What the driver says about a result.
std::string words(const Driver &driver, moe_cu_result result);

/// Fails unless `result` is success: with MOE_OUT_OF_MEMORY or else with
/// MOE_DEVICE_FAILED.
void check(const Driver &driver, moe_cu_result result, const char *call);

} // namespace moe::cuda

#endif // MOE_LIB_RUNTIME_DEVICE_CUDA_DRIVER_H
