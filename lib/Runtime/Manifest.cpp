//===- Manifest.cpp - What a package says about itself --------------------===//
//
// Part of moe-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
// Reads the tables of weights, state and functions, one reader a table.
//
//===----------------------------------------------------------------------===//

#include "ManifestReader.h"
#include "Strips.h"

#include <algorithm>
#include <unordered_set>

namespace moe::runtime {

template <typename Items>
static int indexOf(const Items &items, std::string_view name) {
  for (size_t i = 0; i < items.size(); ++i)
    if (items[i].name == name)
      return static_cast<int>(i);
  return -1;
}

int Function::find(std::string_view argument) const {
  return indexOf(arguments, argument);
}
int Manifest::findWeight(std::string_view name) const {
  return indexOf(weights, name);
}
int Manifest::findState(std::string_view name) const {
  return indexOf(state, name);
}
int Manifest::findFunction(std::string_view name) const {
  return indexOf(functions, name);
}

namespace {
/// Finds the second use of a name.
class Names {
public:
  const std::string &add(const JsonNode &node, const std::string &name) {
    auto [place, fresh] = seen.insert(name);
    if (!fresh)
      node.failBecause("name '" + name + "' is used twice");
    return *place;
  }

private:
  std::unordered_set<std::string> seen;
};
} // namespace

size_t readOneOf(const JsonNode &node, const std::vector<const char *> &names) {
  std::string value = node.string(), all;
  for (size_t i = 0; i < names.size(); ++i) {
    if (value == names[i])
      return i;
    all += std::string(" ") + names[i];
  }
  node.failExpected("one of" + all);
}

DType readDType(const JsonNode &node) {
  std::optional<DType> type = dtypeNamed(node.string());
  if (!type)
    node.failExpected("one of f32 f64 bf16 f16 i8 u8 i32 i64");
  return *type;
}

/// Name, type and shape of a tensor whose sizes are plain numbers.
static void readTensor(const JsonNode &node, Names &names, Tensor &tensor) {
  tensor.name = names.add(node["name"], node["name"].tensorName());
  tensor.dtype = readDType(node["dtype"]);
  JsonNode shape = node["shape"];
  size_t rank = shape.size(maxRank);
  for (size_t i = 0; i < rank; ++i)
    tensor.shape.push_back(shape[i].integer(0, INT64_MAX));
  std::optional<int64_t> size =
      byteCount(tensor.shape.data(), rank, tensor.dtype);
  if (!size)
    shape.failBecause("the tensor's size in bytes overflows");
  tensor.byteSize = *size;
}

/// Files may have so many times more, of which sizes are computed; of weights
/// without elements too, whose other sizes may be large.
static void checkSources(const JsonNode &node, const Weight &weight) {
  std::vector<int64_t> shape = weight.wholeShape();
  std::replace(shape.begin(), shape.end(), int64_t(0), int64_t(1));
  std::optional<int64_t> size =
      byteCount(shape.data(), shape.size(), weight.dtype);
  if (!size || !multiply(*size, 16 * maxParts))
    node.failBecause("the sizes of its sources overflow");
}

static StripOrder readPacked(const JsonNode &node, const Tensor &tensor) {
  size_t order = 1 + readOneOf(node, {std::next(std::begin(stripOrderNames)),
                                      std::end(stripOrderNames)});
  if (!fillsStrips(tensor, StripOrder(order)))
    node.failBecause(std::string("expected whole strips of ") +
                     (arePaired(StripOrder(order)) ? "128" : "64") +
                     " outputs, and rows of whole words");
  return StripOrder(order);
}

static void readWeights(const JsonNode &list, Manifest &manifest) {
  Names names, fileNames;
  for (size_t i = 0, e = list.size(maxTensors); i < e; ++i) {
    JsonNode node = list[i];
    Weight weight;
    readTensor(node, names, weight);
    weight.fileName =
        node.has("file_name")
            ? fileNames.add(node["file_name"], node["file_name"].string())
            : fileNames.add(node["name"], weight.name);
    if (node.has("shard"))
      weight.shard = readShard(node["shard"], weight, manifest.grid);
    const std::vector<int64_t> &whole = weight.wholeShape();
    if (node.has("fan_in"))
      weight.fanIn = node["fan_in"].integer(1, INT64_MAX);
    else if (!whole.empty() && whole.back() > 0)
      weight.fanIn = whole.back();
    weight.perExpert = weight.shape.size() >= 3;
    if (node.has("per_expert"))
      weight.perExpert = node["per_expert"].boolean();
    if (node.has("packed"))
      weight.packed = readPacked(node["packed"], weight);
    if (weight.perExpert && weight.shape.empty())
      node["per_expert"].failBecause("a scalar has no experts");
    if (node.has("sources")) {
      weight.alternatives = readSources(node["sources"]);
      checkSources(node["shape"], weight);
    }
    manifest.weights.push_back(std::move(weight));
  }
}

static std::vector<std::string> readTexts(const JsonNode &list) {
  std::vector<std::string> texts;
  for (size_t i = 0, e = list.size(maxTensors); i < e; ++i)
    texts.push_back(list[i].string());
  return texts;
}

static CheckpointRules readCheckpoint(const JsonNode &node) {
  CheckpointRules rules;
  if (node.has("layer"))
    rules.layer = node["layer"].integer(0, INT32_MAX);
  if (node.has("prefix"))
    rules.prefixes = readTexts(node["prefix"]);
  if (node.has("ignore"))
    rules.ignore = readTexts(node["ignore"]);
  return rules;
}

static AveragingTimeouts readAveraging(const JsonNode &node) {
  AveragingTimeouts timeouts;
  for (auto [key, to] : {std::pair{"match_timeout_ms", &timeouts.matchMs},
                         {"exchange_timeout_ms", &timeouts.exchangeMs}})
    if (node.has(key))
      *to = node[key].integer(0, INT32_MAX);
  return timeouts;
}

static void readState(const JsonNode &list, Manifest &manifest) {
  Names names;
  for (size_t i = 0, e = list.size(maxTensors); i < e; ++i) {
    JsonNode node = list[i];
    State state;
    readTensor(node, names, state);
    std::string initial = node["initial"].string();
    if (initial == "weight") {
      state.initialWeight = manifest.findWeight(state.name);
      if (state.initialWeight < 0)
        node["initial"].failBecause("there is no weight '" + state.name + "'");
      const Weight &weight = manifest.weights[state.initialWeight];
      if (weight.dtype != state.dtype || weight.shape != state.shape)
        node["initial"].failBecause(
            text("the weight '", weight.name, "' is ", name(weight.dtype), ' ',
                 describe(weight.shape), ", the state is ", name(state.dtype),
                 ' ', describe(state.shape)));
    } else if (initial != "zero") {
      node["initial"].failExpected("\"zero\" or \"weight\"");
    }
    manifest.state.push_back(std::move(state));
  }
}

static constexpr const char *deviceNames[] = {"cpu", "cuda", "sim"};

const char *name(DeviceKind kind) { return deviceNames[size_t(kind)]; }

static DeviceKind readKind(const JsonNode &node) {
  size_t kind = readOneOf(node, {"cpu", "cuda", "sim", "reference"});
  return kind == 3 ? DeviceKind::cpu : DeviceKind(kind);
}

static void readVariants(const JsonNode &list, Manifest &manifest) {
  Names names[std::size(deviceNames)];
  size_t count = list.size(maxTensors);
  if (!count)
    list.failBecause("expected at least one variant, found none");
  for (size_t i = 0; i < count; ++i) {
    JsonNode node = list[i];
    Variant variant;
    variant.kind = readKind(node["kind"]);
    variant.cpu =
        names[size_t(variant.kind)].add(node["cpu"], node["cpu"].tensorName());
    if (variant.usesGPU())
      variant.architectures = readTexts(node["gpu"]);
    if (node.has("features")) {
      JsonNode features = node["features"];
      for (size_t j = 0, e = features.size(maxTensors); j < e; ++j)
        variant.features.push_back(features[j].tensorName());
    }
    manifest.variants.push_back(std::move(variant));
  }
}

static void readHead(const JsonNode &root, Manifest &manifest,
                     const std::string &label) {
  // The versions first: of another one, nothing else can be relied upon.
  int64_t format = root["moe_package"].integer(0, INT64_MAX);
  int64_t abi = root["abi"].integer(0, INT64_MAX);
  if (format != 1)
    fail(MOE_ABI_MISMATCH, label, ": error: manifest format ", format,
         ", but this runtime reads format 1");
  if (abi != MOE_ABI_VERSION)
    fail(MOE_ABI_MISMATCH, label, ": error: made for interface version ", abi,
         ", but this runtime has version ", MOE_ABI_VERSION);
  manifest.name = root["name"].identifier();
  if (root.has("compiler"))
    root["compiler"].string();
  if (root.has("spec_hash")) {
    std::string hash = root["spec_hash"].string();
    if (hash.size() != 16 ||
        hash.find_first_not_of("0123456789abcdef") != hash.npos)
      root["spec_hash"].failExpected("16 hexadecimal digits");
  }
  if (root.has("grid"))
    manifest.grid = readGrid(root["grid"]);
  JsonNode target = root["target"];
  if (target.has("triple"))
    manifest.triple = target["triple"].string();
  readVariants(target["variants"], manifest);
}

Manifest parseManifest(std::string_view text, const std::string &label) {
  if (text.size() > maxManifestBytes)
    fail(MOE_BAD_FILE, label, ": error: expected at most ", maxManifestBytes,
         " bytes, found ", text.size());
  nlohmann::json document = parseJson(text, label);
  JsonNode root(document, label);
  Manifest manifest;
  readHead(root, manifest, label);
  if (root.has("checkpoint"))
    manifest.checkpoint = readCheckpoint(root["checkpoint"]);
  if (root.has("averaging"))
    manifest.averaging = readAveraging(root["averaging"]);
  readWeights(root["weights"], manifest);
  readState(root["state"], manifest);
  readFunctions(root["functions"], manifest);
  return manifest;
}

} // namespace moe::runtime
