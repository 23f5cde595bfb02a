//===- Functions.cpp - Kernels and launches -------------------------------===//
//
// Part of moe-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "State.h"

#include <cstdio>
#include <cstring>

using namespace moe::sim;

static Function *functionOf(void *handle) {
  for (Module *module : state().modules)
    for (auto &[name, function] : module->functions)
      if (&function == handle)
        return &function;
  return nullptr;
}

MOE_SIM_CUDA cuFuncSetAttribute(void *handle, int attribute, int value) {
  Call call;
  if (call)
    return call.status;
  enum { DynamicShared = 8, Carveout = 9, LargeClusters = 14 };
  Function *function = functionOf(handle);
  if (!function)
    return InvalidHandle;
  switch (attribute) {
  case DynamicShared:
    if (value < 0 ||
        size_t(value) + size_t(function->kernel->static_shared) > sharedLimit())
      return InvalidValue;
    function->dynamicLimit = size_t(value);
    return Success;
  case Carveout:
    return value >= -1 && value <= 100 ? Success : InvalidValue;
  case LargeClusters:
    function->largeClusters = value != 0;
    return Success;
  default:
    return InvalidValue;
  }
}

MOE_SIM_CUDA cuFuncGetAttribute(int *value, int attribute, void *handle) {
  Call call;
  if (call)
    return call.status;
  enum { MaxThreads = 0, StaticShared = 1, DynamicShared = 8 };
  Function *function = functionOf(handle);
  if (!function)
    return InvalidHandle;
  const moe_sim_kernel &kernel = *function->kernel;
  switch (attribute) {
  case MaxThreads:
    *value = kernel.max_threads ? int(kernel.max_threads) : 1024;
    return Success;
  case StaticShared:
    *value = int(kernel.static_shared);
    return Success;
  case DynamicShared:
    *value = int(function->dynamicLimit);
    return Success;
  default:
    *value = 0; // registers and the like, of which there are none
    return Success;
  }
}

namespace {
/// What a launch keeps of its parameters until it runs.
struct Parameters {
  std::vector<char> memory;
  std::vector<size_t> offsets;

  Parameters(const moe_sim_kernel &kernel, void *const *values) {
    size_t end = 0;
    for (int64_t i = 0; i < kernel.parameters; ++i) {
      size_t size = size_t(kernel.parameter_sizes[i]);
      end = (end + 63) / 64 * 64; // as tensor maps need
      offsets.push_back(end);
      end += size;
    }
    memory.resize(end + 64);
    for (int64_t i = 0; i < kernel.parameters; ++i)
      std::memcpy(at(size_t(i)), values[i], size_t(kernel.parameter_sizes[i]));
  }
  char *base() {
    auto address = reinterpret_cast<uintptr_t>(memory.data());
    return reinterpret_cast<char *>((address + 63) / 64 * 64);
  }
  char *at(size_t i) { return base() + offsets[i]; }
};

struct Shape {
  Dim3 grid, block, cluster;
  size_t dynamicShared;
};
} // namespace

static int refuse(const Function &function, const std::string &words) {
  std::string all = text("kernel ", function.kernel->name, ": ", words);
  std::fprintf(stderr, "moe-sim: error: %s\n", all.c_str());
  state().report = all + "\n";
  return InvalidValue;
}

static int checkShape(const Function &function, const Shape &shape) {
  const moe_sim_kernel &kernel = *function.kernel;
  auto [grid, block, cluster, dynamicShared] = shape;
  size_t most = kernel.max_threads ? size_t(kernel.max_threads) : 1024;
  if (grid.count() == 0 || grid.x > 0x7fffffff || grid.y > 65535 ||
      grid.z > 65535)
    return refuse(function, text("a grid of ", text(grid), " blocks"));
  if (block.count() == 0 || block.x > 1024 || block.y > 1024 || block.z > 64 ||
      block.count() > most)
    return refuse(function, text("a block of ", text(block), " threads, of ",
                                 most, " at most"));
  if (dynamicShared > function.dynamicLimit)
    return refuse(function,
                  text(dynamicShared, " bytes of dynamic shared memory, of ",
                       function.dynamicLimit, " that its attribute allows"));
  if (dynamicShared + size_t(kernel.static_shared) > sharedLimit())
    return refuse(function, text(dynamicShared + size_t(kernel.static_shared),
                                 " bytes of shared memory, of ", sharedLimit(),
                                 " that a block can have"));
  if (cluster.count() == 0 ||
      cluster.count() > (function.largeClusters ? 16 : 8) ||
      grid.x % cluster.x || grid.y % cluster.y || grid.z % cluster.z)
    return refuse(function, text("clusters of ", text(cluster),
                                 " in a grid of ", text(grid)));
  if (cluster.count() > 1 && state().settings.architecture < 90)
    return refuse(function, "clusters before sm_90");
  return Success;
}

