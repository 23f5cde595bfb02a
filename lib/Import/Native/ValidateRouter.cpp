//===- ValidateRouter.cpp - What keys of the router say together ----------===//
//
// Part of moe-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Checker.h"
#include "Native.h"
#include "Validate.h"

using namespace moe;

namespace {

class RouterValidator : Checker {
public:
  RouterValidator(const Spec &spec, const Locations &locations,
                  Reporter &reporter)
      : Checker(spec, locations, reporter), router(spec.router),
        experts(router.experts),
        choices(router.experts + router.nullExperts - router.alwaysOn),
        scored(router.strategy == Strategy::learned ||
               router.strategy == Strategy::similarity),
        weighed(scored || router.strategy == Strategy::table) {}

  void run() {
    // More than there are leave nothing to choose among.
    if (checkAlwaysOn()) {
      checkTopK();
      checkGroups();
    }
    checkStrategy();
    checkProjection();
    checkBalancing();
    checkWeighting();
  }

private:
  void needsScores(Path path) {
    needs(path, "router.strategy", "'learned' or 'similarity'");
  }
  void needsLogits(Path path) {
    needs(path, "router.strategy",
          "'learned', 'similarity', 'table' or 'sparsemixer'");
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

  const RouterSpec &router;
  int64_t experts;
  int64_t choices; // experts and null experts, but for those always on
  bool scored;     // chooses by scores
  bool weighed;    // has scores
};

} // namespace

void moe::validateRouter(const Spec &spec, const Locations &locations,
                         Reporter &reporter) {
  RouterValidator(spec, locations, reporter).run();
}
