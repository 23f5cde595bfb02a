//===- PlanGrid.cpp - A plan for many devices, as text --------------------===//
//
// Part of moe-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "PlanGrid.h"
#include "Table.h"

#include "llvm/ADT/STLExtras.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/Support/FormatVariadic.h"

using namespace llvm;
using namespace moe;

static std::string memory(int64_t bytes) { return binaryBytes(double(bytes)); }

static std::string devices(int64_t count) {
  return std::to_string(count) + (count == 1 ? " device" : " devices");
}

static std::string mebibytes(int64_t bytes) {
  return formatv("{0:F3}", double(bytes) / (1 << 20));
}

static std::string link(const Link &link) {
  return bytes(link.bandwidth) + "/s after " + time(link.latency);
}

//===----------------------------------------------------------------------===//
// What excludes candidates
//===----------------------------------------------------------------------===//

static std::string printExclusions(const DevicePlan &plan) {
  Table table;
  for (const Exclusion &exclusion : plan.plan.exclusions)
    table.push_back(
        {"", std::to_string(exclusion.count), explain(plan, exclusion)});
  return print(table);
}

//===----------------------------------------------------------------------===//
// Candidates
//===----------------------------------------------------------------------===//

std::string_view moe::name(GridStep step) {
  constexpr std::string_view names[] = {"sizes",  "weights",  "tokens",
                                        "router", "dispatch", "experts",
                                        "return", "sum"};
  return names[int(step)];
}

/// What a candidate has besides its sizes.
static std::string extras(const RankGrid &grid) {
  SmallVector<StringRef> words;
  if (grid.expertsOn == ExpertsOn::tp)
    words.push_back("experts_on_tp");
  if (grid.sequenceParallel)
    words.push_back("sequence");
  if (grid.fsdp)
    words.push_back("fsdp");
  return words.empty() ? "-" : join(words, "+");
}

static std::vector<std::string> sizesOf(size_t number, const RankGrid &grid) {
  return {std::to_string(number), std::to_string(grid.dp),
          std::to_string(grid.ep), std::to_string(grid.tp)};
}

static std::string exchangeOf(const Candidate &candidate) {
  bool exchanges = any_of(candidate.traffic, [](const Traffic &traffic) {
    return traffic.kind == CollectiveKind::all_to_all_v;
  });
  return exchanges ? std::string(name(candidate.grid.exchange)) : "-";
}

static Table candidateTable(const DevicePlan &plan) {
  Table table = {{"", "dp", "ep", "tp", "with", "exchange", "step", "weights",
                  "workspace", "if uniform", "work", "sent MiB"}};
  for (auto [index, candidate] : enumerate(plan.best())) {
    const GridMemory &needed = candidate.memory;
    std::vector<std::string> row = sizesOf(index + 1, candidate.grid);
    for (const std::string &cell :
         {extras(candidate.grid), exchangeOf(candidate), time(candidate.total),
          memory(needed.weights), memory(needed.worst), memory(needed.expected),
          operations(candidate.operations), mebibytes(candidate.sent())})
      row.push_back(cell);
    table.push_back(std::move(row));
  }
  return table;
}

/// Steps that take no time for any candidate are left out.
static Table stepTable(const DevicePlan &plan) {
  Table table = {{"", "dp", "ep", "tp"}};
  for (auto [index, candidate] : enumerate(plan.best()))
    table.push_back(sizesOf(index + 1, candidate.grid));
  for (int step = 0; step < kGridSteps; ++step) {
    auto takesTime = [&](const Candidate &candidate) {
      return candidate.seconds[step] > 0;
    };
    if (none_of(plan.best(), takesTime))
      continue;
    table[0].emplace_back(name(GridStep(step)));
    for (auto [row, candidate] : zip(drop_begin(table), plan.best()))
      row.push_back(takesTime(candidate) ? time(candidate.seconds[step]) : "-");
  }
  return table;
}

static Table trafficTable(const Candidate &candidate) {
  Table table = {{"sent by a rank of 1", "as", "over", "ranks", "bytes", "MiB",
                  "on its node"}};
  for (const Traffic &traffic : candidate.traffic)
    table.push_back({traffic.name, std::string(name(traffic.kind)),
                     name(traffic.axes), std::to_string(traffic.members),
                     std::to_string(traffic.sent), mebibytes(traffic.sent),
                     mebibytes(traffic.sentOnNode)});
  return table;
}

static std::string printExchanges(const Candidate &candidate) {
  if (candidate.exchanges.size() < 2)
    return "";
  SmallVector<std::string> times;
  for (auto [exchange, seconds] : candidate.exchanges)
    times.push_back(std::string(name(exchange)) + " " + time(seconds));
  return "exchanges of 1: " + join(times, ", ") + "\n";
}

