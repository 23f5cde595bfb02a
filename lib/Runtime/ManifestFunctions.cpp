//===- ManifestFunctions.cpp - Functions of a package ---------------------===//
//
// Part of moe-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
// The functions table: sizes, arguments with symbolic shapes, workspaces.
//
//===----------------------------------------------------------------------===//

#include "ManifestReader.h"

#include <algorithm>
#include <cctype>

namespace moe::runtime {

static constexpr size_t maxFunctions = 64, maxSizes = 16;

std::string describe(const std::vector<Dim> &shape, const Function &function) {
  std::string out = "[";
  for (const Dim &dim : shape) {
    if (out.size() > 1)
      out += ", ";
    if (dim.size < 0) {
      out += std::to_string(dim.factor);
      continue;
    }
    std::string product =
        (dim.factor == 1 ? "" : std::to_string(dim.factor) + "*") +
        function.sizes[dim.size];
    out += dim.divisor == 1
               ? product
               : "ceil(" + product + "/" + std::to_string(dim.divisor) + ")";
  }
  return out + "]";
}

std::optional<int64_t> evaluate(const Dim &dim, const int64_t *sizes) {
  if (dim.size < 0)
    return dim.factor;
  std::optional<int64_t> product = multiply(dim.factor, sizes[dim.size]);
  if (!product)
    return std::nullopt;
  return *product / dim.divisor + (*product % dim.divisor != 0);
}

const Sum *Function::findSum(int size) const {
  auto place = std::find_if(sums.begin(), sums.end(),
                            [&](const Sum &sum) { return sum.size == size; });
  return place == sums.end() ? nullptr : &*place;
}

int Function::tokenSize() const {
  if (!sums.empty())
    return sums[0].of; // the first is of no other sum
  auto place = std::find(sizes.begin(), sizes.end(), "T");
  return place == sizes.end() ? -1 : static_cast<int>(place - sizes.begin());
}

namespace {
/// Parses "T", "2*T" and "ceil(2*T/64)".
class DimParser {
public:
  DimParser(std::string_view text, const std::vector<std::string> &sizes)
      : rest(text), sizes(sizes) {}

  bool parse(Dim &dim) {
    bool ceil = eat("ceil(");
    if (!rest.empty() && std::isdigit(static_cast<unsigned char>(rest[0])))
      if (!number(dim.factor) || !eat("*"))
        return false;
    size_t length = std::min(rest.find('/'), rest.size());
    auto place = std::find(sizes.begin(), sizes.end(), rest.substr(0, length));
    if (place == sizes.end())
      return false;
    dim.size = static_cast<int>(place - sizes.begin());
    rest.remove_prefix(length);
    if (ceil && (!eat("/") || !number(dim.divisor) || !eat(")")))
      return false;
    return rest.empty();
  }

private:
  bool eat(std::string_view expected) {
    if (rest.substr(0, expected.size()) != expected)
      return false;
    rest.remove_prefix(expected.size());
    return true;
  }
  /// A positive number.
  bool number(int64_t &value) {
    value = 0;
    while (!rest.empty() && std::isdigit(static_cast<unsigned char>(rest[0]))) {
      if (value > (INT64_MAX - 9) / 10)
        return false;
      value = value * 10 + (rest[0] - '0');
      rest.remove_prefix(1);
    }
    return value > 0;
  }

