//===- Validate.cpp - What keys say together ------------------------------===//
//
// Part of moe-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Validate.h"
#include "Checker.h"
#include "Keys.h"
#include "Native.h"
#include "Sources.h"
#include "Text/Reporter.h"

#include "moe/Import/Import.h"

#include <algorithm>

using namespace moe;

namespace {

class Validator : Checker {
public:
  using Checker::Checker;

  void run() {
    checkName();
    validateRouter(spec, locations, reporter);
    checkParallel();
    validateExperts(spec, locations, reporter);
    checkFunctions();
    checkCompression();
    validateSizes(spec, locations, reporter);
    validateWeightTensors(spec, locations, reporter);
  }

private:
  void checkName() { // [S17]
    std::string_view expected = packageNameProblem(spec.name);
    if (!expected.empty())
      wrong("name", std::string(expected), {});
  }

  void checkParallel() { // [S11]
    const ParallelSpec &parallel = spec.parallel;
    int64_t experts = spec.router.experts;
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
    if (!parallel.placement.empty())
      checkPlacement();
    else if (experts % devices != 0)
      wrong(axis,
            "a divisor of " + std::to_string(experts) +
                ", the number of experts" +
                (onTp ? "" : ", or parallel.placement"),
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
    checkChunks();
  }

  void checkChunks() { // [S32]
    constexpr Path path = "parallel.chunks";
    const ParallelSpec &parallel = spec.parallel;
    bool exchanges = parallel.ep > 1 && parallel.expertsOn == ExpertsOn::ep;
    if (parallel.chunks == 1 || !exchanges)
      return;
    if (parallel.exchange != Exchange::all_to_all)
      return valueNeeds(path, "parallel.exchange", "'all_to_all'");
    int64_t places =
        parallel.placement.empty() ? spec.router.experts / parallel.ep : 0;
    for (const std::vector<int64_t> &experts : parallel.placement)
      places = std::max(places, int64_t(experts.size()));
    if (parallel.chunks > places)
      wrong(path,
            "at most " + std::to_string(places) +
                ", the experts that a device of ep has",
            {"router.experts", "parallel.grid.ep"});
  }

  void checkPlacement() { // [S31]
    constexpr Path path = "parallel.placement";
    const ParallelSpec &parallel = spec.parallel;
    auto bad = [&](const std::string &message) {
      reporter.error(locations.of(path), std::string(path) + ": " + message);
    };
    if (parallel.expertsOn == ExpertsOn::tp)
      return needs(path, "parallel.experts_on", "'ep'");
    if (parallel.expertsPerDevice)
      return bad("found parallel.experts_per_device too, expected one of them");
    if (spec.capacity.limited())
      return bad("found a capacity too, expected none: an expert may have "
                 "several places");
    size_t members = parallel.placement.size();
    if (int64_t(members) != parallel.ep)
      return bad("found the experts of " + std::to_string(members) +
                 " devices, expected those of " + std::to_string(parallel.ep) +
                 ", parallel.grid.ep");
    std::vector<int64_t> last(spec.router.experts, -1);
    for (size_t member = 0; member < members; ++member)
      for (int64_t expert : parallel.placement[member]) {
        std::string found = "found expert " + std::to_string(expert);
        if (expert >= spec.router.experts)
          return bad(found + ", expected at most " +
                     std::to_string(spec.router.experts - 1));
        if (last[expert] == int64_t(member))
          return bad(found + " twice on device " + std::to_string(member) +
                     ", expected it once there");
        last[expert] = static_cast<int64_t>(member);
      }
    auto nowhere = std::find(last.begin(), last.end(), -1);
    if (nowhere != last.end())
      bad("found no place for expert " +
          std::to_string(nowhere - last.begin()) + ", expected one at least");
  }

  /// [S14], the half that reading the list leaves.
  void checkFunctions() {
    for (Function function : spec.functions)
      if (function == Function::step &&
          spec.router.balancing != Balancing::dynamic)
        needs("functions", "router.load_balancing", "'dynamic' for 'step'");
      else if ((function == Function::quantize ||
                function == Function::dequantize) &&
               (spec.averaging.compression == Compression::none ||
                spec.averaging.compression == Compression::fp16))
        needs("functions", "averaging.compression.kind", "a format of blocks");
  }

  void checkCompression() { // [S16]
    if (spec.averaging.compression == Compression::mxfp4 &&
        spec.averaging.block != 32)
      valueNeeds("averaging.compression.kind", "averaging.compression.block",
                 "32");
    if (spec.averaging.compression == Compression::int4 &&
        spec.averaging.block % 2 != 0)
      valueNeeds("averaging.compression.kind", "averaging.compression.block",
                 "an even size");
  }
};

} // namespace

void moe::setGrid(Spec &spec, const std::optional<Grid> &grid) {
  if (!grid)
    return;
  ParallelSpec &parallel = spec.parallel;
  parallel.dp = grid->dp;
  parallel.ep = grid->ep;
  parallel.tp = grid->tp;
  parallel.chunks = grid->chunks.value_or(parallel.chunks);
  // What the grid makes of it again.
  parallel.expertsPerDevice.reset();
  resolveDefaults(spec);
}

void moe::validate(const Spec &spec, const Locations &locations,
                   Reporter &reporter) {
  Validator(spec, locations, reporter).run();
}