/// What it would give to send rows of the first candidate in chunks.
static std::string printChunks(const DevicePlan &plan) {
  const Candidate &first = plan.best().front();
  auto chunks =
      predictChunks(plan.layer, plan.devices.cluster, first.grid, plan.tokens);
  if (chunks.size() < 2)
    return "";
  SmallVector<std::string> times;
  for (auto [number, seconds] : chunks)
    times.push_back(std::to_string(number) + " " + time(seconds));
  return "rows of 1 in chunks: " + join(times, ", ") + "\n";
}

static std::string printHead(const DevicePlan &plan) {
  const Spec &spec = plan.spec;
  const Cluster &cluster = plan.devices.cluster;
  std::string text = formatv(
      "{0}: {1} experts, {2} for a token, hidden {3}, intermediate {4}, {5} of "
      "weights{6}\n",
      spec.name, spec.router.experts, spec.router.topK, spec.hidden,
      spec.experts.intermediate, memory(plan.layer.weightBytes()),
      cluster.layers == 1
          ? ""
          : " in each of " + std::to_string(cluster.layers) + " layers");
  std::string where = cluster.nodes == 1
                          ? " on one node"
                          : formatv(", {0} on each of {1} nodes",
                                    cluster.nodeDevices(), cluster.nodes)
                                .str();
  text += formatv("{0}{1}: {2}, {3}/s and {4}/s of memory\n",
                  devices(cluster.devices), where, memory(cluster.memory),
                  operations(cluster.flops), bytes(cluster.bandwidth));
  text += formatv("links: {0} within a node, {1} between nodes\n",
                  link(cluster.intra), link(cluster.inter));
  if (!plan.devices.assumed.empty())
    text += "assumed, as of H100 devices: " + join(plan.devices.assumed, ", ") +
            "\n";
  return text + formatv("{0} tokens a step; devices and links at their peak, "
                        "one after the other\n",
                        plan.tokens)
                    .str();
}

std::string moe::printText(const DevicePlan &plan) {
  const Candidate &first = plan.plan.candidates.front();
  size_t shown = plan.best().size(), all = plan.plan.candidates.size();
  std::string text = printHead(plan);
  if (plan.plan.tpAcrossNodes)
    text += "tp reaches across nodes, since nothing else is possible\n";
  text += "\n" + print(candidateTable(plan));
  if (shown < all)
    text += formatv("... and {0} more that are slower\n", all - shown).str();
  text += "\n" + print(stepTable(plan)) + "\n" + print(trafficTable(first)) +
          printExchanges(first) + printChunks(plan);
  if (!plan.plan.exclusions.empty())
    text += "\nimpossible:\n" + printExclusions(plan);
  return text;
}

//===----------------------------------------------------------------------===//
// All of it
//===----------------------------------------------------------------------===//

static Error impossible(const DevicePlan &plan) {
  const GridPlan &found = plan.plan;
  const Cluster &cluster = plan.devices.cluster;
  std::string enough = found.enoughDevices
                           ? devices(found.enoughDevices) + " would do"
                           : "no number of devices up to " +
                                 std::to_string(kMostDevices) + " would do";
  // With enough of it, dp alone is always possible.
  auto exclusion = find_if(found.exclusions, [](const Exclusion &one) {
    return one.reason == Reason::memory;
  });
  const GridMemory &least = exclusion->leastMemory;
  return createStringError(formatv(
      "insufficient memory: a rank needs at least {0} ({1} of weights and "
      "{2} of workspace, with {3}), but a device has {4}; {5}",
      memory(least.needed()), memory(least.weights), memory(least.worst),
      describe(exclusion->least), memory(cluster.memory), enough));
}

Expected<std::string> moe::printGridPlan(const CompileOptions &options,
                                         const Spec &spec) {
  int64_t tokens = options.tokens.front();
  DevicePlan plan = {
      spec, gridLayerOf(spec), clusterOf(options.grid, spec), tokens, {}};
  if (!is_contained(spec.functions, Function::forward))
    return createStringError("--plan needs a package with a forward");
  if (!isCountable(plan.layer, tokens))
    return createStringError("found " + Twine(tokens) + " tokens of '" +
                             spec.name +
                             "', expected fewer: their bytes are too many to "
                             "be counted");
  plan.plan = planGrid(plan.layer, plan.devices.cluster, tokens);
  if (plan.plan.candidates.empty())
    return impossible(plan);
  return options.json ? printJson(plan) : printText(plan);
}
