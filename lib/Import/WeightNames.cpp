//===- WeightNames.cpp - The weights that a layer has ---------------------===//
//
// Part of moe-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
// The table of docs/Spec.md, section 5, for messages about `weights.tensors`.
//
//===----------------------------------------------------------------------===//

#include "Native.h"
#include "Reporter.h"
#include "Sources.h"

#include "moe/Import/Import.h"

#include <algorithm>

using namespace moe;

namespace {
struct KnownWeight {
  std::string_view name;
  bool (*inLayer)(const Spec &spec);
  std::string_view because; // the key that decides
};
} // namespace

static bool always(const Spec &) { return true; }
static bool isRecurrent(const Spec &spec) {
  return spec.router.projection.form == ProjectionForm::recurrent;
}
static bool hasLogits(const Spec &spec) { return spec.router.hasLogits(); }
static bool hasRouterBias(const Spec &spec) {
  return hasLogits(spec) && spec.router.projection.bias;
}
static bool hasHidden(const Spec &spec) {
  return isRecurrent(spec) ||
         (hasLogits(spec) && spec.router.projection.layers == 2);
}
static bool hasHiddenBias(const Spec &spec) {
  return isRecurrent(spec) || (hasHidden(spec) && hasRouterBias(spec));
}
static bool isChained(const Spec &spec) {
  return isRecurrent(spec) && spec.router.projection.chained;
}
static bool isGlu(const Spec &spec) {
  return spec.experts.form == ExpertForm::glu;
}
static bool hasBias(const Spec &spec) { return spec.experts.bias; }
static bool hasGateBias(const Spec &spec) {
  return hasBias(spec) && isGlu(spec);
}
static bool hasLatent(const Spec &spec) { return spec.experts.latent != 0; }
static bool hasShared(const Spec &spec) {
  return spec.shared.intermediate != 0;
}
static bool hasSharedGlu(const Spec &spec) {
  return hasShared(spec) && isGlu(spec);
}

static constexpr KnownWeight knownWeights[] = {
    {"router.weight", hasLogits, "router.strategy"},
    {"router.bias", hasRouterBias, "router.projection.bias"},
    {"router.hidden.weight", hasHidden, "router.projection.layers"},
    {"router.hidden.bias", hasHiddenBias, "router.projection.bias"},
    {"router.hidden2.weight", isRecurrent, "router.projection.form"},
    {"router.hidden2.bias", isRecurrent, "router.projection.form"},
    {"router.state.down.weight", isRecurrent, "router.projection.form"},
    {"router.state.down.bias", isRecurrent, "router.projection.form"},
    {"router.state.scale", isChained, "router.projection.chained"},
    {"router.norm.weight", isRecurrent, "router.projection.form"},
    {"router.input_scale",
     [](const Spec &spec) { return spec.router.inputNorm.eps.has_value(); },
     "router.input_norm"},
    {"router.table",
     [](const Spec &spec) { return spec.router.strategy == Strategy::table; },
     "router.strategy"},
    {"router.selection_bias",
     [](const Spec &spec) { return spec.router.selectionBias; },
     "router.selection_bias"},
    {"router.expert_scale",
     [](const Spec &spec) { return spec.router.expertScale; },
     "router.expert_scale"},
    {"experts.gate.weight", isGlu, "experts.form"},
    {"experts.up.weight", always, ""},
    {"experts.down.weight", always, ""},
    {"experts.gate.bias", hasGateBias, "experts.bias"},
    {"experts.up.bias", hasBias, "experts.bias"},
    {"experts.down.bias", hasBias, "experts.bias"},
    {"latent.down.weight", hasLatent, "experts.latent"},
    {"latent.up.weight", hasLatent, "experts.latent"},
    {"shared.gate_proj.weight", hasSharedGlu, "shared.intermediate"},
    {"shared.up.weight", hasShared, "shared.intermediate"},
    {"shared.down.weight", hasShared, "shared.intermediate"},
    {"shared.gate.weight",
     [](const Spec &spec) { return spec.shared.gate != SharedGate::none; },
     "shared.gate"},
    {"shared.gate.bias",
     [](const Spec &spec) { return spec.shared.gate == SharedGate::softmax2; },
     "shared.gate"},
};

static const KnownWeight *findWeight(std::string_view name) {
  auto place = std::find_if(
      std::begin(knownWeights), std::end(knownWeights),
      [&](const KnownWeight &known) { return known.name == name; });
  return place == std::end(knownWeights) ? nullptr : place;
}

/// What stands beside the weights of a quantised FFN.
static std::vector<std::string_view>
companionsOf(const QuantizationSpec &quantization) {
  std::vector<std::string_view> companions;
  if (quantization.kind != WeightKind::none)
    companions.push_back(".scales");
  if (quantization.zeroPoints)
    companions.push_back(".zeros");
  if (quantization.kind == WeightKind::nvfp4)
    companions.push_back(".global_scale");
  return companions;
}

/// The names of all weights of the layer.
static std::vector<std::string> weightNames(const Spec &spec) {
  std::vector<std::string> names;
  for (const KnownWeight &known : knownWeights) {
    if (!known.inLayer(spec))
      continue;
    std::string name(known.name);
    names.push_back(name);
    bool ofExperts = name.rfind("experts.", 0) == 0;
    size_t suffix = name.rfind(".weight");
    if ((!ofExperts && name.rfind("shared.", 0) != 0) ||
        name == "shared.gate.weight" || suffix == std::string::npos)
      continue;
    for (std::string_view companion : companionsOf(
             ofExperts ? spec.experts.quantization : spec.shared.quantization))
      names.push_back(name.substr(0, suffix).append(companion));
  }
  return names;
}

/// What the names take in a manifest, which has each with every prefix.
static size_t bytesOfNames(const WeightsSpec &weights) {
  size_t bytes = 0;
  for (const std::string &prefix : weights.prefix)
    for (const WeightSources &tensor : weights.tensors)
      for (const SourceList &list : tensor.alternatives)
        for (const SourceSpec &source : list)
          bytes += 4 * prefix.size() + source.name.size() + 512;
  return bytes;
}

void moe::validateWeightTensors(const Spec &spec, const Locations &locations,
                                Reporter &reporter) {
  std::vector<std::string> names = weightNames(spec);
  std::vector<std::string_view> views(names.begin(), names.end());
  for (const WeightSources &sources : spec.weights.tensors) {
    if (std::find(names.begin(), names.end(), sources.weight) != names.end())
      continue;
    std::string message =
        "weights.tensors: this layer has no weight " + inQuotes(sources.weight);
    if (const KnownWeight *known = findWeight(sources.weight))
      message += ", which " + inQuotes(known->because) + " decides";
    else
      message += didYouMean(sources.weight, views);
    reporter.error(locations.of("weights.tensors." + sources.weight), message);
  }
  constexpr size_t most = size_t(512) << 10;
  if (bytesOfNames(spec.weights) > most)
    reporter.error(locations.of("weights.tensors"),
                   "weights.tensors: the names with every prefix take " +
                       std::to_string(bytesOfNames(spec.weights)) +
                       " bytes, expected at most " + std::to_string(most));
}

void moe::dropTensorsOfOtherLayers(Spec &spec) {
  std::vector<std::string> names = weightNames(spec);
  std::vector<WeightSources> &tensors = spec.weights.tensors;
  auto isAnothers = [&](const WeightSources &sources) {
    return std::find(names.begin(), names.end(), sources.weight) == names.end();
  };
  tensors.erase(std::remove_if(tensors.begin(), tensors.end(), isAnothers),
                tensors.end());
}
