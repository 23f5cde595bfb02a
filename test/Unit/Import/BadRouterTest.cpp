//===- BadRouterTest.cpp - Contradictions about the router ----------------===//
//
// Part of moe-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "BadInput.h"

using namespace moe;
using namespace moe::test;

// [S3] to [S9] and [S19] to [S23] of docs/Spec.md
static const BadInput inputs[] = {
    // [S3]
    {"TopKBeyondExperts",
     "{\"hidden\": 64,\n \"router\": {\"experts\": 8, \"top_k\": 9},\n "
     "\"experts\": {\"intermediate\": 96}}",
     {{Kind::error, 2, 27,
       "router.top_k: found 9, expected at most 8, the number of experts"},
      {Kind::note, 2, 13, "router.experts is given here"}}},
    {"TopKBeyondNullExperts",
     "{\"hidden\": 64,\n \"router\": {\"experts\": 8, \"top_k\": 11, "
     "\"null_experts\": {\"count\": 2}},\n \"experts\": {\"intermediate\": "
     "96}}",
     {{Kind::error, 2, 27,
       "router.top_k: found 11, expected at most 10, the number of experts, "
       "null ones included"},
      {Kind::note, 2, 13, "router.experts is given here"},
      {Kind::note, 2, 57, "router.null_experts.count is given here"}}},
    // [S4]
    {"GroupsDoNotDivide",
     router(R"("groups": {"count": 3, "keep": 2})"),
     {{Kind::error, 3, 14,
       "router.groups.count: found 3, expected a divisor of 8, the number of "
       "experts"},
      {Kind::note, 2, 13, "router.experts is given here"}}},
    {"KeepBeyondGroups",
     router(R"("groups": {"count": 4, "keep": 5})"),
     {{Kind::error, 3, 26,
       "router.groups.keep: found 5, expected at most 4, the number of groups"},
      {Kind::note, 3, 14, "router.groups.count is given here"}}},
    {"GroupsHoldTooFew",
     router(R"("groups": {"count": 8, "keep": 1, "reduce": "max"})"),
     {{Kind::error, 3, 26,
       "router.groups.keep: found 1, expected groups that hold 2 experts "
       "together, at 1 a group"},
      {Kind::note, 2, 27, "router.top_k is given here"}}},
    {"GroupsOfOne",
     router(R"("groups": {"count": 8, "keep": 2})"),
     {{Kind::error, 3, 3,
       "router.groups.reduce 'sum_top2' needs router.groups.count to be at "
       "most half the number of experts, found 8"},
      {Kind::note, 3, 14, "router.groups.count is given here"}}},
    // [S5]
    {"GroupsWithHash",
     router(R"("groups": {"count": 4, "keep": 2}, "strategy": "hash")"),
     {{Kind::error, 3, 3,
       "router.groups needs router.strategy to be 'learned' or 'similarity', "
       "found 'hash'"},
      {Kind::note, 3, 38, "router.strategy is given here"}}},
    {"GroupsOnSelected",
     router(R"("groups": {"count": 4, "keep": 2}, "score_on": "selected")"),
     {{Kind::error, 3, 3,
       "router.groups needs router.score_on to be 'all', found 'selected'"},
      {Kind::note, 3, 38, "router.score_on is given here"}}},
    {"GroupsWithExpertChoice",
     router(
         R"("groups": {"count": 4, "keep": 2}, "load_balancing": "expert_choice")"),
     {{Kind::error, 3, 3,
       "router.groups needs router.load_balancing to be 'token_choice', "
       "'dynamic' or 'load_aware', found 'expert_choice'"},
      {Kind::note, 3, 38, "router.load_balancing is given here"}}},
    {"GroupsWithRoundRobin",
     router(
         R"("groups": {"count": 4, "keep": 2}, "load_balancing": "round_robin")"),
     {{Kind::error, 3, 3,
       "router.groups needs router.load_balancing to be 'token_choice', "
       "'dynamic' or 'load_aware', found 'round_robin'"},
      {Kind::note, 3, 38, "router.load_balancing is given here"}}},
    // [S6]
    {"SelectionBiasWithRandom",
     router(R"("strategy": "random", "selection_bias": true)"),
     {{Kind::error, 3, 25,
       "router.selection_bias needs router.strategy to be 'learned' or "
       "'similarity', found 'random'"},
      {Kind::note, 3, 3, "router.strategy is given here"}}},
    {"DynamicWithoutBias",
     router(R"("load_balancing": "dynamic", "selection_bias": false)"),
     {{Kind::error, 3, 32,
       "router.selection_bias: found false, expected true, as "
       "router.load_balancing 'dynamic' has the bias as its state"},
      {Kind::note, 3, 3, "router.load_balancing is given here"}}},
    // [S7]
    {"ExpertChoiceWithHash",
     router(R"("strategy": "hash", "load_balancing": "expert_choice")"),
     {{Kind::error, 3, 23,
       "router.load_balancing 'expert_choice' needs router.strategy to be "
       "'learned' or 'similarity', found 'hash'"},
      {Kind::note, 3, 3, "router.strategy is given here"}}},
    {"DynamicWithHash",
     router(R"("strategy": "hash", "load_balancing": "dynamic")"),
     {{Kind::error, 3, 23,
       "router.load_balancing 'dynamic' needs router.strategy to be 'learned' "
       "or 'similarity', found 'hash'"},
      {Kind::note, 3, 3, "router.strategy is given here"}}},
    {"RoundRobinWithHash",
     router(R"("strategy": "hash", "load_balancing": "round_robin")"),
     {{Kind::error, 3, 23,
       "router.load_balancing 'round_robin' needs router.strategy to be "
       "'learned' or 'similarity', found 'hash'"},
      {Kind::note, 3, 3, "router.strategy is given here"}}},
    {"LoadAwareWithHash",
     router(R"("strategy": "hash", "load_balancing": "load_aware")"),
     {{Kind::error, 3, 23,
       "router.load_balancing 'load_aware' needs router.strategy to be "
       "'learned' or 'similarity', found 'hash'"},
      {Kind::note, 3, 3, "router.strategy is given here"}}},
    {"ExpertChoiceOnSelected",
     router(R"("load_balancing": "expert_choice", "score_on": "selected")"),
     {{Kind::error, 3, 3,
       "router.load_balancing 'expert_choice' needs router.score_on to be "
       "'all', found 'selected'"},
      {Kind::note, 3, 38, "router.score_on is given here"}}},
    {"ExpertChoiceWithNullExperts",
     router(
         R"("load_balancing": "expert_choice", "null_experts": {"count": 1})"),
     {{Kind::error, 3, 3,
       "router.load_balancing 'expert_choice' needs router.null_experts.count "
       "to be 0, found 1"},
      {Kind::note, 3, 55, "router.null_experts.count is given here"}}},
    {"ExpertChoiceRenormalized",
     router(R"("load_balancing": "expert_choice", "renormalize": true)"),
     {{Kind::error, 3, 3,
       "router.load_balancing 'expert_choice' needs router.renormalize to be "
       "false, found true"},
      {Kind::note, 3, 38, "router.renormalize is given here"}}},
    {"ExpertChoiceWithCapacity",
     "{\"hidden\": 64,\n \"router\": {\"experts\": 8, \"top_k\": 2, "
     "\"load_balancing\": \"expert_choice\"},\n \"experts\": "
     "{\"intermediate\": 96},\n \"capacity\": {\"factor\": 1.25}}",
     {{Kind::error, 2, 39,
       "router.load_balancing 'expert_choice' needs capacity.factor to be left "
       "out, found 1.25"},
      {Kind::note, 4, 15, "capacity.factor is given here"}}},
    {"RoundRobinWithNullExperts",
     router(R"("load_balancing": "round_robin", "null_experts": {"count": 1})"),
     {{Kind::error, 3, 3,
       "router.load_balancing 'round_robin' needs router.null_experts.count to "
       "be 0, found 1"},
      {Kind::note, 3, 53, "router.null_experts.count is given here"}}},
    // [S8]
    {"ScoreWithHash",
     router(R"("strategy": "hash", "score": "sigmoid")"),
     {{Kind::error, 3, 23,
       "router.score needs router.strategy to be 'learned', 'similarity' or "
       "'table', found 'hash'"},
      {Kind::note, 3, 3, "router.strategy is given here"}}},
    {"ScoreOnWithHash",
     router(R"("strategy": "hash", "score_on": "selected")"),
     {{Kind::error, 3, 23,
       "router.score_on needs router.strategy to be 'learned', 'similarity' "
       "or 'table', found 'hash'"},
      {Kind::note, 3, 3, "router.strategy is given here"}}},
    {"RenormalizeWithLoadBased",
     router(R"("strategy": "load_based", "renormalize": true)"),
     {{Kind::error, 3, 29,
       "router.renormalize needs router.strategy to be 'learned', 'similarity' "
       "or 'table', found 'load_based'"},
      {Kind::note, 3, 3, "router.strategy is given here"}}},
    {"SoftcapWithHash",
     router(R"("strategy": "hash", "softcap": 30)"),
     {{Kind::error, 3, 23,
       "router.softcap needs router.strategy to be 'learned', 'similarity', "
       "'table' or 'sparsemixer', found 'hash'"},
      {Kind::note, 3, 3, "router.strategy is given here"}}},
    {"ExpertScaleWithHash",
     router(R"("strategy": "hash", "expert_scale": true)"),
     {{Kind::error, 3, 23,
       "router.expert_scale needs router.strategy to be 'learned', "
       "'similarity', 'table' or 'sparsemixer', found 'hash'"},
      {Kind::note, 3, 3, "router.strategy is given here"}}},
    {"ProjectionWithHash",
     router(R"("strategy": "hash", "projection": {"bias": true})"),
     {{Kind::error, 3, 38,
       "router.projection.bias needs router.strategy to be 'learned', "
       "'table' or 'sparsemixer', found 'hash'"},
      {Kind::note, 3, 3, "router.strategy is given here"}}},
    {"TwoLayersWithSimilarity",
     router(
         R"("strategy": "similarity", "projection": {"layers": 2, "hidden": 32})"),
     {{Kind::error, 3, 44,
       "router.projection.layers needs router.strategy to be 'learned', "
       "'table' or 'sparsemixer', found 'similarity'"},
      {Kind::note, 3, 3, "router.strategy is given here"},
      {Kind::error, 3, 57,
       "router.projection.hidden needs router.strategy to be 'learned', "
       "'table' or 'sparsemixer', found 'similarity'"},
      {Kind::note, 3, 3, "router.strategy is given here"}}},
    {"RoundedSimilarity",
     router(R"("strategy": "similarity", "projection": {"dtype": "input"})"),
     {{Kind::error, 3, 44,
       "router.projection.dtype needs router.strategy to be 'learned', "
       "'table' or 'sparsemixer', found 'similarity'"},
      {Kind::note, 3, 3, "router.strategy is given here"}}},
    {"ActivationWithSimilarity",
     router(
         R"("strategy": "similarity", "projection": {"activation": "gelu"})"),
     {{Kind::error, 3, 44,
       "router.projection.activation needs router.strategy to be 'learned', "
       "'table' or 'sparsemixer', found 'similarity'"},
      {Kind::note, 3, 3, "router.strategy is given here"}}},
    // [S9]
    {"NullExpertsWithHash",
     router(R"("strategy": "hash", "null_experts": {"count": 1})"),
     {{Kind::error, 3, 23,
       "router.null_experts needs router.strategy to be 'learned' or "
       "'similarity', found 'hash'"},
      {Kind::note, 3, 3, "router.strategy is given here"}}},
    {"InputNormWithHash",
     router(R"("strategy": "hash", "input_norm": {"eps": 1})"),
     {{Kind::error, 3, 23,
       "router.input_norm needs router.strategy to be 'learned', 'similarity', "
       "'table' or 'sparsemixer', found 'hash'"},
      {Kind::note, 3, 3, "router.strategy is given here"}}},
    {"ScaleWithHash",
     router(R"("strategy": "hash", "scale": 2)"),
     {{Kind::error, 3, 23,
       "router.scale needs router.strategy to be 'learned', 'similarity', "
       "'table' or 'sparsemixer', found 'hash'"},
      {Kind::note, 3, 3, "router.strategy is given here"}}},
    {"RecurrentSimilarity",
     router(R"("strategy": "similarity", "projection": {"form": "recurrent"})"),
     {{Kind::error, 3, 44,
       "router.projection.form needs router.strategy to be 'learned', 'table' "
       "or 'sparsemixer', found 'similarity'"},
      {Kind::note, 3, 3, "router.strategy is given here"}}},
    {"ScoreWithSparsemixer",
     router(R"("strategy": "sparsemixer", "score": "sigmoid")"),
     {{Kind::error, 3, 30,
       "router.score needs router.strategy to be 'learned', 'similarity' or "
       "'table', found 'sparsemixer'"},
      {Kind::note, 3, 3, "router.strategy is given here"}}},
    {"BalancedTable",
     router(
         R"("strategy": "table", "vocabulary": 9, "load_balancing": "dynamic")"),
     {{Kind::error, 3, 41,
       "router.load_balancing 'dynamic' needs router.strategy to be 'learned' "
       "or 'similarity', found 'table'"},
      {Kind::note, 3, 3, "router.strategy is given here"}}},
    {"NullExpertsWithTable",
     router(
         R"("strategy": "table", "vocabulary": 9, "null_experts": {"count": 1})"),
     {{Kind::error, 3, 41,
       "router.null_experts needs router.strategy to be 'learned' or "
       "'similarity', found 'table'"},
      {Kind::note, 3, 3, "router.strategy is given here"}}},
    {"SelectionBiasWithTable",
     router(R"("strategy": "table", "vocabulary": 9, "selection_bias": true)"),
     {{Kind::error, 3, 41,
       "router.selection_bias needs router.strategy to be 'learned' or "
       "'similarity', found 'table'"},
      {Kind::note, 3, 3, "router.strategy is given here"}}},
    // [S19]
    {"TableWithoutVocabulary",
     router(R"("strategy": "table")"),
     {{Kind::error, 3, 3,
       "router.strategy 'table' needs router.vocabulary to be above 0, found "
       "0 (the default)"}}},
    // [S20]
    {"SparsemixerOfOne",
     "{\"hidden\": 64,\n \"router\": {\"experts\": 8, \"top_k\": 1,\n  "
     "\"strategy\": \"sparsemixer\"},\n \"experts\": {\"intermediate\": 96}}",
     {{Kind::error, 3, 3,
       "router.strategy 'sparsemixer' needs router.top_k to be 2, found 1"},
      {Kind::note, 2, 27, "router.top_k is given here"}}},
    // [S21]
    {"AllAlwaysOn",
     router(R"("always_on": 8)"),
     {{Kind::error, 3, 3,
       "router.always_on: found 8, expected at most 7, so that there is an "
       "expert to choose"},
      {Kind::note, 2, 13, "router.experts is given here"}}},
    {"TooFewToChoose",
     router(R"("always_on": 7)"),
     {{Kind::error, 2, 27,
       "router.top_k: found 2, expected at most 1, the number of experts, "
       "those always on left out"},
      {Kind::note, 2, 13, "router.experts is given here"},
      {Kind::note, 3, 3, "router.always_on is given here"}}},
    {"GroupsOfTheOthers",
     router(R"("always_on": 1, "groups": {"count": 4, "keep": 2})"),
     {{Kind::error, 3, 30,
       "router.groups.count: found 4, expected a divisor of 7, the number of "
       "experts, those always on left out"},
      {Kind::note, 2, 13, "router.experts is given here"},
      {Kind::note, 3, 3, "router.always_on is given here"}}},
    {"AlwaysOnWithHash",
     router(R"("always_on": 1, "strategy": "hash")"),
     {{Kind::error, 3, 3,
       "router.always_on needs router.strategy to be 'learned' or "
       "'similarity', found 'hash'"},
      {Kind::note, 3, 19, "router.strategy is given here"}}},
    {"AlwaysOnBalanced",
     router(R"("always_on": 1, "load_balancing": "load_aware")"),
     {{Kind::error, 3, 3,
       "router.always_on needs router.load_balancing to be 'token_choice', "
       "found 'load_aware'"},
      {Kind::note, 3, 19, "router.load_balancing is given here"}}},
    {"AlwaysOnWithNullExperts",
     router(R"("always_on": 1, "null_experts": {"count": 2})"),
     {{Kind::error, 3, 3,
       "router.always_on needs router.null_experts.count to be 0, found 2"},
      {Kind::note, 3, 36, "router.null_experts.count is given here"}}},
    {"AlwaysOnWithCapacity",
     specWith(R"("always_on": 1)", "", R"("capacity": {"tokens": 5})"),
     {{Kind::error, 3, 3,
       "router.always_on needs capacity.tokens to be left out, found 5"},
      {Kind::note, 5, 15, "capacity.tokens is given here"}}},
    {"AlwaysOnWithFactor",
     specWith(R"("always_on": 1)", "", R"("capacity": {"factor": 1.5})"),
     {{Kind::error, 3, 3,
       "router.always_on needs capacity.factor to be left out, found 1.5"},
      {Kind::note, 5, 15, "capacity.factor is given here"}}},
    // [S22]
    {"RecurrentWithTwoLayers",
     router(R"("projection": {"form": "recurrent", "layers": 2})"),
     {{Kind::error, 3, 18,
       "router.projection.form 'recurrent' needs router.projection.layers to "
       "be 1, found 2"},
      {Kind::note, 3, 39, "router.projection.layers is given here"}}},
    {"ChainedFeedForward",
     router(R"("projection": {"chained": true})"),
     {{Kind::error, 3, 18,
       "router.projection.chained needs router.projection.form to be "
       "'recurrent', found 'feed_forward' (the default)"}}},
    // [S23]
    {"FactorOfNoNorm",
     router(R"("input_norm": {"factor": 2})"),
     {{Kind::error, 3, 18,
       "router.input_norm.factor needs router.input_norm.eps to be given, "
       "found none (the default)"}}},
};

MOE_BAD_INPUTS(BadRouter, inputs);
