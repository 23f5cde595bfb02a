//===- Validate.cpp - What keys say together ------------------------------===//
//
// Part of moe-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Validate.h"
#include "Keys.h"
#include "Native.h"
#include "Reporter.h"
#include "Sources.h"

#include "moe/Import/Import.h"

#include <algorithm>
#include <initializer_list>

using namespace moe;

namespace {

class Validator {
public:
  Validator(const Spec &spec, const Locations &locations, Reporter &reporter)
      : spec(spec), router(spec.router), locations(locations),
        reporter(reporter), experts(router.experts),
        choices(router.experts + router.nullExperts - router.alwaysOn),
        scored(router.strategy == Strategy::learned ||
               router.strategy == Strategy::similarity),
        weighed(scored || router.strategy == Strategy::table) {}

  void run() {
    checkName();
    // More than there are leave nothing to choose among.
    if (checkAlwaysOn()) {
      checkTopK();
      checkGroups();
    }
    checkStrategy();
    checkProjection();
    checkBalancing();
    checkWeighting();
    checkParallel();
    checkExperts();
    checkQuantization(spec.experts.quantization, "experts.quantization",
                      {spec.experts.latent ? "experts.latent" : "hidden",
                       "experts.intermediate"});
    if (spec.shared.intermediate != 0)
      checkQuantization(spec.shared.quantization, "shared.quantization",
                        {"hidden", "shared.intermediate"});
    checkRest();
    validateSizes(spec, locations, reporter);
    validateWeightTensors(spec, locations, reporter);
  }

private:
  using Path = std::string_view;

  /// A key's value as it would be written.
  std::string valueOf(Path path) const {
    const Key &key = *findKey(path);
    Scalar scalar = key.get(spec);
    if (auto *integer = std::get_if<int64_t>(&scalar))
      return key.type == KeyType::choice ? inQuotes(key.values[*integer])
                                         : std::to_string(*integer);
    if (auto *number = std::get_if<double>(&scalar))
      return numberText(*number);
    if (auto *flag = std::get_if<bool>(&scalar)) {
      if (key.type == KeyType::choice)
        return inQuotes(key.values[*flag]);
      return *flag ? "true" : "false";
    }
    if (auto *pair = std::get_if<Pair>(&scalar))
      return pairText(*pair);
    if (auto *text = std::get_if<std::string>(&scalar))
      return inQuotes(*text);
    return "none";
  }

  void noteAt(Path path) {
    if (locations.given(path))
      reporter.note(locations.of(path), std::string(path) + " is given here");
  }

  /// `path: found V, expected E`, with a note at what it is held against.
  void wrong(Path path, const std::string &expected,
             std::initializer_list<Path> against) {
    reporter.error(locations.of(path), std::string(path) + ": found " +
                                           valueOf(path) + ", expected " +
                                           expected);
    for (Path other : against)
      noteAt(other);
  }

  /// `path needs OTHER to be E, found V`, with a note at the other key.
  void needs(Path path, Path other, const std::string &expected) {
    reporter.error(locations.of(path),
                   std::string(path) + " needs " + std::string(other) +
                       " to be " + expected + ", found " + valueOf(other) +
                       (locations.given(other) ? "" : " (the default)"));
    noteAt(other);
  }

  /// The same for a key of which only one value has the need.
  void valueNeeds(Path path, Path other, const std::string &expected) {
    reporter.error(locations.of(path),
                   std::string(path) + " " + valueOf(path) + " needs " +
                       std::string(other) + " to be " + expected + ", found " +
                       valueOf(other) +
                       (locations.given(other) ? "" : " (the default)"));
    noteAt(other);
  }

  void needsScores(Path path) {
    needs(path, "router.strategy", "'learned' or 'similarity'");
  }
  void needsLogits(Path path) {
    needs(path, "router.strategy",
          "'learned', 'similarity', 'table' or 'sparsemixer'");
  }

  void checkName() { // [S17]
    std::string_view expected = packageNameProblem(spec.name);
    if (!expected.empty())
      wrong("name", std::string(expected), {});
  }

