//===- HuggingFace.cpp - Configurations of Hugging Face -------------------===//
//
// Part of moe-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "HuggingFace.h"
#include "Conditions.h"
#include "Families.h"
#include "Filler.h"
#include "LayerRules.h"
#include "Native/Native.h"
#include "Native/Validate.h"
#include "Quantization.h"

#include <algorithm>
#include <cassert>

using namespace moe;
using json::Value;
using Kind = json::Value::Kind;

namespace {

class Importer {
public:
  Importer(const Configuration &config, const Value &family,
           const ImportOptions &options, Reporter &reporter)
      : config(config), family(family), options(options), reporter(reporter) {}

  /// Reads what all layers have in common.
  std::optional<LayerKinds> readKinds() {
    Filler filler(config, reporter);
    Template parts = templateOf();
    applyConditions(family, nullptr, filler, parts);
    quantization = readQuantization(filler);
    if (reporter.failed())
      return std::nullopt;
    return readLayers(parts.layers, filler);
  }

  std::optional<Spec> readLayer(int64_t layer, const LayerKinds &kinds);

private:
  Template templateOf() const {
    auto part = [&](std::string_view name) {
      const Value *value = family.find(name);
      return value ? *value : objectAt(0);
    };
    return {part("layers"), part("spec"), part("weights")};
  }

  static Value objectAt(size_t begin) {
    return json::emptyValue(Kind::object, begin);
  }

  Value text(std::string_view text) const {
    return json::textValue(text, config.anchor);
  }

  /// The object `name` of the filled spec.
  Value &group(Value &spec, const std::string &name) const {
    for (json::Member &member : spec.members)
      if (member.key == name)
        return member.value;
    spec.members.push_back({name, config.anchor, objectAt(config.anchor)});
    return spec.members.back().value;
  }

  void set(Value &object, const std::string &key, Value value) const {
    if (!object.find(key))
      object.members.push_back({key, config.anchor, std::move(value)});
  }

  void addDType(Value &spec, Names &names);

  const Configuration &config;
  const Value &family;
  const ImportOptions &options;
  Reporter &reporter;
  std::optional<Quantization> quantization; // of the whole model
};

} // namespace

void Importer::addDType(Value &spec, Names &names) {
  static constexpr std::pair<std::string_view, const char *> types[] = {
      {"float32", "f32"}, {"bfloat16", "bf16"}, {"float16", "f16"}};
  for (const Value *object : {&config.model, &config.document})
    for (const char *name : {"dtype", "torch_dtype"}) {
      ConfigKey key = findKey(*object, name);
      if (!key)
        continue;
      auto type =
          std::find_if(std::begin(types), std::end(types), [&](auto &type) {
            return type.first == key.value->string;
          });
      if (type == std::end(types))
        return reporter.error(key.value->begin,
                              std::string(name) + ": found " +
                                  json::describe(*key.value, config.text) +
                                  ", expected 'float32', 'bfloat16' or "
                                  "'float16'");
      Value &dtype = group(spec, "dtype");
      if (dtype.find("activation"))
        return;
      dtype.members.push_back(
          {"activation", key.begin,
           json::textValue(type->second, key.value->begin)});
      names["dtype.activation"] = name;
      return;
    }
}

/// Names of quantised weights are for applyQuantization() alone.
static Value withoutMember(Value object, std::string_view key) {
  object.members.erase(std::remove_if(object.members.begin(),
                                      object.members.end(),
                                      [&](const json::Member &member) {
                                        return member.key == key;
                                      }),
                       object.members.end());
  return object;
}

std::optional<Spec> Importer::readLayer(int64_t layer,
                                        const LayerKinds &kinds) {
  Filler filler(config, reporter);
  filler.setLayer(layer, kinds.kinds.size(), kinds.extra);
  LayerPlace place{layer, kinds.kinds[layer]};
  Template parts = templateOf();
  applyConditions(family, &place, filler, parts);
  if (reporter.failed())
    return std::nullopt;
  Value native = filler.fillTree(parts.spec, "");
  set(native, "name", text(config.family));
  Value weights = filler.fillTree(parts.weights, "weights");
  set(weights, "layer", json::numberValue(static_cast<double>(layer)));
  set(native, "weights", withoutMember(weights, "quantized"));
  if (reporter.failed())
    return std::nullopt;
  if (quantization)
    applyQuantization(*quantization, weights.find("quantized"),
                      options.dequantize, native, filler);
  addDType(native, filler.names);
  Spec spec;
  Locations locations;
  reporter.setNames(&filler.names);
  readNative(native, config.text, spec, locations, reporter);
  setGrid(spec, options.grid);
  dropTensorsOfOtherLayers(spec);
  if (!reporter.failed())
    validate(spec, locations, reporter);
  reporter.setNames(nullptr);
  if (reporter.failed())
    return std::nullopt;
  return spec;
}

