//===- Weights.cpp - Weights of a layer -----------------------------------===//
//
// Part of moe-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
// Setting, borrowing and saving.
//
//===----------------------------------------------------------------------===//

#include "Device/CUDA/OnDevice.h"
#include "Safetensors.h"
#include "Status.h"
#include "Strips.h"

#include <algorithm>
#include <cstring>
#include <mutex>

namespace moe::runtime {

namespace {
/// A weight and the caller's tensor for it, which has been checked.
struct Given {
  SharedWeights::Slot &slot;
  const Weight &weight;
  const Slice &slice;
  bool isPacked; ///< by the code of the layer
  void *data;
  bool isWhole; ///< of which this rank has a slice
  bool isOnGPU;
};
} // namespace

static Given checkGiven(moe_layer &layer, const std::string &name,
                        const DLTensor &value, bool takesWhole) {
  int index = layer.manifest().findWeight(name);
  if (index < 0)
    fail(MOE_NOT_FOUND, "'", layer.manifest().name, "' has no weight '", name,
         "'");
  const Weight &weight = layer.manifest().weights[index];
  takesWhole &= weight.shard && weight.shard->whole != weight.shape;
  std::string expected = describe(weight.shape);
  if (takesWhole)
    expected += " or the whole, " + describe(weight.shard->whole);
  void *data = checkTensor(value, name, weight.dtype, weight.shape.size(),
                           expected, layer.device != nullptr);
  auto has = [&](const std::vector<int64_t> &shape) {
    return std::equal(shape.begin(), shape.end(), value.shape);
  };
  bool isWhole = takesWhole && has(weight.shard->whole);
  if (!isWhole && !has(weight.shape))
    fail(MOE_SHAPE_MISMATCH, "tensor '", name, "': expected ", expected,
         ", found ", describe(value.shape, weight.shape.size()));
  return {layer.weights->slots[index],        weight, layer.slices[index],
          isPackedBy(layer, size_t(index)),   data,   isWhole,
          value.device.device_type == kDLCUDA};
}

/// This rank's values, from those of the whole, as its code has them.
static Buffer valuesOf(const Given &given) {
  Buffer values;
  values.ensure(given.weight.byteSize);
  if (given.isWhole || given.slice.zero)
    copyOut(given.slice, given.data, values.data(), bytes(given.weight.dtype));
  else if (given.weight.byteSize)
    std::memcpy(values.data(), given.data, size_t(given.weight.byteSize));
  if (given.isPacked)
    toStrips(values.data(), given.weight);
  return values;
}

static void setWeight(moe_layer &layer, const std::string &name,
                      const DLTensor &value) {
  Given given = checkGiven(layer, name, value, true);
  Buffer brought;
  if (given.isOnGPU) {
    const std::vector<int64_t> &shape =
        given.isWhole ? given.weight.shard->whole : given.weight.shape;
    given.data = layer.device->bring(
        value, given.data, name,
        *byteCount(shape.data(), shape.size(), given.weight.dtype), brought);
  }
  if (given.isWhole || given.slice.zero || given.isPacked) {
    Buffer values = valuesOf(given);
    std::lock_guard<std::shared_mutex> lock(layer.weights->mutex);
    return given.slot.replace(values, given.isPacked);
  }
  std::lock_guard<std::shared_mutex> lock(layer.weights->mutex);
  given.slot.set(given.data, given.weight.byteSize);
}

static void borrowWeight(moe_layer &layer, const std::string &name,
                         const DLTensor &value) {
  Given given = checkGiven(layer, name, value, false);
  if (given.isPacked)
    return setWeight(layer, name, value);
  if (given.isOnGPU)
    layer.device->checkWeight(value, given.data, name);
  bool isZero = given.slice.zero;
  Buffer zeros;
  if (isZero) {
    zeros.ensure(given.weight.byteSize);
    std::memset(zeros.data(), 0, size_t(given.weight.byteSize));
  }
  std::lock_guard<std::shared_mutex> lock(layer.weights->mutex);
  if (isZero)
    return given.slot.replace(zeros, false);
  if (given.isOnGPU && given.weight.byteSize)
    return given.slot.borrowOnDevice(given.data);
  // A view of the layer's own memory is that memory already.
  if (!given.slot.version || given.data != given.slot.data())
    given.slot.borrow(given.data);
}

/// The values of a weight as this layer sees them: state that began as it and
/// may have changed since goes before what it began as.
static void *currentValues(const moe_layer &layer, size_t index) {
  const SharedWeights::Slot &slot = layer.weights->slots[index];
  for (size_t i = 0; i < layer.state.size(); ++i)
    if (layer.manifest().state[i].initialWeight == static_cast<int>(index) &&
        layer.state[i].weightVersion == slot.version)
      return layer.state[i].data.data();
  return hostValues(layer, index);
}

static void save(const moe_layer &layer, const std::string &path) {
  const Manifest &manifest = layer.manifest();
  if (layer.world)
    fail(MOE_INVALID_ARGUMENT,
         "a layer in a world has slices of its weights, which cannot be saved");
  std::shared_lock<std::shared_mutex> lock(layer.weights->mutex);
  if (layer.device) // what it began as may have changed there
    layer.device->fetchState(const_cast<moe_layer &>(layer));
  std::vector<DLTensor> views(manifest.weights.size());
  std::vector<moe_named_tensor> tensors;
  for (size_t i = 0; i < manifest.weights.size(); ++i) {
    const Weight &weight = manifest.weights[i];
    if (!layer.weights->slots[i].version)
      fail(MOE_WEIGHT_MISSING, "weight '", weight.name, "' was never set");
    views[i] = {};
    views[i].data = currentValues(layer, i);
    views[i].device = {kDLCPU, 0};
    views[i].ndim = static_cast<int32_t>(weight.shape.size());
    views[i].dtype = dlpack(weight.dtype);
    views[i].shape = const_cast<int64_t *>(weight.shape.data());
    tensors.push_back({weight.fileName.c_str(), &views[i]});
  }
  writeSafetensors(path, tensors.data(), tensors.size());
}

} // namespace moe::runtime

using namespace moe::runtime;

moe_status moe_layer_set_weight(moe_layer *layer, const char *name,
                                const DLTensor *value) {
  return guard([&] {
    requireSet(layer, "layer");
    requireSet(name, "name");
    requireSet(value, "value");
    setWeight(*layer, name, *value);
  });
}

moe_status moe_layer_borrow_weight(moe_layer *layer, const char *name,
                                   const DLTensor *value) {
  return guard([&] {
    requireSet(layer, "layer");
    requireSet(name, "name");
    requireSet(value, "value");
    borrowWeight(*layer, name, *value);
  });
}

moe_status moe_layer_save_weights(const moe_layer *layer, const char *path) {
  return guard([&] {
    requireSet(layer, "layer");
    requireSet(path, "path");
    save(*layer, path);
  });
}
