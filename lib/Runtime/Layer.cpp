//===- Layer.cpp - Life of a layer ----------------------------------------===//
//
// Part of moe-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
// Creation, sharing, state, and views of what a layer holds.
//
//===----------------------------------------------------------------------===//

#include "Choice.h"
#include "Device/CUDA/OnDevice.h"
#include "Ranks.h"

#include <cstring>

namespace moe::runtime {

static void resetState(moe_layer &layer) {
  for (size_t i = 0; i < layer.state.size(); ++i) {
    StateSlot &slot = layer.state[i];
    slot.weightVersion = 0;
    std::memset(slot.data.data(), 0, layer.manifest().state[i].byteSize);
  }
  if (layer.device)
    layer.device->stateChanged();
}

static std::unique_ptr<moe_layer>
makeLayer(std::shared_ptr<const LoadedPackage> package, Choice choice,
          std::shared_ptr<SharedWeights> weights, moe_world *world,
          std::shared_ptr<DeviceWeights> onDevice = nullptr) {
  auto layer = std::make_unique<moe_layer>();
  layer->package = std::move(package);
  layer->variant = choice.variant;
  layer->weights = std::move(weights);
  layer->world = world;
  const Manifest &manifest = layer->manifest();
  layer->slices = slicesOf(manifest, world ? world->rank() : 0);
  layer->state.resize(manifest.state.size());
  for (size_t i = 0; i < manifest.state.size(); ++i)
    layer->state[i].data.ensure(manifest.state[i].byteSize);
  resetState(*layer);
  if (choice.kernels)
    layer->device = std::make_unique<OnDevice>(
        *layer->package, std::move(choice.kernels), std::move(onDevice), world);
  layer->functions.resize(manifest.functions.size());
  for (size_t i = 0; i < manifest.functions.size(); ++i) {
    const Function &function = manifest.functions[i];
    FunctionState &state = layer->functions[i];
    state.sizes.reserve(function.sizes.size());
    state.buffers.resize(function.arguments.size());
    state.pointers.resize(function.arguments.size() + 2);
    const std::vector<Collective> &collectives =
        layer->device && function.deviceCollectives
            ? *function.deviceCollectives
            : function.collectives;
    if (world && !collectives.empty())
      state.exchange = std::make_unique<Exchange>(
          *world, manifest.grid, collectives,
          layer->device ? layer->device->exchangeSpace() : nullptr);
    for (const Argument &argument : function.arguments)
      state.shapes.emplace_back(argument.shape.size());
  }
  return layer;
}

void *hostValues(const moe_layer &layer, size_t weight) {
  const SharedWeights::Slot &slot = layer.weights->slots[weight];
  return slot.onDevice() ? layer.device->fetchWeight(layer, weight)
                         : slot.data();
}

void refreshState(moe_layer &layer) {
  for (size_t i = 0; i < layer.state.size(); ++i) {
    const State &state = layer.manifest().state[i];
    StateSlot &slot = layer.state[i];
    if (state.initialWeight < 0)
      continue;
    const SharedWeights::Slot &weight =
        layer.weights->slots[state.initialWeight];
    if (weight.version == slot.weightVersion)
      continue;
    if (layer.device) // the rest of the state goes on from where it is
      layer.device->fetchState(layer);
    std::memcpy(slot.data.data(),
                hostValues(layer, size_t(state.initialWeight)), state.byteSize);
    slot.weightVersion = weight.version;
    if (layer.device)
      layer.device->stateChanged();
  }
}

/// A layer with weights of its own.
static std::unique_ptr<moe_layer>
makeLayer(std::shared_ptr<const LoadedPackage> package,
          const moe_layer_options &options) {
  Choice choice = chooseCode(*package, options);
  auto weights = std::make_shared<SharedWeights>();
  weights->slots =
      std::vector<SharedWeights::Slot>(package->manifest.weights.size());
  return makeLayer(std::move(package), std::move(choice), std::move(weights),
                   options.world);
}

/// Others are met once nothing here can fail any more.
static std::unique_ptr<moe_layer>
makeLayerIn(moe_world &world, std::shared_ptr<const LoadedPackage> package,
            const moe_layer_options &options) {
  std::unique_ptr<moe_layer> layer;
  amongRanks(&world, [&] {
    checkGrid(world, package->manifest.grid);
    layer = makeLayer(std::move(package), options);
    meetOthers(*layer);
  });
  return layer;
}

static DLTensor makeView(void *data, DType dtype,
                         const std::vector<int64_t> &shape) {
  DLTensor view = {};
  view.data = data;
  view.device = {kDLCPU, 0};
  view.ndim = static_cast<int32_t>(shape.size());
  view.dtype = dlpack(dtype);
  // DLPack has no const: the shape is for reading.
  view.shape = const_cast<int64_t *>(shape.data());
  return view;
}

/// The plan tensor of the function that ran last, of those that have it.
static bool findPlan(moe_layer &layer, const std::string &name,
                     DLTensor &view) {
  uint64_t newest = 0;
  for (size_t f = 0; f < layer.functions.size(); ++f) {
    const FunctionState &state = layer.functions[f];
    int i = layer.manifest().functions[f].find(name);
    if (i < 0 || state.lastRun <= newest)
      continue;
    const Argument &argument = layer.manifest().functions[f].arguments[i];
    if (argument.role != Role::plan)
      continue;
    newest = state.lastRun;
    if (layer.device)
      layer.device->fetchPlan(layer, f, size_t(i));
    view = makeView(state.buffers[i].data(), argument.dtype, state.shapes[i]);
  }
  return newest;
}

/// Whether some function has such a plan tensor, run or not.
static bool declaresPlan(const Manifest &manifest, const std::string &name) {
  for (const Function &function : manifest.functions) {
    int i = function.find(name);
    if (i >= 0 && function.arguments[i].role == Role::plan)
      return true;
  }
  return false;
}

static DLTensor getView(moe_layer &layer, const std::string &name) {
  DLTensor view;
  const Manifest &manifest = layer.manifest();
  if (findPlan(layer, name, view))
    return view;
  std::shared_lock<std::shared_mutex> lock(layer.weights->mutex);
  if (int i = manifest.findState(name); i >= 0) {
    refreshState(layer);
    if (layer.device)
      layer.device->fetchState(layer);
    return makeView(layer.state[i].data.data(), manifest.state[i].dtype,
                    manifest.state[i].shape);
  }
  if (int i = manifest.findWeight(name); i >= 0) {
    const SharedWeights::Slot &slot = layer.weights->slots[i];
    if (!slot.version)
      fail(MOE_WEIGHT_MISSING, "weight '", name, "' was never set");
    return makeView(hostValues(layer, size_t(i)), manifest.weights[i].dtype,
                    manifest.weights[i].shape);
  }
  if (declaresPlan(manifest, name))
    fail(MOE_NOT_FOUND, "there is no '", name, "' before the first run");
  fail(MOE_NOT_FOUND, "'", manifest.name, "' has no tensor '", name, "'");
}

} // namespace moe::runtime

