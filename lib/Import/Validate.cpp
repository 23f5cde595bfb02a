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

#include "moe/Import/Import.h"

#include <initializer_list>

using namespace moe;

namespace {

class Validator {
public:
  Validator(const Spec &spec, const Locations &locations, Reporter &reporter)
      : spec(spec), router(spec.router), locations(locations),
        reporter(reporter), experts(router.experts),
        choices(router.experts + router.nullExperts),
        learned(router.strategy == Strategy::learned),
        scored(learned || router.strategy == Strategy::similarity) {}

  void run() {
    checkName();
    checkTopK();
    checkGroups();
    checkStrategy();
    checkBalancing();
    checkWeighting();
    checkParallel();
    checkExperts();
    checkRest();
    validateSizes(spec, locations, reporter);
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

  void checkName() { // [S17]
    std::string_view expected = packageNameProblem(spec.name);
    if (!expected.empty())
      wrong("name", std::string(expected), {});
  }

  std::string numberOfExperts() const {
    return std::string(", the number of experts") +
           (router.nullExperts ? ", null ones included" : "");
  }

  void checkTopK() { // [S3]
    if (router.topK > choices)
      wrong("router.top_k",
            "at most " + std::to_string(choices) + numberOfExperts(),
            {"router.experts", "router.null_experts.count"});
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
      return wrong("router.groups.count",
                   "a divisor of " + std::to_string(choices) +
                       numberOfExperts(),
                   {"router.experts", "router.null_experts.count"});
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
    const ProjectionSpec &projection = router.projection;
    if (!scored) {
      if (router.selectionBias && locations.given("router.selection_bias"))
        needsScores("router.selection_bias"); // [S6]
      // [S8]
      if (router.score != Score::softmax)
        needsScores("router.score");
      if (router.scoreOn != ScoreOn::all)
        needsScores("router.score_on");
      if (router.renormalize != Renormalize::none)
        needsScores("router.renormalize");
      if (router.softcap != 0.0)
        needsScores("router.softcap");
      if (router.scale != 1.0)
        needsScores("router.scale");
      if (router.expertScale)
        needsScores("router.expert_scale");
      if (router.nullExperts != 0) // [S9]
        needsScores("router.null_experts");
      // [S12]
      if (spec.losses.loadBalance != 0.0)
        needsScores("losses.load_balance");
      if (spec.losses.importance != 0.0)
        needsScores("losses.importance");
      if (spec.losses.routerZ != 0.0)
        needsScores("losses.router_z");
    }
    if (learned) // [S8]
      return;
    auto needsLearned = [&](Path path) {
      needs(path, "router.strategy", "'learned'");
    };
    if (projection.layers != 1)
      needsLearned("router.projection.layers");
    if (projection.hidden != spec.hidden)
      needsLearned("router.projection.hidden");
    if (projection.activation.text != "relu")
      needsLearned("router.projection.activation");
    if (projection.bias)
      needsLearned("router.projection.bias");
    if (projection.inputPrecision)
      needsLearned("router.projection.dtype");
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

  void checkExperts() {
    // [S13]
    if (spec.shared.intermediate == 0) {
      if (spec.shared.gate != SharedGate::none)
        valueNeeds("shared.gate", "shared.intermediate", "above 0");
      if (spec.shared.scale != 1.0)
        valueNeeds("shared.scale", "shared.intermediate", "above 0");
    }
    // [S31]
    if (spec.experts.latentNorm && spec.experts.latent == 0)
      needs("experts.latent_norm", "experts.latent", "above 0");
    // [S32]
    if (spec.experts.form != ExpertForm::glu) {
      if (spec.experts.gateUp != GateUp::separate)
        valueNeeds("experts.gate_up", "experts.form", "'glu'");
      if (spec.shared.gateUp != GateUp::separate)
        valueNeeds("shared.gate_up", "experts.form", "'glu'");
    }
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
  int64_t choices; // experts and null experts
  bool learned;
  bool scored; // has logits
};

} // namespace

void moe::validate(const Spec &spec, const Locations &locations,
                   Reporter &reporter) {
  Validator(spec, locations, reporter).run();
}