  std::string_view rest;
  const std::vector<std::string> &sizes;
};
} // namespace

Dim readDim(const JsonNode &node, const Function &function) {
  Dim dim;
  if (!node.isString())
    dim.factor = node.integer(0, INT64_MAX);
  else if (!DimParser(node.string(), function.sizes).parse(dim))
    node.failExpected("a number, a size of this function, or one like "
                      "\"2*T\" or \"ceil(T/64)\"");
  return dim;
}

static Role readRole(const JsonNode &node) {
  std::string role = node.string();
  if (role == "input")
    return Role::input;
  if (role == "output")
    return Role::output;
  if (role == "weight")
    return Role::weight;
  if (role == "state")
    return Role::state;
  if (role == "plan")
    return Role::plan;
  node.failExpected("one of input output weight state plan");
}

/// An argument that is a weight or state must be one that exists, unchanged.
template <typename Items>
static void checkReference(const JsonNode &node, Argument &argument,
                           const Items &items, const char *what) {
  for (size_t i = 0; i < items.size(); ++i)
    if (items[i].name == argument.name)
      argument.index = static_cast<int>(i);
  if (argument.index < 0)
    node["name"].failBecause(
        text("there is no ", what, " '", argument.name, "'"));
  const Tensor &tensor = items[argument.index];
  bool same = tensor.dtype == argument.dtype &&
              tensor.shape.size() == argument.shape.size();
  for (size_t i = 0; same && i < tensor.shape.size(); ++i)
    same = argument.shape[i].size < 0 &&
           argument.shape[i].factor == tensor.shape[i];
  if (!same)
    node["shape"].failBecause(text("the ", what, " '", tensor.name, "' is ",
                                   name(tensor.dtype), ' ',
                                   describe(tensor.shape)));
}

static void readArgument(const JsonNode &node, const Manifest &manifest,
                         Function &function) {
  Argument argument;
  argument.name = node["name"].tensorName();
  if (function.find(argument.name) >= 0)
    node["name"].failBecause("name '" + argument.name + "' is used twice");
  argument.role = readRole(node["role"]);
  argument.dtype = readDType(node["dtype"]);
  JsonNode shape = node["shape"];
  for (size_t i = 0, e = shape.size(maxRank); i < e; ++i)
    argument.shape.push_back(readDim(shape[i], function));
  if (argument.role == Role::weight)
    checkReference(node, argument, manifest.weights, "weight");
  if (argument.role == Role::state)
    checkReference(node, argument, manifest.state, "state");
  bool plan = argument.role == Role::plan;
  if (plan && argument.name == "status" &&
      (argument.dtype != DType::i32 || !argument.shape.empty()))
    node.failBecause("expected 'status' to be i32 []");
  if (plan && argument.name == "clock" &&
      (argument.dtype != DType::i64 || argument.shape.size() != 1 ||
       argument.shape[0].size >= 0 || argument.shape[0].factor != 3))
    node.failBecause("expected 'clock' to be i64 [3]");
  function.arguments.push_back(std::move(argument));
}

/// A size is found from a tensor that the caller gives.
static void checkSolvable(const JsonNode &node, const Function &function) {
  for (size_t size = 0; size < function.sizes.size(); ++size) {
    bool found = function.findSum(static_cast<int>(size));
    for (const Argument &argument : function.arguments)
      if (argument.role == Role::input || argument.role == Role::output)
        for (const Dim &dim : argument.shape)
          found |= dim.size == static_cast<int>(size) && dim.divisor == 1;
    if (!found)
      node["sizes"].failBecause("no input or output has the size '" +
                                function.sizes[size] + "'");
  }
}

static void readWorkspace(const JsonNode &node, Function &function) {
  function.workspacePer.assign(function.sizes.size(), 0);
  if (!node.has("workspace"))
    return;
  JsonNode workspace = node["workspace"];
  if (workspace.has("constant"))
    function.workspaceConstant = workspace["constant"].integer(0, INT64_MAX);
  if (!workspace.has("per"))
    return;
  workspace["per"].members([&](const std::string &key, const JsonNode &bytes) {
    auto place = std::find(function.sizes.begin(), function.sizes.end(), key);
    if (place == function.sizes.end())
      bytes.failBecause("there is no size '" + key + "'");
    function.workspacePer[place - function.sizes.begin()] =
        bytes.integer(0, INT64_MAX);
  });
}

void readFunctions(const JsonNode &list, Manifest &manifest) {
  size_t count = list.size(maxFunctions);
  if (!count)
    list.failBecause("expected at least one function, found none");
  for (size_t i = 0; i < count; ++i) {
    JsonNode node = list[i];
    Function function;
    function.name = node["name"].identifier();
    if (manifest.findFunction(function.name) >= 0)
      node["name"].failBecause("name '" + function.name + "' is used twice");
    function.symbol = node["symbol"].tensorName();
    JsonNode sizes = node["sizes"];
    for (size_t j = 0, e = sizes.size(maxSizes); j < e; ++j) {
      std::string size = sizes[j].identifier();
      if (std::count(function.sizes.begin(), function.sizes.end(), size))
        sizes[j].failBecause("name '" + size + "' is used twice");
      function.sizes.push_back(std::move(size));
    }
    JsonNode arguments = node["arguments"];
    for (size_t j = 0, e = arguments.size(maxTensors); j < e; ++j)
      readArgument(arguments[j], manifest, function);
    readRanks(node, manifest.grid, function);
    checkSolvable(node, function);
    readWorkspace(node, function);
    manifest.functions.push_back(std::move(function));
  }
}

} // namespace moe::runtime
