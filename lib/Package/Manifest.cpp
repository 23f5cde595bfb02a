//===- Manifest.cpp - What a package says about itself --------------------===//
//
// Part of moe-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "moe/Import/Import.h"
#include "moe/Package/Package.h"
#include "moe/Runtime/moe.h"
#include "moe/Support/Hash.h"
#include "moe/Version.h"

#include "llvm/ADT/StringExtras.h"
#include "llvm/ADT/StringSet.h"

#include <nlohmann/json.hpp>

using namespace moe;
using Json = nlohmann::ordered_json;

static Json shape(const std::vector<std::string> &dims) {
  Json result = Json::array();
  for (const std::string &dim : dims) {
    int64_t number;
    if (llvm::StringRef(dim).getAsInteger(10, number))
      result.push_back(dim);
    else
      result.push_back(number);
  }
  return result;
}

static Json tensor(const Argument &argument) {
  return {{"name", argument.name},
          {"dtype", argument.type},
          {"shape", shape(argument.shape)}};
}

/// A name with the layer filled in.
static std::string withLayer(std::string name, const WeightsSpec &weights) {
  std::string layer = std::to_string(weights.layer);
  for (size_t at = 0; (at = name.find("{l}", at)) != std::string::npos;
       at += layer.size())
    name.replace(at, 3, layer);
  return name;
}

static SourceSpec withPrefix(SourceSpec source, const std::string &prefix) {
  if (!source.absolute)
    source.name = prefix + source.name;
  source.absolute = false;
  for (std::vector<SourceSpec> *beside :
       {&source.scales, &source.zeros, &source.globalScale})
    for (SourceSpec &other : *beside)
      other = withPrefix(other, prefix);
  return source;
}

/// Under every prefix the alternatives, and at last the weight's own name.
static Json sources(const std::string &name, const WeightsSpec &weights) {
  std::vector<SourceList> alternatives;
  for (const std::string &prefix : weights.prefix)
    for (const WeightSources &tensor : weights.tensors)
      if (tensor.weight == name)
        for (const SourceList &alternative : tensor.alternatives) {
          SourceList &list = alternatives.emplace_back();
          for (const SourceSpec &source : alternative)
            list.push_back(withPrefix(source, prefix));
        }
  for (const std::string &prefix : weights.prefix) {
    SourceSpec own;
    own.name = prefix + name;
    alternatives.push_back({own});
  }
  return Json::parse(printSources(alternatives));
}

static Json shard(const Shard &shard) {
  Json splits = Json::array();
  for (const Split &split : shard.split) {
    Json &entry = splits.emplace_back();
    entry["dim"] = split.dim;
    entry["axis"] = split.axis;
    if (!split.experts.empty())
      entry["experts"] = split.experts;
    if (split.parts != 1)
      entry["parts"] = split.parts;
  }
  Json result = {{"whole", shard.whole}, {"split", splits}};
  if (!shard.onlyFirst.empty())
    result["only_first"] = shard.onlyFirst;
  return result;
}

static Json weight(const Argument &argument, const Spec *spec) {
  Json entry = tensor(argument);
  if (spec) {
    entry["file_name"] =
        withLayer(spec->weights.prefix[0], spec->weights) + argument.name;
    entry["sources"] = sources(argument.name, spec->weights);
  } else {
    entry["file_name"] = argument.name;
  }
  if (llvm::StringRef(argument.name).starts_with("experts."))
    entry["per_expert"] = true;
  if (!argument.packed.empty())
    entry["packed"] = argument.packed;
  if (argument.shard)
    entry["shard"] = shard(*argument.shard);
  if (argument.fanIn)
    entry["fan_in"] = argument.fanIn;
  else if (argument.shard && !argument.shard->whole.empty())
    entry["fan_in"] = argument.shard->whole.back();
  else
    entry["fan_in"] =
        argument.shape.empty() ? Json(1) : shape({argument.shape.back()})[0];
  return entry;
}

/// What a reader of files needs to know beside the weights.
static Json checkpoint(const WeightsSpec &weights) {
  Json result = {{"layer", weights.layer}};
  if (!weights.tensors.empty()) {
    result["prefix"] = weights.prefix;
    result["ignore"] = weights.ignore;
  }
  return result;
}

/// How long ranks wait for each other in a step of an averager.
static Json averaging(const AveragingSpec &spec) {
  return {{"match_timeout_ms", spec.matchTimeoutMs},
          {"exchange_timeout_ms", spec.exchangeTimeoutMs}};
}

static Json collective(const Collective &collective) {
  Json result = {{"kind", collective.kind}, {"axes", collective.axes}};
  auto add = [&](const char *key, const std::string &value) {
    if (!value.empty())
      result[key] = value;
  };
  auto addNumber = [&](const char *key, std::optional<int64_t> value) {
    if (value)
      result[key] = *value;
  };
  add("dtype", collective.type);
  addNumber("row", collective.row);
  if (!collective.rows.empty())
    result["rows"] = shape({collective.rows})[0];
  add("reduce", collective.reduce);
  addNumber("root", collective.root);
  addNumber("peer", collective.peer);
  add("pattern", collective.pattern);
  add("mode", collective.mode);
  addNumber("places", collective.places);
  if (!collective.bound.empty())
    result["bound"] = shape({collective.bound})[0];
  if (!collective.chunk.empty())
    result["chunk"] = collective.chunk;
  add("whole", collective.whole);
  if (collective.even)
    result["even"] = true;
  if (collective.packed)
    result["packed"] = true;
  add("name", collective.name);
  return result;
}

