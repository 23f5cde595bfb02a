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

/// `weights.prefix` with the layer filled in.
static std::string weightPrefix(const Spec *spec) {
  if (!spec)
    return "";
  std::string prefix = spec->weights.prefix;
  for (size_t at; (at = prefix.find("{l}")) != std::string::npos;)
    prefix.replace(at, 3, std::to_string(spec->weights.layer));
  return prefix;
}

static Json weight(const Argument &argument, const std::string &prefix) {
  Json entry = tensor(argument);
  entry["file_name"] = prefix + argument.name;
  if (argument.fanIn)
    entry["fan_in"] = argument.fanIn;
  else
    entry["fan_in"] =
        argument.shape.empty() ? Json(1) : shape({argument.shape.back()})[0];
  return entry;
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
  return {
      {"name", signature.name},
      {"symbol", signature.symbol},
      {"sizes", signature.sizes},
      {"arguments", arguments},
      {"workspace", {{"constant", signature.workspaceConstant}, {"per", per}}}};
}

std::string moe::makeManifest(const PackageInfo &info,
                              llvm::ArrayRef<Signature> signatures) {
  Json weights = Json::array(), state = Json::array(),
       functions = Json::array();
  llvm::StringSet<> seen;
  std::string prefix = weightPrefix(info.spec);
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
        weights.push_back(weight(argument, prefix));
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
  manifest["target"] = {{"kind", info.targetKind},
                        {"triple", info.triple},
                        {"cpu", info.cpu},
                        {"features", info.features}};
  manifest["weights"] = weights;
  manifest["state"] = state;
  manifest["functions"] = functions;
  return manifest.dump(1) + "\n";
}