  std::string numberOfExperts() const {
    return std::string(", the number of experts") +
           (router.nullExperts ? ", null ones included" : "") +
           (router.alwaysOn ? ", those always on left out" : "");
  }

  bool checkAlwaysOn() { // [S21]
    constexpr Path path = "router.always_on";
    if (router.alwaysOn == 0)
      return true;
    if (!scored)
      needsScores(path);
    if (router.balancing != Balancing::token_choice)
      needs(path, "router.load_balancing", "'token_choice'");
    if (router.nullExperts != 0)
      needs(path, "router.null_experts.count", "0");
    if (spec.capacity.factor)
      needs(path, "capacity.factor", "left out");
    if (spec.capacity.tokens)
      needs(path, "capacity.tokens", "left out");
    if (router.alwaysOn < experts)
      return true;
    wrong(path,
          "at most " + std::to_string(experts - 1) +
              ", so that there is an expert to choose",
          {"router.experts"});
    return false;
  }

  void checkTopK() { // [S3]
    if (router.topK > choices)
      wrong(
          "router.top_k",
          "at most " + std::to_string(choices) + numberOfExperts(),
          {"router.experts", "router.null_experts.count", "router.always_on"});
  }

  void checkGroups() { // [S4], [S5]
    const GroupsSpec &groups = router.groups;
    if (groups.keep > groups.count)
      wrong("router.groups.keep",
            "at most " + std::to_string(groups.count) +
                ", the number of groups",
            {"router.groups.count"});
    if (groups.count == 1)
      return;
    if (choices % groups.count != 0)
      return wrong(
          "router.groups.count",
          "a divisor of " + std::to_string(choices) + numberOfExperts(),
          {"router.experts", "router.null_experts.count", "router.always_on"});
    int64_t size = choices / groups.count;
    if (groups.keep <= groups.count && groups.keep * size < router.topK)
      wrong("router.groups.keep",
            "groups that hold " + std::to_string(router.topK) +
                " experts together, at " + std::to_string(size) + " a group",
            {"router.top_k"});
    if (groups.reduce == GroupReduce::sum_top2 && size < 2)
      valueNeeds("router.groups.reduce", "router.groups.count",
                 "at most half the number of experts");
    if (!scored)
      needsScores("router.groups");
    if (router.scoreOn != ScoreOn::all)
      needs("router.groups", "router.score_on", "'all'");
    if (router.balancing == Balancing::expert_choice ||
        router.balancing == Balancing::round_robin)
      needs("router.groups", "router.load_balancing",
            "'token_choice', 'dynamic' or 'load_aware'");
  }

  void checkStrategy() {
    if (!scored) {
      if (router.selectionBias && locations.given("router.selection_bias"))
        needsScores("router.selection_bias"); // [S6]
      if (router.nullExperts != 0)            // [S9]
        needsScores("router.null_experts");
    }
    if (!weighed) { // [S8]
      auto needsWeights = [&](Path path) {
        needs(path, "router.strategy", "'learned', 'similarity' or 'table'");
      };
      if (router.score != Score::softmax)
        needsWeights("router.score");
      if (router.scoreOn != ScoreOn::all)
        needsWeights("router.score_on");
      if (router.renormalize != Renormalize::none)
        needsWeights("router.renormalize");
    }
    if (!router.hasLogits()) {
      // [S8]
      if (router.softcap != 0.0)
        needsLogits("router.softcap");
      if (router.scale != 1.0)
        needsLogits("router.scale");
      if (router.expertScale)
        needsLogits("router.expert_scale");
      if (router.inputNorm.eps)
        needsLogits("router.input_norm");
      // [S12]
      if (spec.losses.loadBalance != 0.0)
        needsLogits("losses.load_balance");
      if (spec.losses.importance != 0.0)
        needsLogits("losses.importance");
      if (spec.losses.routerZ != 0.0)
        needsLogits("losses.router_z");
    }
    if (router.strategy == Strategy::table && router.vocabulary == 0) // [S19]
      valueNeeds("router.strategy", "router.vocabulary", "above 0");
    if (router.strategy == Strategy::sparsemixer && router.topK != 2) // [S20]
      valueNeeds("router.strategy", "router.top_k", "2");
  }

