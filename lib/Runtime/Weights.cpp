//===- Weights.cpp - Weights of a layer -----------------------------------===//
//
// Part of moe-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
// Setting, loading and saving. A load reads everything into new memory and
// replaces what the layer had at the end, in one step that cannot fail.
//
//===----------------------------------------------------------------------===//

#include "Layer.h"
#include "Safetensors.h"
#include "Status.h"

#include <algorithm>
#include <cstring>
#include <map>
#include <mutex>

namespace moe::runtime {

namespace {
/// One weight's place in a file.
struct Source {
  const File *file;
  SafetensorsEntry entry;
};

struct OpenFile {
  std::unique_ptr<File> file;
  SafetensorsHeader header;
};
} // namespace

static bool endsWith(const std::string &text, const std::string &end) {
  return text.size() >= end.size() &&
         text.compare(text.size() - end.size(), end.size(), end) == 0;
}

/// Finds and checks every weight; no byte of one is read yet.
static std::vector<Source> findSources(const Manifest &manifest,
                                       const std::string &path,
                                       std::map<std::string, OpenFile> &files) {
  std::unordered_map<std::string, std::string> places;
  bool sharded = endsWith(path, ".json");
  if (sharded) {
    std::vector<std::string> names;
    for (const Weight &weight : manifest.weights)
      names.push_back(weight.fileName);
    places = readSafetensorsIndex(path, names);
  }
  std::vector<Source> sources;
  for (const Weight &weight : manifest.weights) {
    auto place = places.find(weight.fileName);
    if (sharded && place == places.end())
      fail(MOE_WEIGHT_MISSING, path, ": error: there is no tensor '",
           weight.fileName, "'");
    const std::string &name = sharded ? place->second : path;
    OpenFile &open = files[name];
    if (!open.file) {
      open.file = std::make_unique<File>(name);
      open.header = readSafetensorsHeader(*open.file, name);
    }
    auto found = open.header.find(weight.fileName);
    if (found == open.header.end())
      fail(MOE_WEIGHT_MISSING, name, ": error: there is no tensor '",
           weight.fileName, "'");
    const SafetensorsEntry &entry = found->second;
    if (entry.dtype != safetensorsName(weight.dtype))
      fail(MOE_DTYPE_MISMATCH, name, ": error: '", weight.fileName,
           "': expected ", safetensorsName(weight.dtype), ", found ",
           entry.dtype);
    if (entry.shape != weight.shape)
      fail(MOE_SHAPE_MISMATCH, name, ": error: '", weight.fileName,
           "': expected ", describe(weight.shape), ", found ",
           describe(entry.shape));
    sources.push_back({open.file.get(), entry});
  }
  return sources;
}

void replaceWeights(SharedWeights &weights, std::vector<Buffer> &buffers) {
  std::lock_guard<std::shared_mutex> lock(weights.mutex);
  for (size_t i = 0; i < buffers.size(); ++i) {
    std::swap(weights.slots[i].data, buffers[i]);
    ++weights.slots[i].version;
  }
}

static void load(moe_layer &layer, const std::string &path,
                 moe_progress progress, void *user) {
  const Manifest &manifest = layer.manifest();
  std::map<std::string, OpenFile> files;
  std::vector<Source> sources = findSources(manifest, path, files);
  uint64_t total = 0, done = 0;
  for (const Source &source : sources)
    total += source.entry.end - source.entry.begin;

  constexpr uint64_t chunk = uint64_t(16) << 20;
  std::vector<Buffer> buffers(sources.size());
  for (size_t i = 0; i < sources.size(); ++i) {
    const SafetensorsEntry &entry = sources[i].entry;
    uint64_t size = entry.end - entry.begin, offset = 0;
    buffers[i].ensure(static_cast<int64_t>(size));
    do {
      uint64_t count = std::min(chunk, size - offset);
      sources[i].file->read(entry.begin + offset,
                            static_cast<char *>(buffers[i].data()) + offset,
                            static_cast<size_t>(count));
      offset += count;
      done += count;
      if (progress &&
          progress(user, manifest.weights[i].name.c_str(), done, total))
        fail(MOE_CANCELLED, path, ": cancelled at '",
             manifest.weights[i].fileName, "'");
    } while (offset < size);
  }
  replaceWeights(*layer.weights, buffers);
}

static void setWeight(moe_layer &layer, const std::string &name,
                      const DLTensor &value) {
  int index = layer.manifest().findWeight(name);
  if (index < 0)
    fail(MOE_NOT_FOUND, "'", layer.manifest().name, "' has no weight '", name,
         "'");
  const Weight &weight = layer.manifest().weights[index];
  std::string expected = describe(weight.shape);
  void *data =
      checkTensor(value, name, weight.dtype, weight.shape.size(), expected);
  if (!std::equal(weight.shape.begin(), weight.shape.end(), value.shape))
    fail(MOE_SHAPE_MISMATCH, "tensor '", name, "': expected ", expected,
         ", found ", describe(value.shape, weight.shape.size()));
  std::lock_guard<std::shared_mutex> lock(layer.weights->mutex);
  SharedWeights::Slot &slot = layer.weights->slots[index];
  slot.data.ensure(weight.byteSize);
  if (weight.byteSize) // the value may be a view of this very weight
    std::memmove(slot.data.data(), data, static_cast<size_t>(weight.byteSize));
  ++slot.version;
}

/// The values of a weight as this layer sees them: state that began as it and
/// may have changed since goes before what it began as.
static void *currentValues(const moe_layer &layer, size_t index) {
  const SharedWeights::Slot &slot = layer.weights->slots[index];
  for (size_t i = 0; i < layer.state.size(); ++i)
    if (layer.manifest().state[i].initialWeight == static_cast<int>(index) &&
        layer.state[i].weightVersion == slot.version)
      return layer.state[i].data.data();
  return slot.data.data();
}

static void save(const moe_layer &layer, const std::string &path) {
  const Manifest &manifest = layer.manifest();
  std::shared_lock<std::shared_mutex> lock(layer.weights->mutex);
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

moe_status moe_layer_load_weights(moe_layer *layer, const char *path,
                                  moe_progress progress, void *user) {
  return guard([&] {
    requireSet(layer, "layer");
    requireSet(path, "path");
    load(*layer, path, progress, user);
  });
}

moe_status moe_layer_set_weight(moe_layer *layer, const char *name,
                                const DLTensor *value) {
  return guard([&] {
    requireSet(layer, "layer");
    requireSet(name, "name");
    requireSet(value, "value");
    setWeight(*layer, name, *value);
  });
}

moe_status moe_layer_save_weights(const moe_layer *layer, const char *path) {
  return guard([&] {
    requireSet(layer, "layer");
    requireSet(path, "path");
    save(*layer, path);
  });
}
