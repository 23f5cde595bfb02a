//===- Session.cpp - A package with a layer and arrays --------------------===//
//
// Part of moe-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
// The runtime has checked the manifest when it opened the package; here it is
// read without suspicion.
//
//===----------------------------------------------------------------------===//

#include "Session.h"
#include "Progress.h"

#include <unistd.h>

#include <algorithm>

namespace moe::run {

using nlohmann::json;

DType dtypeOf(const json &argument) {
  return *runtime::dtypeNamed(argument["dtype"].get<std::string>());
}

static std::string describeGrid(const json &manifest) {
  runtime::Grid grid = gridOf(manifest);
  std::string text = "'" + manifest["name"].get<std::string>() + "' is for " +
                     std::to_string(grid.size()) + " rank";
  if (grid.size() == 1)
    return text;
  return text + "s, dp " + std::to_string(grid.dp) + ", ep " +
         std::to_string(grid.ep) + ", tp " + std::to_string(grid.tp);
}

void Session::makeTeam(const Options *options) {
  int ranks = int(gridOf(manifest).size());
  if (!options && ranks > 1)
    throw RunError("the reference " + describeGrid(manifest) +
                   "; expected a package for one");
  bool launched = options && isLaunched(*options) &&
                  (ranks > 1 || !options->engine.empty());
  if (!options || (ranks == 1 && !options->ranks && !launched)) {
    team = std::make_unique<Team>();
    return;
  }
  if (!options->ranks && !launched)
    throw RunError(describeGrid(manifest) + "; expected --ranks " +
                   std::to_string(ranks));
  if (options->ranks && options->ranks != ranks)
    throw RunError(describeGrid(manifest) + "; found --ranks " +
                   std::to_string(options->ranks));
  team = std::make_unique<Team>(*options, ranks);
}

void Session::makeLayer(size_t member, moe_layer_options options) {
  if (!team->isAlone())
    options.world = team->world(member);
  moe_layer *layer = nullptr;
  moe_status status = moe_layer_create_with(package.get(), &options, &layer);
  layers[member].reset(layer);
  check(status);
}

Session::Session(const std::string &directory, const std::string &name,
                 const Options *options)
    : function(name) {
  const moe_package *opened = nullptr;
  check(moe_package_open(directory.c_str(), &opened));
  package.reset(opened);
  manifest = json::parse(moe_package_manifest(opened));
  functionJson(); // before others are waited for
  makeTeam(options);
  layers.resize(team->size());
  calls.resize(team->size());
  moe_layer_options choice = {};
  if (options && !options->cpu.empty())
    choice.cpu = options->cpu.c_str();
  if (options && !options->device.empty())
    choice.device = options->device.c_str();
  else if (!options && hasCpuCode())
    choice.device = "cpu"; // a reference
  team->each([&](size_t member) {
    makeLayer(member, choice);
    if (options && options->graph)
      check(moe_layer_set_graph(layers[member].get(), 1));
  });
}

bool Session::hasCpuCode() const {
  const json &variants = manifest["target"]["variants"];
  return std::any_of(variants.begin(), variants.end(), [](const json &variant) {
    return variant["kind"] == "cpu" || variant["kind"] == "reference";
  });
}

const json &Session::functionJson() const {
  std::string known;
  for (const json &candidate : manifest["functions"]) {
    if (candidate["name"] == function)
      return candidate;
    known += (known.empty() ? "" : ", ") + candidate["name"].get<std::string>();
  }
  throw RunError("the package has no function '" + function + "'; it has " +
                 known);
}

void Session::loadFile(size_t member, const Options &options) {
  ProgressLine line(member == 0 && team->reports() && isatty(STDERR_FILENO));
  const char *path = options.weights.c_str();
  moe_layer *to = layers[member].get();
  check(options.layer
            ? moe_layer_load_weights_of(to, path, *options.layer,
                                        ProgressLine::call, &line)
            : moe_layer_load_weights(to, path, ProgressLine::call, &line));
}

void Session::loadWeights(const Options &options) {
  team->each([&](size_t member) {
    if (options.weights.empty())
      check(moe_layer_randomize(layers[member].get(), options.seed,
                                options.exact));
    else
      loadFile(member, options);
  });
  if (!options.saveWeights.empty())
    check(moe_layer_save_weights(layers[0].get(), options.saveWeights.c_str()));
}

void Session::takeWeights(Session &from) {
  for (const json &weight : manifest["weights"]) {
    std::string name = weight["name"];
    Array array = convert(from.weight(name), dtypeOf(weight), name);
    DLTensor view = array.view();
    check(moe_layer_set_weight(layers[0].get(), name.c_str(), &view));
  }
}

const json &Session::argumentJson(const std::string &name) const {
  static const json none;
  for (const json &argument : functionJson()["arguments"])
    if (argument["name"] == name)
      return argument;
  return none;
}

bool Session::has(const std::string &name) const {
  return !argumentJson(name).is_null();
}

} // namespace moe::run
