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
#include "Sources.h"
#include "Text/Reporter.h"

#include "moe/Import/Import.h"

#include <algorithm>
#include <optional>
#include <utility>

using namespace moe;

namespace {
struct KnownWeight {
  std::string_view name;
  bool (*inLayer)(const Spec &spec);
  std::string_view because; // the key that decides
};
} // namespace

static bool isScored(const Spec &spec) {
  return spec.router.strategy != Strategy::hash &&
         spec.router.strategy != Strategy::random &&
         spec.router.strategy != Strategy::load_based;
}
static bool isTable(const Spec &spec) {
  return spec.router.strategy == Strategy::table;
}
static bool isRecurrent(const Spec &spec) {
  return isScored(spec) &&
         spec.router.projection.form == ProjectionForm::recurrent;
}
static bool isChained(const Spec &spec) {
  return isRecurrent(spec) && spec.router.projection.chained;
}
static bool hasInputNorm(const Spec &spec) {
  return isScored(spec) && spec.router.inputNorm.eps;
}
static bool hasRouterBias(const Spec &spec) {
  return isScored(spec) && spec.router.projection.bias;
}
static bool hasHidden(const Spec &spec) {
  return isScored(spec) &&
         (spec.router.projection.layers == 2 || isRecurrent(spec));
}
static bool hasHiddenBias(const Spec &spec) {
  return hasHidden(spec) && (spec.router.projection.bias || isRecurrent(spec));
}
static bool hasSelectionBias(const Spec &spec) {
  return spec.router.selectionBias;
}
static bool hasExpertScale(const Spec &spec) { return spec.router.expertScale; }
static bool always(const Spec &) { return true; }
static bool isGlu(const Spec &spec) {
  return spec.experts.form == ExpertForm::glu;
}
static bool isJoined(const Spec &spec) {
  return spec.experts.gateUp != GateUp::separate;
}
static bool isApart(const Spec &spec) { return !isJoined(spec); }
static bool hasGate(const Spec &spec) { return isGlu(spec) && isApart(spec); }
static bool hasBias(const Spec &spec) { return spec.experts.bias; }
static bool hasGateBias(const Spec &spec) {
  return hasBias(spec) && hasGate(spec);
}
static bool hasUpBias(const Spec &spec) {
  return hasBias(spec) && isApart(spec);
}
static bool hasJoinedBias(const Spec &spec) {
  return hasBias(spec) && isJoined(spec);
}
static bool hasOutputBias(const Spec &spec) { return spec.experts.outputBias; }
static bool hasLatent(const Spec &spec) { return spec.experts.latent != 0; }
static bool hasExpertsNorm(const Spec &spec) {
  return spec.experts.inputNorm.has_value();
}
static bool hasLatentNorm(const Spec &spec) {
  return spec.experts.latentNorm.has_value();
}
static bool hasShared(const Spec &spec) {
  return spec.shared.intermediate != 0;
}
static bool hasSharedJoined(const Spec &spec) {
  return hasShared(spec) && spec.shared.gateUp != GateUp::separate;
}
static bool hasSharedUp(const Spec &spec) {
  return hasShared(spec) && !hasSharedJoined(spec);
}
static bool hasSharedGateProj(const Spec &spec) {
  return hasSharedUp(spec) && isGlu(spec);
}
static bool hasSharedGate(const Spec &spec) {
  return spec.shared.gate != SharedGate::none;
}
static bool hasSharedGateBias(const Spec &spec) {
  return spec.shared.gate == SharedGate::softmax2;
}