  void checkProjection() {
    const ProjectionSpec &projection = router.projection;
    bool recurrent = projection.form == ProjectionForm::recurrent;
    // [S22]
    if (recurrent && projection.layers != 1)
      valueNeeds("router.projection.form", "router.projection.layers", "1");
    if (projection.chained && !recurrent)
      needs("router.projection.chained", "router.projection.form",
            "'recurrent'");
    // [S23]
    if (router.inputNorm.factor != 1.0 && !router.inputNorm.eps)
      needs("router.input_norm.factor", "router.input_norm.eps", "given");
    // [S8]
    if (router.hasLogits() && router.strategy != Strategy::similarity)
      return;
    auto needsProjection = [&](Path path) {
      needs(path, "router.strategy", "'learned', 'table' or 'sparsemixer'");
    };
    if (recurrent)
      needsProjection("router.projection.form");
    if (projection.layers != 1)
      needsProjection("router.projection.layers");
    if (projection.hidden != spec.hidden)
      needsProjection("router.projection.hidden");
    if (projection.activation.text != (recurrent ? "gelu" : "relu"))
      needsProjection("router.projection.activation");
    if (projection.bias)
      needsProjection("router.projection.bias");
    if (projection.inputPrecision)
      needsProjection("router.projection.dtype");
  }

  void checkBalancing() { // [S6], [S7]
    constexpr Path balancing = "router.load_balancing";
    if (router.balancing == Balancing::token_choice)
      return;
    if (!scored)
      valueNeeds(balancing, "router.strategy", "'learned' or 'similarity'");
    bool expertChoice = router.balancing == Balancing::expert_choice;
    if (router.nullExperts != 0 &&
        (expertChoice || router.balancing == Balancing::round_robin))
      valueNeeds(balancing, "router.null_experts.count", "0");
    if (!expertChoice)
      return;
    if (router.scoreOn != ScoreOn::all)
      valueNeeds(balancing, "router.score_on", "'all'");
    if (router.renormalize != Renormalize::none)
      valueNeeds(balancing, "router.renormalize", "false");
    if (spec.capacity.factor)
      valueNeeds(balancing, "capacity.factor", "left out");
    if (spec.capacity.tokens)
      valueNeeds(balancing, "capacity.tokens", "left out");
  }

  void checkWeighting() { // [S10]
    const CapacitySpec &capacity = spec.capacity;
    if (capacity.factor && capacity.tokens)
      wrong("capacity.tokens", "no second limit beside capacity.factor",
            {"capacity.factor"});
    if (router.weightOn == WeightOn::output)
      return;
    if (capacity.overflow == Overflow::pass_through)
      valueNeeds("capacity.overflow", "router.weight_on", "'output'");
    if (router.nullExperts != 0 && router.nullKind == NullKind::identity)
      valueNeeds("router.null_experts.kind", "router.weight_on", "'output'");
  }

  void checkParallel() { // [S11]
    const ParallelSpec &parallel = spec.parallel;
    constexpr int64_t maxRanks = INT32_MAX;
    if (parallel.dp > maxRanks / parallel.ep ||
        parallel.dp * parallel.ep > maxRanks / parallel.tp)
      reporter.error(locations.of("parallel.grid"),
                     "parallel.grid: found more than " +
                         std::to_string(maxRanks) +
                         " devices, expected at most that many");
    bool onTp = parallel.expertsOn == ExpertsOn::tp;
    Path axis = onTp ? "parallel.grid.tp" : "parallel.grid.ep";
    int64_t devices = onTp ? parallel.tp : parallel.ep;
    if (experts % devices != 0)
      wrong(axis,
            "a divisor of " + std::to_string(experts) +
                ", the number of experts",
            {"router.experts", "parallel.experts_on"});
    else if (parallel.expertsPerDevice &&
             *parallel.expertsPerDevice != experts / devices)
      wrong("parallel.experts_per_device",
            std::to_string(experts / devices) + ", which is " +
                std::to_string(experts) + " experts on " +
                std::to_string(devices) +
                (devices == 1 ? " device" : " devices"),
            {"router.experts", axis});
    if (!onTp && spec.experts.intermediate % parallel.tp != 0)
      wrong("parallel.grid.tp",
            "a divisor of experts.intermediate, " +
                std::to_string(spec.experts.intermediate),
            {"experts.intermediate"});
  }