/// Reads a family's file, which is part of the program and so without faults.
static Value parseFamily(const FamilyFile &file) {
  std::vector<Diagnostic> diagnostics;
  Reporter reporter(file.text, diagnostics);
  std::optional<Value> family = json::parse(file.text, reporter);
  assert(family && "a test reads every family");
  return std::move(*family);
}

static bool hasExperts(LayerKind kind) {
  return kind == LayerKind::moe || kind == LayerKind::hash;
}

/// The layer that is asked for, or the first whose router is learned.
static std::optional<int64_t> chooseLayer(const LayerKinds &layers,
                                          std::optional<int64_t> asked,
                                          const Configuration &config,
                                          Reporter &reporter) {
  const std::vector<LayerKind> &kinds = layers.kinds;
  int64_t count = kinds.size();
  std::vector<int64_t> good;
  for (int64_t l = 0; l < count; ++l)
    if (hasExperts(kinds[l]))
      good.push_back(l);
  auto fail = [&](const std::string &message) {
    reporter.error(config.anchor, message);
    return std::nullopt;
  };
  if (good.empty())
    return fail("found no MoE layer among the " + std::to_string(count) +
                " layers, expected at least one");
  if (!asked) {
    auto first = std::find(kinds.begin(), kinds.end(), LayerKind::moe);
    return first == kinds.end() ? good[0] : first - kinds.begin();
  }
  std::string expected =
      ", expected one of the MoE layers, " + layerRanges(good);
  if (*asked < 0 || *asked >= count)
    return fail("found no layer " + std::to_string(*asked) + " among the " +
                std::to_string(count) + " layers" + expected);
  if (!hasExperts(kinds[*asked]))
    return fail(
        "layer " + std::to_string(*asked) +
        (kinds[*asked] == LayerKind::dense ? " is dense" : " has no experts") +
        expected);
  return asked;
}

/// Calls `read` with what reads the layers of a configuration, if that is of a
/// known family and says which layers there are.
template <typename Read>
static void readConfiguration(const Value &document, std::string_view text,
                              const ImportOptions &options, Reporter &reporter,
                              Read read) {
  const FamilyFile *file = nullptr;
  std::optional<Configuration> config =
      recognise(document, text, file, reporter);
  if (!config)
    return;
  Value family = parseFamily(*file);
  Importer importer(*config, family, options, reporter);
  if (std::optional<LayerKinds> layers = importer.readKinds())
    read(importer, *config, *layers);
}

std::optional<Spec> moe::importConfiguration(const Value &document,
                                             std::string_view text,
                                             const ImportOptions &options,
                                             Reporter &reporter) {
  std::optional<Spec> spec;
  readConfiguration(document, text, options, reporter,
                    [&](Importer &importer, const Configuration &config,
                        const LayerKinds &layers) {
                      if (std::optional<int64_t> layer = chooseLayer(
                              layers, options.layer, config, reporter))
                        spec = importer.readLayer(*layer, layers);
                    });
  return spec;
}

void moe::importLayers(const Value &document, std::string_view text,
                       const ImportOptions &options, LayersResult &result,
                       Reporter &reporter) {
  readConfiguration(document, text, options, reporter,
                    [&](Importer &importer, const Configuration &config,
                        const LayerKinds &found) {
                      std::vector<Layer> layers;
                      for (LayerKind kind : found.kinds) {
                        Layer layer{kind, std::nullopt};
                        if (hasExperts(kind)) {
                          layer.spec = importer.readLayer(layers.size(), found);
                          if (!layer.spec)
                            return;
                        }
                        layers.push_back(std::move(layer));
                      }
                      result.family = config.family;
                      result.layers = std::move(layers);
                    });
}
