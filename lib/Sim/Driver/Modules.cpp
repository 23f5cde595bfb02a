//===- Modules.cpp - Modules, and what kernels call -----------------------===//
//
// Part of moe-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "State.h"

#include <cstdio>
#include <cstring>
#include <dlfcn.h>

using namespace moe::sim;

/// In this library, wherever it has been loaded from.
static void *callNamed(const char *name) {
  static void *own = [] {
    Dl_info info;
    dladdr(reinterpret_cast<void *>(&callNamed), &info);
    return dlopen(info.dli_fname, RTLD_NOW | RTLD_NOLOAD);
  }();
  return dlsym(own ? own : RTLD_DEFAULT, name);
}

static int refuse(int status, const std::string &words) {
  std::fprintf(stderr, "moe-sim: error: %s\n", words.c_str());
  state().report = words + "\n";
  return status;
}

static int checkImage(const moe_sim_image *image) {
  if (!image)
    return InvalidValue;
  if (std::memcmp(image->magic, MOE_SIM_MAGIC, sizeof image->magic) != 0)
    return refuse(InvalidImage,
                  "the image is not one for the simulator, expected one that "
                  "--target=sim makes");
  unsigned device = state().settings.architecture;
  if (image->architecture > device)
    return refuse(NoBinaryForGpu,
                  text("the image is for sm_", image->architecture,
                       ", the simulated device is sm_", device,
                       "; MOE_SIM_ARCH chooses another"));
  for (int64_t i = 0; i < image->calls; ++i) {
    void *address = callNamed(image->call[i].name);
    if (!address)
      return refuse(InvalidImage,
                    text("the image needs '", image->call[i].name,
                         "', which this simulator does not have"));
    *image->call[i].slot = address;
  }
  return Success;
}

MOE_SIM_CUDA cuModuleLoadData(void **handle, const void *data) {
  Call call;
  if (call)
    return call.status;
  auto *image = static_cast<const moe_sim_image *>(data);
  if (int status = checkImage(image))
    return status;
  auto *module = new Module{image, currentContext(), {}};
  for (int64_t i = 0; i < image->kernels; ++i) {
    const moe_sim_kernel &kernel = image->kernel[i];
    module->functions[kernel.name] = {module, &kernel};
  }
  for (int64_t i = 0; i < image->globals; ++i) {
    const moe_sim_global &global = image->global[i];
    state().memory.adopt(global.address, size_t(global.size), global.name);
  }
  state().modules.insert(module);
  *handle = module;
  return Success;
}

MOE_SIM_CUDA cuModuleLoadDataEx(void **handle, const void *data, unsigned,
                                int *, void **) {
  return cuModuleLoadData(handle, data);
}

static Module *moduleOf(void *handle) {
  auto &modules = state().modules;
  auto found = modules.find(static_cast<Module *>(handle));
  return found == modules.end() ? nullptr : *found;
}

MOE_SIM_CUDA cuModuleUnload(void *handle) {
  Call call(Call::Initialized);
  if (call)
    return call.status;
  Module *module = moduleOf(handle);
  if (!module)
    return InvalidHandle;
  if (!state().sticky)
    drainContext(module->context);
  for (int64_t i = 0; i < module->image->globals; ++i)
    state().memory.disown(module->image->global[i].address);
  state().modules.erase(module);
  delete module;
  return Success;
}

MOE_SIM_CUDA cuModuleGetFunction(void **handle, void *moduleHandle,
                                 const char *name) {
  Call call;
  if (call)
    return call.status;
  Module *module = moduleOf(moduleHandle);
  if (!module)
    return InvalidHandle;
  auto found = module->functions.find(name);
  if (found == module->functions.end())
    return NotFound;
  *handle = &found->second;
  return Success;
}

MOE_SIM_CUDA cuModuleGetGlobal_v2(unsigned long long *address, size_t *bytes,
                                  void *moduleHandle, const char *name) {
  Call call;
  if (call)
    return call.status;
  Module *module = moduleOf(moduleHandle);
  if (!module)
    return InvalidHandle;
  for (int64_t i = 0; i < module->image->globals; ++i) {
    const moe_sim_global &global = module->image->global[i];
    if (std::strcmp(global.name, name) != 0)
      continue;
    if (address)
      *address = reinterpret_cast<unsigned long long>(global.address);
    if (bytes)
      *bytes = size_t(global.size);
    return Success;
  }
  return NotFound;
}