static Json table(llvm::ArrayRef<Collective> collectives) {
  Json result = Json::array();
  for (const Collective &one : collectives)
    result.push_back(collective(one));
  return result;
}

static Json function(const Signature &signature) {
  Json arguments = Json::array();
  for (const Argument &argument : signature.arguments) {
    Json entry = tensor(argument);
    entry["role"] = argument.role;
    arguments.push_back(entry);
  }
  Json per = Json::object();
  for (auto &[size, bytes] : signature.workspacePer)
    per[size] = bytes;
  Json result = {
      {"name", signature.name},
      {"symbol", signature.symbol},
      {"sizes", signature.sizes},
      {"arguments", arguments},
      {"workspace", {{"constant", signature.workspaceConstant}, {"per", per}}}};
  for (const SizeSum &sum : signature.sums) {
    Json &entry = result["sums"][sum.size];
    entry = {{"of", sum.of}, {"axes", sum.axes}};
    if (!sum.before.empty())
      entry["before"] = sum.before;
  }
  if (!signature.tokensOver.empty())
    result["tokens_over"] = signature.tokensOver;
  if (signature.hasExchange)
    result["collectives"] = table(signature.collectives);
  if (signature.deviceCollectives)
    result["device_collectives"] = table(*signature.deviceCollectives);
  return result;
}

static Json target(const PackageInfo &info) {
  Json variants = Json::array();
  for (const PackageVariant &variant : info.variants) {
    Json &entry = variants.emplace_back();
    entry = {{"kind", variant.kind},
             {"cpu", variant.cpu},
             {"features", variant.features}};
    for (const PackageKernels::Image &image : variant.kernels.images)
      entry["gpu"].push_back(image.arch);
  }
  return {{"triple", info.triple}, {"variants", variants}};
}

/// Whether they are the same but for their workspace, and what a device
/// exchanges.
static bool areAlike(const Signature &a, const Signature &b) {
  Json first = function(a), second = function(b);
  for (const char *key : {"workspace", "collectives", "device_collectives"}) {
    first.erase(key);
    second.erase(key);
  }
  return first == second && a.hasExchange == b.hasExchange;
}

llvm::Error moe::mergeSignatures(std::vector<Signature> &signatures,
                                 llvm::ArrayRef<Signature> others,
                                 bool areOfDevice) {
  for (auto [signature, other] : llvm::zip_equal(signatures, others)) {
    bool exchangeAlike =
        table(signature.collectives) == table(other.collectives);
    if (areOfDevice && !exchangeAlike)
      signature.deviceCollectives = other.collectives;
    if (!areAlike(signature, other) || (!areOfDevice && !exchangeAlike))
      return llvm::createStringError(
          "function '" + signature.name +
          "' has other arguments on one target than on another; expected a "
          "package for each target");
    signature.workspaceConstant =
        std::max(signature.workspaceConstant, other.workspaceConstant);
    for (auto [argument, otherOne] :
         llvm::zip_equal(signature.arguments, other.arguments))
      if (argument.packed.empty())
        argument.packed = otherOne.packed;
    for (const auto &per : other.workspacePer) {
      auto same = llvm::find_if(signature.workspacePer, [&](const auto &known) {
        return known.first == per.first;
      });
      if (same == signature.workspacePer.end())
        signature.workspacePer.push_back(per);
      else
        same->second = std::max(same->second, per.second);
    }
  }
  return llvm::Error::success();
}

std::string moe::makeManifest(const PackageInfo &info,
                              llvm::ArrayRef<Signature> signatures) {
  Json weights = Json::array(), state = Json::array(),
       functions = Json::array();
  llvm::StringSet<> seen;
  for (const Signature &signature : signatures) {
    functions.push_back(function(signature));
    for (const Argument &argument : signature.arguments) {
      bool isState = argument.role == "state";
      if ((argument.role != "weight" && !isState) ||
          !seen.insert(argument.name).second)
        continue;
      if (isState) {
        Json entry = tensor(argument);
        entry["initial"] = argument.startsAsWeight ? "weight" : "zero";
        state.push_back(entry);
      }
      if (!isState || argument.startsAsWeight)
        weights.push_back(weight(argument, info.spec));
    }
  }
  Json manifest = {
      {"moe_package", 1},
      {"abi", MOE_ABI_VERSION},
      {"name", info.name},
      {"compiler", "moe-mlir " MOE_VERSION ", LLVM " MOE_LLVM_VERSION}};
  if (info.spec) {
    Json spec = Json::parse(printSpec(*info.spec));
    manifest["spec"] = spec;
    manifest["spec_hash"] =
        llvm::utohexstr(fnv1a(spec.dump()), /*LowerCase=*/true, /*Width=*/16);
    manifest["grid"] = spec["parallel"]["grid"];
  }
  for (auto &[axis, size] : info.grid)
    manifest["grid"][axis] = size;
  manifest["target"] = target(info);
  if (info.spec)
    manifest["checkpoint"] = checkpoint(info.spec->weights);
  if (info.spec &&
      llvm::is_contained(info.spec->functions, Function::average_group))
    manifest["averaging"] = averaging(info.spec->averaging);
  manifest["weights"] = weights;
  manifest["state"] = state;
  manifest["functions"] = functions;
  return manifest.dump(1) + "\n";
}
