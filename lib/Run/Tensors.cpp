//===- Tensors.cpp - The arrays that a function is called with ------------===//
//
// Part of moe-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Npy.h"
#include "Session.h"

#include <algorithm>

namespace moe::run {

using nlohmann::json;

/// Entries of shapes: 64, "T", "2*T", "ceil(2*T/64)".
namespace {
struct Entry {
  int64_t factor = 1, divisor = 1;
  std::string size; ///< empty for a number
};
} // namespace

static Entry parseEntry(const json &value) {
  Entry entry;
  if (value.is_number()) {
    entry.factor = value.get<int64_t>();
    return entry;
  }
  std::string text = value.get<std::string>();
  if (text.rfind("ceil(", 0) == 0) {
    size_t slash = text.find('/');
    entry.divisor = std::stoll(text.substr(slash + 1));
    text = text.substr(5, slash - 5);
  }
  if (size_t star = text.find('*'); star != text.npos) {
    entry.factor = std::stoll(text);
    text = text.substr(star + 1);
  }
  entry.size = text;
  return entry;
}

std::vector<int64_t>
Session::shapeOf(const json &argument,
                 const std::map<std::string, int64_t> &of) const {
  std::vector<int64_t> shape;
  for (const json &value : argument["shape"]) {
    Entry entry = parseEntry(value);
    int64_t size = entry.factor;
    if (!entry.size.empty()) {
      auto place = of.find(entry.size);
      if (place == of.end())
        throw RunError("'" + argument["name"].get<std::string>() +
                       "' is as large as a sum over ranks");
      std::optional<int64_t> product = runtime::multiply(size, place->second);
      if (!product)
        throw RunError("the shape of '" + argument["name"].get<std::string>() +
                       "' overflows");
      size = *product / entry.divisor + (*product % entry.divisor != 0);
    }
    shape.push_back(size);
  }
  return shape;
}

void Session::solveSizes(const NamedArray &given, const json &argument) {
  const json &shape = argument["shape"];
  if (shape.size() != given.array.shape.size())
    return; // the runtime says what is wrong
  for (size_t i = 0; i < shape.size(); ++i) {
    Entry entry = parseEntry(shape[i]);
    if (entry.size.empty() || entry.divisor != 1)
      continue;
    int64_t size = given.array.shape[i] / entry.factor;
    int64_t known = sizes.emplace(entry.size, size).first->second;
    if (known != size)
      throw RunError("'" + given.name + "' has " + entry.size + " = " +
                     std::to_string(size) + ", not " + std::to_string(known));
  }
}

std::vector<std::string> Session::ownSizes() const {
  const json &called = functionJson();
  std::vector<std::string> names;
  for (const json &size : called["sizes"])
    if (!called.contains("sums") || !called["sums"].contains(size))
      names.push_back(size);
  return names;
}

void Session::makeTensors(const Options &options) {
  sizes = options.sizes;
  const json &called = functionJson();
  std::vector<std::string> known = ownSizes();
  for (const auto &[name, size] : sizes)
    if (std::find(known.begin(), known.end(), name) == known.end())
      throw RunError("'" + function + "' has no size '" + name + "'");
  std::map<std::string, std::string> files = options.inputs;
  std::vector<json> arguments;
  for (const json &argument : called["arguments"])
    if (argument["role"] == "input")
      arguments.push_back(argument);
  if (!options.firstInput.empty()) {
    if (arguments.empty())
      throw RunError("'" + function + "' has no input for --input");
    files.emplace(arguments[0]["name"], options.firstInput);
  }
  // Files first: they say how large the others are.
  inputs.resize(arguments.size());
  for (size_t i = 0; i < arguments.size(); ++i) {
    inputs[i].name = arguments[i]["name"];
    auto file = files.find(inputs[i].name);
    if (file == files.end())
      continue;
    inputs[i].array =
        convert(readNpy(file->second), dtypeOf(arguments[i]), inputs[i].name);
    solveSizes(inputs[i], arguments[i]);
    files.erase(file);
    arguments[i]["given"] = true;
  }
  if (!files.empty())
    throw RunError("'" + function + "' has no input '" + files.begin()->first +
                   "'");
  for (const std::string &size : known)
    sizes.emplace(size, 16);
  for (size_t i = 0; i < arguments.size(); ++i) {
    if (arguments[i].contains("given"))
      continue;
    inputs[i].array =
        Array(dtypeOf(arguments[i]), shapeOf(arguments[i], sizes));
    fillRandom(inputs[i].array, options.seed, inputs[i].name, options.exact,
               vocabulary());
  }
  outputs = makeOutputs(sizes);
  makeCalls();
}

void Session::takeInputs(const Session &from) {
  sizes = from.sizes;
  for (const std::string &size : ownSizes())
    if (!sizes.count(size))
      throw RunError("the first package has no size '" + size + "' in '" +
                     function + "'");
  for (const json &argument : functionJson()["arguments"]) {
    if (argument["role"] != "input")
      continue;
    std::string name = argument["name"];
    auto place = std::find_if(from.inputs.begin(), from.inputs.end(),
                              [&](const auto &i) { return i.name == name; });
    if (place == from.inputs.end())
      throw RunError("the first package has no input '" + name +
                     "', which the reference needs");
    inputs.push_back({name, convert(place->array, dtypeOf(argument), name)});
  }
  outputs = makeOutputs(sizes);
}

std::vector<NamedArray>
Session::makeOutputs(const std::map<std::string, int64_t> &of) const {
  std::vector<NamedArray> made;
  for (const json &argument : functionJson()["arguments"])
    if (argument["role"] == "output")
      made.push_back(
          {argument["name"], Array(dtypeOf(argument), shapeOf(argument, of))});
  return made;
}

Shares Session::shares() const {
  auto tokens = sizes.find("T");
  return Shares(manifest, functionJson(),
                tokens == sizes.end() ? 0 : tokens->second);
}

void Session::makeCalls() {
  if (team->isAlone())
    return;
  Shares shares = this->shares();
  for (size_t member = 0; member < calls.size(); ++member) {
    int rank = team->rank(member);
    Call &call = calls[member];
    for (const NamedArray &input : inputs) {
      const json &argument = argumentJson(input.name);
      Shares::Rows rows = shares.rowsOf(argument);
      for (const json &entry : argument["shape"])
        if (!rows && shares.groups() > 1 && parseEntry(entry).size == "T")
          throw RunError("the tokens of '" + input.name +
                         "' are not its rows, which ranks could divide");
      call.inputs.push_back(
          {input.name, shares.split(input.array, rows, rank)});
    }
    std::map<std::string, int64_t> own = sizes;
    if (own.count("T"))
      own["T"] = shares.count(rank);
    call.outputs = makeOutputs(own);
  }
}

uint64_t Session::vocabulary() const {
  for (const json &weight : manifest["weights"])
    if (weight["name"] == "router.table" && !weight["shape"].empty())
      return std::max<uint64_t>(1, weight["shape"][0]);
  return 50000;
}

} // namespace moe::run