using namespace moe::runtime;

moe_layer::moe_layer() = default;
moe_layer::~moe_layer() = default;

moe_status moe_layer_create(const moe_package *package, moe_layer **layer) {
  return moe_layer_create_for(package, nullptr, layer);
}

moe_status moe_layer_create_for(const moe_package *package, const char *cpu,
                                moe_layer **layer) {
  moe_layer_options options = {nullptr, cpu, nullptr};
  return moe_layer_create_with(package, &options, layer);
}

moe_status moe_layer_create_with(const moe_package *package,
                                 const moe_layer_options *options,
                                 moe_layer **layer) {
  return guard([&] {
    requireSet(package, "package");
    requireSet(options, "options");
    requireSet(layer, "layer");
    *layer = nullptr;
    std::shared_ptr<const LoadedPackage> loaded = findPackage(package);
    if (options->world) {
      *layer =
          makeLayerIn(*options->world, std::move(loaded), *options).release();
      return;
    }
    requireOneRank(loaded->manifest);
    *layer = makeLayer(std::move(loaded), *options).release();
  });
}

moe_status moe_layer_create_in(const moe_package *package, const char *cpu,
                               moe_world *world, moe_layer **layer) {
  return guard([&] {
    requireSet(package, "package");
    requireSet(world, "world");
    requireSet(layer, "layer");
    *layer = nullptr;
    moe_layer_options options = {nullptr, cpu, world};
    *layer = makeLayerIn(*world, findPackage(package), options).release();
  });
}

moe_status moe_layer_share(const moe_layer *layer, moe_layer **shared) {
  return guard([&] {
    requireSet(layer, "layer");
    requireSet(shared, "shared");
    *shared = nullptr;
    if (layer->world)
      fail(MOE_INVALID_ARGUMENT,
           "a layer in a world cannot be shared, as its ranks run together");
    *shared =
        makeLayer(
            layer->package,
            {layer->variant, layer->device ? layer->device->code() : nullptr},
            layer->weights, nullptr,
            layer->device ? layer->device->sharedWeights() : nullptr)
            .release();
  });
}

const char *moe_layer_cpu(const moe_layer *layer) {
  return layer ? layer->manifest().variants[layer->variant].cpu.c_str()
               : nullptr;
}

const char *moe_layer_device(const moe_layer *layer) {
  return layer ? name(layer->manifest().variants[layer->variant].kind)
               : nullptr;
}

void moe_layer_destroy(moe_layer *layer) { delete layer; }

moe_status moe_layer_get(moe_layer *layer, const char *name, DLTensor *view) {
  return guard([&] {
    requireSet(layer, "layer");
    requireSet(name, "name");
    requireSet(view, "view");
    *view = getView(*layer, name);
  });
}

moe_status moe_layer_reset(moe_layer *layer) {
  return guard([&] {
    requireSet(layer, "layer");
    resetState(*layer);
  });
}
