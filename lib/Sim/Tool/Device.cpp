//===- Device.cpp - One launch through the driver -------------------------===//
//
// Part of moe-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Device.h"

#include "moe/Sim/Image.h"

#include "llvm/ADT/STLExtras.h"
#include "llvm/ADT/StringSwitch.h"

#include <cstring>

using namespace llvm;
using namespace moe::sim;
using Address = unsigned long long;

namespace {
struct Attribute {
  int id;
  char pad[4];
  unsigned cluster[16];
};
struct Config {
  unsigned grid[3], block[3], shared;
  void *stream;
  Attribute *attributes;
  unsigned attributeCount;
};
struct alignas(64) Map {
  char bytes[128];
};
} // namespace

// Of libmoe_sim.so, which is linked.
extern "C" {
int cuInit(unsigned);
int cuDevicePrimaryCtxRetain(void **, int);
int cuCtxSetCurrent(void *);
int cuModuleLoadData(void **, const void *);
int cuModuleGetFunction(void **, void *, const char *);
int cuFuncSetAttribute(void *, int, int);
int cuMemAlloc_v2(Address *, size_t);
int cuMemcpyHtoDAsync_v2(Address, const void *, size_t, void *);
int cuMemcpyDtoHAsync_v2(void *, Address, size_t, void *);
int cuLaunchKernelEx(const Config *, void *, void **, void **);
int cuStreamSynchronize(void *);
int cuGetErrorName(int, const char **);
int cuTensorMapEncodeTiled(void *, int, unsigned, void *, const uint64_t *,
                           const uint64_t *, const uint32_t *, const uint32_t *,
                           int, int, int, int);
}

static Error check(int status, const Twine &what) {
  if (status == 0)
    return Error::success();
  const char *name = "an unknown error";
  cuGetErrorName(status, &name);
  return createStringError(what + " failed with " + name);
}

static Error place(Argument &buffer) {
  if (Error failed = check(cuMemAlloc_v2(&buffer.address, buffer.bytes.size()),
                           "cuMemAlloc"))
    return failed;
  if (!buffer.written)
    return Error::success();
  return check(cuMemcpyHtoDAsync_v2(buffer.address, buffer.bytes.data(),
                                    buffer.bytes.size(), nullptr),
               "cuMemcpyHtoDAsync");
}

static Error encode(const Argument &map, ArrayRef<Argument> arguments,
                    Map &result) {
  if (map.of >= arguments.size() || arguments[map.of].kind != Argument::Buffer)
    return createStringError("map of argument " + Twine(map.of) +
                             ", which is no buffer");
  const Argument &buffer = arguments[map.of];
  int type = StringSwitch<int>(buffer.type)
                 .Case("i8", 0)
                 .Case("i32", 3)
                 .Case("i64", 5)
                 .Case("f16", 6)
                 .Case("f32", 7)
                 .Default(9);
  std::vector<uint64_t> extents(map.extents.begin(), map.extents.end()),
      strides;
  std::vector<uint32_t> box(map.box.begin(), map.box.end()),
      ones(extents.size(), 1);
  uint64_t bytes = bytesOfType(buffer.type);
  for (uint64_t extent : extents)
    strides.push_back(bytes *= extent);
  int swizzle = map.swizzle == 128  ? 3
                : map.swizzle == 64 ? 2
                                    : map.swizzle == 32;
  return check(cuTensorMapEncodeTiled(
                   result.bytes, type, unsigned(extents.size()),
                   reinterpret_cast<void *>(buffer.address), extents.data(),
                   strides.data(), box.data(), ones.data(), 0, swizzle, 0, 0),
               "cuTensorMapEncodeTiled");
}

static Expected<void *> load(const void *data, StringRef kernel) {
  auto *image = static_cast<const moe_sim_image *>(data);
  std::string name = kernel.str();
  if (name.empty()) {
    if (image->kernels != 1)
      return createStringError(Twine(image->kernels) +
                               " kernels, --kernel says which");
    name = image->kernel[0].name;
  }
  void *module, *function;
  if (Error failed = check(cuModuleLoadData(&module, data), "cuModuleLoadData"))
    return failed;
  if (Error failed = check(cuModuleGetFunction(&function, module, name.c_str()),
                           "finding kernel '" + name + "'"))
    return failed;
  return function;
}

static Error launchWith(void *function, const Launch &launch,
                        MutableArrayRef<void *> parameters) {
  if (launch.shared > (48 << 10))
    if (Error failed =
            check(cuFuncSetAttribute(function, 8, int(launch.shared)),
                  "asking for shared memory"))
      return failed;
  Attribute cluster = {4, {}, {}};
  cluster.cluster[0] = launch.cluster.x;
  cluster.cluster[1] = launch.cluster.y;
  cluster.cluster[2] = launch.cluster.z;
  Config config = {{launch.grid.x, launch.grid.y, launch.grid.z},
                   {launch.block.x, launch.block.y, launch.block.z},
                   launch.shared,
                   nullptr,
                   &cluster,
                   1};
  if (Error failed =
          check(cuLaunchKernelEx(&config, function, parameters.data(), nullptr),
                "the launch"))
    return failed;
  return check(cuStreamSynchronize(nullptr), "the kernel");
}

Error moe::sim::runOnDevice(const void *image, Launch &launch) {
  void *context;
  if (Error failed = check(cuInit(0), "cuInit"))
    return failed;
  if (Error failed = check(cuDevicePrimaryCtxRetain(&context, 0),
                           "cuDevicePrimaryCtxRetain"))
    return failed;
  cuCtxSetCurrent(context);
  auto function = load(image, launch.kernel);
  if (!function)
    return function.takeError();
  std::vector<Map> maps(launch.arguments.size());
  std::vector<void *> parameters;
  for (auto [i, argument] : enumerate(launch.arguments)) {
    switch (argument.kind) {
    case Argument::Number:
      parameters.push_back(argument.bytes.data());
      break;
    case Argument::Buffer:
      if (Error failed = place(argument))
        return failed;
      parameters.push_back(&argument.address);
      break;
    case Argument::Map:
      if (Error failed = encode(argument, launch.arguments, maps[i]))
        return failed;
      parameters.push_back(maps[i].bytes);
      break;
    }
  }
  auto *loaded = static_cast<const moe_sim_image *>(image);
  for (int64_t i = 0; i < loaded->kernels; ++i) {
    const moe_sim_kernel &kernel = loaded->kernel[i];
    bool meant = launch.kernel.empty() || launch.kernel == kernel.name;
    if (meant && size_t(kernel.parameters) != parameters.size())
      return createStringError("kernel '" + Twine(kernel.name) + "' takes " +
                               Twine(kernel.parameters) + " arguments, not " +
                               Twine(parameters.size()));
  }
  if (Error failed = launchWith(*function, launch, parameters))
    return failed;
  for (Argument &argument : launch.arguments)
    if (argument.kind == Argument::Buffer)
      if (Error failed = check(
              cuMemcpyDtoHAsync_v2(argument.bytes.data(), argument.address,
                                   argument.bytes.size(), nullptr),
              "cuMemcpyDtoHAsync"))
        return failed;
  return Error::success();
}
