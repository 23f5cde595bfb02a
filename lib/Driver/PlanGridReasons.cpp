//===- PlanGridReasons.cpp - Why a grid cannot be -------------------------===//
//
// Part of moe-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "PlanGrid.h"
#include "Table.h"

#include "llvm/Support/FormatVariadic.h"

using namespace llvm;
using namespace moe;

static std::string listed(ArrayRef<int64_t> sizes) {
  constexpr size_t most = 8;
  std::string text;
  for (int64_t size : sizes.take_front(most))
    text += (text.empty() ? "" : ", ") + std::to_string(size);
  if (sizes.size() > most)
    text += ", ... " + std::to_string(sizes.back());
  return text;
}

static std::string parts(int64_t size, int64_t unit) {
  std::string text = std::to_string(size);
  return unit == 1 ? text
                   : text + ", of which " + std::to_string(unit) +
                         " share a scale or a byte";
}

std::string moe::describe(const RankGrid &grid) {
  std::string text =
      formatv("dp {0}, ep {1}, tp {2}", grid.dp, grid.ep, grid.tp);
  if (grid.expertsOn == ExpertsOn::tp)
    text += ", experts on tp";
  if (grid.sequenceParallel)
    text += ", sequence parallel";
  if (grid.fsdp)
    text += ", fsdp";
  return text;
}

static std::string explainMemory(const DevicePlan &plan,
                                 const Exclusion &exclusion) {
  const GridMemory &least = exclusion.leastMemory;
  std::string text = formatv(
      "memory: {0} to {1} needed, {2} available; least with {3}: {4} of "
      "weights, {5} of workspace, of which uniform routing uses {6}",
      binaryBytes(least.needed()), binaryBytes(exclusion.most),
      binaryBytes(plan.devices.cluster.memory), describe(exclusion.least),
      binaryBytes(least.weights), binaryBytes(least.worst),
      binaryBytes(least.expected));
  if (exclusion.fitIfUniform)
    text += "; " + std::to_string(exclusion.fitIfUniform) +
            " would fit if routing were uniform";
  return text;
}

std::string moe::explain(const DevicePlan &plan, const Exclusion &exclusion) {
  const GridLayer &layer = plan.layer;
  const Cluster &cluster = plan.devices.cluster;
  std::string sizes = listed(exclusion.sizes);
  switch (exclusion.reason) {
  case Reason::world:
    return formatv("ep {0}: no divisor of the {1} devices", sizes,
                   cluster.devices);
  case Reason::node:
    return formatv("tp {0}: no divisor of the {1} devices of a node, and what "
                   "tp sends is too much for links between nodes",
                   sizes, cluster.nodeDevices());
  case Reason::experts:
    return formatv("ep {0}: no divisor of the {1} experts", sizes,
                   layer.experts);
  case Reason::expertsOnTp:
    return formatv("tp {0} with experts on tp: no divisor of the {1} experts",
                   sizes, layer.experts);
  case Reason::intermediate:
    return formatv("tp {0}: no whole parts of the intermediate size {1}", sizes,
                   parts(layer.intermediate, layer.unit));
  case Reason::shared:
    return formatv("tp {0}: no whole parts of the shared expert's "
                   "intermediate size {1}",
                   sizes, parts(layer.sharedIntermediate, layer.sharedUnit));
  case Reason::fsdp:
    return formatv("dp {0} with fsdp: no divisor of any weight's first "
                   "dimension",
                   sizes);
  case Reason::memory:
    return explainMemory(plan, exclusion);
  }
  llvm_unreachable("every reason is one of the above");
}
