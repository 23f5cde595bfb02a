//===- PlanGridJson.cpp - A plan for many devices, for programs -----------===//
//
// Part of moe-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "PlanGrid.h"

#include <nlohmann/json.hpp>

using namespace llvm;
using namespace moe;
using Json = nlohmann::ordered_json;

static Json toJson(const RankGrid &grid) {
  return {{"dp", grid.dp},
          {"ep", grid.ep},
          {"tp", grid.tp},
          {"experts_on", grid.expertsOn == ExpertsOn::tp ? "tp" : "ep"},
          {"sequence_parallel", grid.sequenceParallel},
          {"fsdp", grid.fsdp},
          {"exchange", name(grid.exchange)}};
}

static Json toJson(const GridMemory &memory) {
  return {{"weights", memory.weights},
          {"workspace", memory.worst},
          {"workspace_if_uniform", memory.expected},
          {"needed", memory.needed()}};
}

static Json toJson(const Link &link) {
  return {{"bandwidth", link.bandwidth}, {"latency", link.latency}};
}

static Json toJson(const Traffic &traffic) {
  return {{"name", traffic.name},
          {"kind", name(traffic.kind)},
          {"step", name(traffic.step)},
          {"axes", name(traffic.axes)},
          {"ranks", traffic.members},
          {"sent_bytes", traffic.sent},
          {"sent_bytes_on_node", traffic.sentOnNode},
          {"received_bytes", traffic.received}};
}

static Json toJson(const Candidate &candidate) {
  Json steps = Json::object(), exchanges = Json::object();
  for (int step = 0; step < kGridSteps; ++step)
    steps[std::string(name(GridStep(step)))] = candidate.seconds[step];
  for (auto [exchange, seconds] : candidate.exchanges)
    exchanges[std::string(name(exchange))] = seconds;
  Json traffic = Json::array();
  for (const Traffic &one : candidate.traffic)
    traffic.push_back(toJson(one));
  Json json = toJson(candidate.grid);
  json.update({{"seconds", candidate.total},
               {"step_seconds", std::move(steps)},
               {"exchange_seconds", std::move(exchanges)},
               {"hidden_seconds", candidate.hidden},
               {"tokens", candidate.tokens},
               {"rows", candidate.rows},
               {"operations", candidate.operations},
               {"memory_bytes", toJson(candidate.memory)},
               {"sent_bytes", candidate.sent()},
               {"collectives", std::move(traffic)}});
  return json;
}

static Json toJson(const DevicePlan &plan, const Exclusion &exclusion) {
  Json json = {{"reason", name(exclusion.reason)},
               {"count", exclusion.count},
               {"text", explain(plan, exclusion)}};
  if (exclusion.reason == Reason::memory)
    json.update({{"least", toJson(exclusion.least)},
                 {"least_bytes", toJson(exclusion.leastMemory)},
                 {"most_needed", exclusion.most},
                 {"fit_if_uniform", exclusion.fitIfUniform}});
  else
    json["sizes"] = exclusion.sizes;
  return json;
}

std::string moe::printJson(const DevicePlan &plan) {
  const Cluster &cluster = plan.devices.cluster;
  Json candidates = Json::array(), exclusions = Json::array();
  for (const Candidate &candidate : plan.best())
    candidates.push_back(toJson(candidate));
  for (const Exclusion &exclusion : plan.plan.exclusions)
    exclusions.push_back(toJson(plan, exclusion));
  Json json = {{"name", plan.spec.name},
               {"tokens", plan.tokens},
               {"weight_bytes", plan.layer.weightBytes()},
               {"devices",
                {{"count", cluster.devices},
                 {"nodes", cluster.nodes},
                 {"memory", cluster.memory},
                 {"flops", cluster.flops},
                 {"bandwidth", cluster.bandwidth},
                 {"layers", cluster.layers},
                 {"intra", toJson(cluster.intra)},
                 {"inter", toJson(cluster.inter)},
                 {"assumed", plan.devices.assumed}}},
               {"tp_across_nodes", plan.plan.tpAcrossNodes},
               {"possible", plan.plan.candidates.size()},
               {"candidates", std::move(candidates)},
               {"impossible", std::move(exclusions)}};
  return json.dump(2) + "\n";
}