  /// `widths` are what the matrices' inputs may be.
  void checkQuantization(const QuantizationSpec &quantization,
                         const std::string &path,
                         std::initializer_list<Path> widths) {
    const std::string kind = path + ".kind", block = path + ".block";
    // [S24]
    Pair only = defaultBlock(quantization.kind);
    if (only[1] != 0 && *quantization.block != only)
      valueNeeds(kind, block, pairText(only));
    bool isInt4 = quantization.kind == WeightKind::int4;
    if (isInt4 && (*quantization.block)[1] % 2 != 0)
      valueNeeds(kind, block, "even along the inputs");
    // [S25]
    if (quantization.zeroPoints && !isInt4)
      needs(path + ".zero_points", kind, "'int4'");
    // [S26]
    int64_t unit = isInt4 ? 2 : std::max<int64_t>(only[1], 1);
    for (Path width : widths)
      if (std::get<int64_t>(findKey(width)->get(spec)) % unit != 0)
        valueNeeds(kind, width, "a multiple of " + std::to_string(unit));
  }

  void checkExperts() {
    // [S27]
    if (spec.shared.quantization.kind != WeightKind::none &&
        spec.shared.intermediate == 0)
      valueNeeds("shared.quantization.kind", "shared.intermediate", "above 0");
    // [S13]
    if (spec.shared.intermediate == 0) {
      if (spec.shared.gate != SharedGate::none)
        valueNeeds("shared.gate", "shared.intermediate", "above 0");
      if (spec.shared.scale != 1.0)
        valueNeeds("shared.scale", "shared.intermediate", "above 0");
    }
    // [S28]
    if (spec.experts.latentNorm && spec.experts.latent == 0)
      needs("experts.latent_norm", "experts.latent", "above 0");
    // [S29]
    if (spec.experts.form != ExpertForm::glu) {
      if (spec.experts.gateUp != GateUp::separate)
        valueNeeds("experts.gate_up", "experts.form", "'glu'");
      if (spec.shared.gateUp != GateUp::separate)
        valueNeeds("shared.gate_up", "experts.form", "'glu'");
    }
    // [S30]
    if (spec.experts.gateUp != GateUp::separate &&
        spec.experts.quantization.kind != WeightKind::none)
      valueNeeds("experts.gate_up", "experts.quantization.kind", "'none'");
    if (spec.shared.gateUp != GateUp::separate &&
        spec.shared.quantization.kind != WeightKind::none)
      valueNeeds("shared.gate_up", "shared.quantization.kind", "'none'");
  }

  void checkRest() {
    // [S14], the half that reading the list leaves
    for (Function function : spec.functions)
      if (function == Function::step && router.balancing != Balancing::dynamic)
        needs("functions", "router.load_balancing", "'dynamic' for 'step'");
      else if ((function == Function::quantize ||
                function == Function::dequantize) &&
               spec.averaging.compression == Compression::none)
        needs("functions", "averaging.compression.kind", "a format");
    // [S16]
    if (spec.averaging.compression == Compression::mxfp4 &&
        spec.averaging.block != 32)
      valueNeeds("averaging.compression.kind", "averaging.compression.block",
                 "32");
  }

  const Spec &spec;
  const RouterSpec &router;
  const Locations &locations;
  Reporter &reporter;
  int64_t experts;
  int64_t choices; // experts and null experts, but for those always on
  bool scored;     // chooses by scores
  bool weighed;    // has scores
};

} // namespace

void moe::validate(const Spec &spec, const Locations &locations,
                   Reporter &reporter) {
  Validator(spec, locations, reporter).run();
}
