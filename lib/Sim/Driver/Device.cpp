//===- Device.cpp - What devices say of themselves ------------------------===//
//
// Part of moe-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "State.h"

#include <cstdio>

using namespace moe::sim;

MOE_SIM_CUDA cuDeviceGetCount(int *count) {
  Call call(Call::Initialized);
  if (call)
    return call.status;
  *count = int(state().contexts.size());
  return Success;
}

MOE_SIM_CUDA cuDeviceGet(int *device, int number) {
  Call call(Call::Initialized);
  if (call)
    return call.status;
  if (number < 0 || size_t(number) >= state().contexts.size())
    return InvalidDevice;
  *device = number;
  return Success;
}

MOE_SIM_CUDA cuDeviceGetName(char *name, int length, int device) {
  Call call(Call::Initialized);
  if (call)
    return call.status;
  if (length <= 0)
    return InvalidValue;
  std::snprintf(name, size_t(length), "moe-mlir simulator, sm_%u",
                state().settings.architecture);
  return Success;
}

MOE_SIM_CUDA cuDeviceTotalMem_v2(size_t *bytes, int device) {
  Call call(Call::Initialized);
  if (call)
    return call.status;
  *bytes = state().memory.total();
  return Success;
}

size_t moe::sim::sharedLimit() {
  switch (state().settings.architecture) {
  case 80:
    return 163 << 10;
  case 86:
  case 89:
    return 99 << 10;
  default:
    return 227 << 10;
  }
}

MOE_SIM_CUDA cuDeviceGetAttribute(int *value, int attribute, int device) {
  Call call(Call::Initialized);
  if (call)
    return call.status;
  int architecture = int(state().settings.architecture);
  bool hopper = architecture >= 90;
  switch (attribute) {
  case 1: // most threads of a block
  case 2:
  case 3: // and of its x and y
    *value = 1024;
    return Success;
  case 4: // and of its z
    *value = 64;
    return Success;
  case 5: // most blocks along x
    *value = 0x7fffffff;
    return Success;
  case 6:
  case 7:
    *value = 65535;
    return Success;
  case 8: // shared memory of a block that asks for nothing
    *value = 48 << 10;
    return Success;
  case 9: // constants
    *value = 64 << 10;
    return Success;
  case 10: // threads of a warp
    *value = 32;
    return Success;
  case 12: // registers of a block
  case 82: // and of a multiprocessor
    *value = 65536;
    return Success;
  case 13: // kHz, of processors
    *value = 1000000;
    return Success;
  case 36: // and of memory
    *value = 1000000;
    return Success;
  case 16: // multiprocessors
    *value = int(state().settings.multiprocessors);
    return Success;
  case 37: // bits of the way to memory
    *value = 5120;
    return Success;
  case 38: // second-level cache
    *value = 50 << 20;
    return Success;
  case 39: // threads of a multiprocessor
    *value = 2048;
    return Success;
  case 31:  // kernels at once
  case 41:  // one address space
  case 95:  // cooperative launches
  case 115: // cuMemAllocAsync
    *value = 1;
    return Success;
  case 75:
    *value = architecture / 10;
    return Success;
  case 76:
    *value = architecture % 10;
    return Success;
  case 81: // shared memory of a multiprocessor
    *value = int(sharedLimit() + 1024);
    return Success;
  case 97: // shared memory of a block that asks for it
    *value = int(sharedLimit());
    return Success;
  case 111: // of it, for the driver
    *value = 1024;
    return Success;
  case 120: // clusters
  case 127: // tensor maps
    *value = hopper;
    return Success;
  default:
    *value = 0;
    return Success;
  }
}
