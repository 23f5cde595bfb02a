//===- Choice.cpp - What a layer runs -------------------------------------===//
//
// Part of moe-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
// A package has code for CPUs, for a device, or for both. That there is no GPU
// here, or none that the kernels are for, leads to the CPU; a GPU that fails
// does not.
//
//===----------------------------------------------------------------------===//

#include "Choice.h"
#include "Collective/World.h"
#include "Status.h"

#include "moe/Support/Suggest.h"

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <map>
#include <mutex>

namespace moe::runtime {

/// In the order in which they are tried: what is a tool for tests comes last.
static constexpr DeviceKind order[] = {DeviceKind::cuda, DeviceKind::cpu,
                                       DeviceKind::sim};

static bool has(const Manifest &manifest, DeviceKind kind) {
  return std::any_of(manifest.variants.begin(), manifest.variants.end(),
                     [&](const Variant &v) { return v.kind == kind; });
}

static std::vector<DeviceKind> kindsOf(const Manifest &manifest) {
  std::vector<DeviceKind> kinds;
  for (DeviceKind kind : order)
    if (has(manifest, kind))
      kinds.push_back(kind);
  return kinds;
}

/// The device that `name` is, if the package has code for it.
static DeviceKind findKind(const Manifest &manifest, std::string_view name,
                           const char *asker) {
  std::vector<std::string_view> known;
  std::string all;
  for (DeviceKind kind : kindsOf(manifest)) {
    if (name == runtime::name(kind))
      return kind;
    known.push_back(runtime::name(kind));
    all += text(all.empty() ? "" : ", ", runtime::name(kind));
  }
  std::vector<std::string_view> devices;
  for (DeviceKind kind : order)
    devices.push_back(runtime::name(kind));
  bool isDevice =
      std::find(devices.begin(), devices.end(), name) != devices.end();
  fail(isDevice ? MOE_NOT_FOUND : MOE_INVALID_ARGUMENT, "'", manifest.name,
       "' has no code for device '", name, "'", asker, "; it has ", all,
       isDevice ? "" : didYouMean(name, known));
}

/// Layers of one package on one device share its module.
static std::shared_ptr<cuda::Kernels>
loadKernels(const moe_kernels &code, const std::string &package,
            std::shared_ptr<const cuda::Device> device) {
  using Key = std::pair<const moe_kernels *, const cuda::Device *>;
  static std::mutex mutex;
  static std::map<Key, std::weak_ptr<cuda::Kernels>> loaded;
  std::lock_guard<std::mutex> lock(mutex);
  std::weak_ptr<cuda::Kernels> &known = loaded[{&code, device.get()}];
  std::shared_ptr<cuda::Kernels> kernels = known.lock();
  if (!kernels)
    known = kernels = std::make_shared<cuda::Kernels>(device, code, package);
  return kernels;
}

/// The code for a kind of device that fits the device best, loaded.
static Choice chooseKernels(const LoadedPackage &package, DeviceKind kind,
                            const moe_world *world) {
  const Manifest &manifest = package.manifest;
  std::shared_ptr<const cuda::Device> device =
      cuda::openDevice(kind == DeviceKind::sim, world ? world->local() : 0);
  std::optional<size_t> best;
  int bestScore = 0;
  std::string all;
  for (size_t i = 0; i < manifest.variants.size(); ++i) {
    const Variant &variant = manifest.variants[i];
    if (variant.kind != kind || !package.variants[i].lacking.empty())
      continue;
    for (const std::string &arch : variant.architectures)
      all += text(all.empty() ? "" : ", ", arch);
    int score =
        cuda::bestScore(*package.variants[i].kernels, device->capability());
    if (score > bestScore) {
      best = i;
      bestScore = score;
    }
  }
  if (!best)
    fail(MOE_GPU_MISMATCH, "'", manifest.name, "' has no code for ",
         device->name(), ", which is sm_", device->capability(), "; it has ",
         all);
  return {*best, loadKernels(*package.variants[*best].kernels, manifest.name,
                             std::move(device))};
}

static Choice chooseFor(const LoadedPackage &package, DeviceKind kind,
                        const moe_layer_options &options) {
  const char *cpu = options.cpu;
  if (kind == DeviceKind::cpu)
    return {chooseVariant(package, cpu), nullptr};
  Choice choice = chooseKernels(package, kind, options.world);
  const std::string &host = package.manifest.variants[choice.variant].cpu;
  if (cpu && host != cpu)
    fail(MOE_NOT_FOUND, "'", package.manifest.name, "' has no code for cpu '",
         cpu, "' on device '", runtime::name(kind), "'; it has ", host);
  return choice;
}

/// Whether another device may do what this one cannot.
static bool isAbsence(moe_status status) {
  return status == MOE_UNAVAILABLE || status == MOE_GPU_MISMATCH ||
         status == MOE_CPU_MISMATCH;
}

static Choice chooseAny(const LoadedPackage &package,
                        const moe_layer_options &options) {
  std::vector<DeviceKind> kinds = kindsOf(package.manifest);
  if (kinds.size() == 1)
    return chooseFor(package, kinds[0], options);
  std::string reasons;
  for (DeviceKind kind : kinds) {
    try {
      return chooseFor(package, kind, options);
    } catch (const Error &error) {
      if (!isAbsence(error.status))
        throw;
      reasons += text(reasons.empty() ? "" : "; ", "on '", runtime::name(kind),
                      "': ", error.message);
    }
  }
  fail(MOE_UNAVAILABLE, "'", package.manifest.name,
       "' cannot run on any device that it has code for: ", reasons);
}

Choice chooseCode(const LoadedPackage &package,
                  const moe_layer_options &options) {
  const Manifest &manifest = package.manifest;
  if (options.device)
    return chooseFor(package, findKind(manifest, options.device, ""), options);
  const char *wanted = std::getenv("MOE_DEVICE");
  if (wanted && *wanted)
    return chooseFor(package,
                     findKind(manifest, wanted, ", which MOE_DEVICE asks for"),
                     options);
  if (options.cpu && has(manifest, DeviceKind::cpu))
    return chooseFor(package, DeviceKind::cpu, options);
  return chooseAny(package, options);
}

} // namespace moe::runtime