static constexpr KnownWeight knownWeights[] = {
    {"router.weight", isScored, "router.strategy"},
    {"router.bias", hasRouterBias, "router.projection.bias"},
    {"router.hidden.weight", hasHidden, "router.projection.layers"},
    {"router.hidden.bias", hasHiddenBias, "router.projection.bias"},
    {"router.hidden2.weight", isRecurrent, "router.projection.form"},
    {"router.hidden2.bias", isRecurrent, "router.projection.form"},
    {"router.state.down.weight", isRecurrent, "router.projection.form"},
    {"router.state.down.bias", isRecurrent, "router.projection.form"},
    {"router.state.scale", isChained, "router.projection.chained"},
    {"router.norm.weight", isRecurrent, "router.projection.form"},
    {"router.input_scale", hasInputNorm, "router.input_norm.eps"},
    {"router.table", isTable, "router.strategy"},
    {"router.selection_bias", hasSelectionBias, "router.selection_bias"},
    {"router.expert_scale", hasExpertScale, "router.expert_scale"},
    {"experts.gate.weight", hasGate, "experts.form"},
    {"experts.up.weight", isApart, "experts.gate_up"},
    {"experts.gate_up.weight", isJoined, "experts.gate_up"},
    {"experts.down.weight", always, ""},
    {"experts.gate.bias", hasGateBias, "experts.bias"},
    {"experts.up.bias", hasUpBias, "experts.bias"},
    {"experts.gate_up.bias", hasJoinedBias, "experts.bias"},
    {"experts.down.bias", hasBias, "experts.bias"},
    {"experts.input_scale", hasExpertsNorm, "experts.input_norm"},
    {"experts.output_bias", hasOutputBias, "experts.output_bias"},
    {"latent.down.weight", hasLatent, "experts.latent"},
    {"latent.up.weight", hasLatent, "experts.latent"},
    {"latent.norm.weight", hasLatentNorm, "experts.latent_norm"},
    {"shared.gate_proj.weight", hasSharedGateProj, "shared.intermediate"},
    {"shared.up.weight", hasSharedUp, "shared.intermediate"},
    {"shared.gate_up.weight", hasSharedJoined, "shared.gate_up"},
    {"shared.down.weight", hasShared, "shared.intermediate"},
    {"shared.gate.weight", hasSharedGate, "shared.gate"},
    {"shared.gate.bias", hasSharedGateBias, "shared.gate"},
};

static const KnownWeight *findWeight(std::string_view name) {
  auto place = std::find_if(
      std::begin(knownWeights), std::end(knownWeights),
      [&](const KnownWeight &known) { return known.name == name; });
  return place == std::end(knownWeights) ? nullptr : place;
}

/// The tensors that stand beside a quantised weight.
static constexpr std::pair<std::string_view, bool (*)(const QuantizationSpec &)>
    parts[] = {
        {"scales", [](const QuantizationSpec &) { return true; }},
        {"zeros", [](const QuantizationSpec &q) { return q.zeroPoints; }},
        {"global_scale",
         [](const QuantizationSpec &q) { return q.kind == WeightKind::nvfp4; }},
};

/// The key that decides whether there is such a weight or part of one.
struct Decision {
  bool inLayer;
  std::string because;
};

static std::optional<Decision> decide(const Spec &spec, std::string_view name) {
  if (const KnownWeight *known = findWeight(name))
    return Decision{known->inLayer(spec), std::string(known->because)};
  size_t dot = name.rfind('.');
  if (dot == std::string_view::npos)
    return std::nullopt;
  for (auto &[part, needed] : parts) {
    bool shared = name.substr(0, 7) == "shared.";
    const KnownWeight *known =
        part == name.substr(dot + 1) &&
                (shared || name.substr(0, 8) == "experts.")
            ? findWeight(std::string(name.substr(0, dot)) + ".weight")
            : nullptr;
    if (!known || known->name == "shared.gate.weight")
      continue;
    const QuantizationSpec &quantization =
        shared ? spec.shared.quantization : spec.experts.quantization;
    return Decision{known->inLayer(spec) &&
                        quantization.kind != WeightKind::none &&
                        needed(quantization),
                    shared ? "shared.quantization" : "experts.quantization"};
  }
  return std::nullopt;
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
  std::vector<std::string_view> names;
  for (const KnownWeight &known : knownWeights)
    if (known.inLayer(spec))
      names.push_back(known.name);
  for (const WeightSources &sources : spec.weights.tensors) {
    std::optional<Decision> decision = decide(spec, sources.weight);
    if (decision && decision->inLayer)
      continue;
    std::string message =
        "weights.tensors: this layer has no weight " + inQuotes(sources.weight);
    if (decision)
      message += ", which " + inQuotes(decision->because) + " decides";
    else
      message += didYouMean(sources.weight, names);
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
  std::vector<WeightSources> &tensors = spec.weights.tensors;
  tensors.erase(std::remove_if(tensors.begin(), tensors.end(),
                               [&](const WeightSources &sources) {
                                 std::optional<Decision> decision =
                                     decide(spec, sources.weight);
                                 return decision && !decision->inLayer;
                               }),
                tensors.end());
}