static int perform(const Function &function, const Shape &shape,
                   Parameters &parameters) {
  State &all = state();
  Launch launch;
  launch.image = function.module->image;
  launch.kernel = function.kernel;
  launch.grid = shape.grid;
  launch.block = shape.block;
  launch.cluster = shape.cluster;
  launch.dynamicShared = shape.dynamicShared;
  for (size_t i = 0; i < parameters.offsets.size(); ++i)
    launch.parameters.push_back(parameters.at(i));
  launch.parameterBase = parameters.base();
  launch.parameterBytes = parameters.memory.size();
  launch.multiprocessors = all.settings.multiprocessors;
  launch.memory = &all.memory;
  launch.random = &all.random;
  launch.electSeed = all.random.next();
  launch.preempt = all.settings.preempt;
  std::optional<Report> report = run(launch);
  if (!report)
    return Success;
  all.report = report->text;
  std::fprintf(stderr, "moe-sim: error: %s  seed %llu\n", report->text.c_str(),
               static_cast<unsigned long long>(all.settings.seed));
  return status(report->fault);
}

static int launch(void *handle, Shape shape, void *streamHandle,
                  void **values) {
  Function *function = functionOf(handle);
  Stream *stream = streamOf(streamHandle);
  if (!function || !stream)
    return InvalidHandle;
  const moe_sim_kernel &kernel = *function->kernel;
  if (kernel.parameters && !values)
    return InvalidValue;
  const int64_t *cluster = kernel.cluster;
  if (cluster[0])
    shape.cluster = {unsigned(cluster[0]), unsigned(cluster[1]),
                     unsigned(cluster[2])};
  if (int status = checkShape(*function, shape))
    return status;
  ++state().launchCalls;
  auto parameters = std::make_shared<Parameters>(kernel, values);
  enqueue(*stream, [function, shape, parameters] {
    return perform(*function, shape, *parameters);
  });
  return Success;
}

MOE_SIM_CUDA cuLaunchKernel(void *function, unsigned gridX, unsigned gridY,
                            unsigned gridZ, unsigned blockX, unsigned blockY,
                            unsigned blockZ, unsigned shared, void *stream,
                            void **parameters, void **extra) {
  Call call;
  if (call)
    return call.status;
  if (extra)
    return NotSupported;
  return launch(
      function,
      {{gridX, gridY, gridZ}, {blockX, blockY, blockZ}, {1, 1, 1}, shared},
      stream, parameters);
}

namespace {
struct Attribute {
  int id;
  char pad[4];
  union {
    char bytes[64];
    struct {
      unsigned x, y, z;
    } cluster;
  } value;
};

struct Config {
  unsigned gridX, gridY, gridZ, blockX, blockY, blockZ, shared;
  void *stream;
  Attribute *attributes;
  unsigned attributeCount;
};
} // namespace

MOE_SIM_CUDA cuLaunchKernelEx(const Config *config, void *function,
                              void **parameters, void **extra) {
  Call call;
  if (call)
    return call.status;
  if (!config)
    return InvalidValue;
  if (extra)
    return NotSupported;
  // Those that only concern when a kernel starts change nothing here.
  enum {
    Ignore = 0,
    Cooperative = 2,
    ClusterDimension = 4,
    ClusterPolicy = 5,
    ProgrammaticSerialization = 6,
    Priority = 8
  };
  Shape shape = {{config->gridX, config->gridY, config->gridZ},
                 {config->blockX, config->blockY, config->blockZ},
                 {1, 1, 1},
                 config->shared};
  for (unsigned i = 0; i < config->attributeCount; ++i) {
    const Attribute &attribute = config->attributes[i];
    switch (attribute.id) {
    case ClusterDimension:
      shape.cluster = {attribute.value.cluster.x, attribute.value.cluster.y,
                       attribute.value.cluster.z};
      break;
    case Ignore:
    case ClusterPolicy:
    case ProgrammaticSerialization:
    case Priority:
      break;
    default:
      return NotSupported;
    }
  }
  return launch(function, shape, config->stream, parameters);
}
