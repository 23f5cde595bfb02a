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
#include "Npy.h"

#include <unistd.h>

#include <algorithm>
#include <cstdio>

namespace moe::run {

using nlohmann::json;

void check(moe_status status) {
  if (status != MOE_OK)
    throw RunError(std::string(moe_last_error()) + " (" +
                   moe_status_name(status) + ")");
}

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

static DType dtypeOf(const json &argument) {
  return *runtime::dtypeNamed(argument["dtype"].get<std::string>());
}

Session::Session(const std::string &directory, const std::string &name,
                 const std::string &cpu)
    : function(name) {
  check(moe_package_open(directory.c_str(), &package));
  moe_layer *raw = nullptr;
  moe_status status =
      moe_layer_create_for(package, cpu.empty() ? nullptr : cpu.c_str(), &raw);
  layer.reset(raw);
  if (status != MOE_OK) {
    moe_package_close(package);
    check(status);
  }
  manifest = json::parse(moe_package_manifest(package));
  try {
    functionJson();
  } catch (...) {
    moe_package_close(package);
    throw;
  }
}

Session::~Session() {
  layer.reset();
  moe_package_close(package);
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

/// Shows on a terminal how far a load that takes its time has come.
namespace {
class ProgressLine {
public:
  explicit ProgressLine(bool wanted) : wanted(wanted), start(moe_clock()) {}
  ~ProgressLine() {
    if (shown)
      std::fputs("\r\033[K", stderr);
  }
  static int call(void *user, const char *weight, uint64_t done,
                  uint64_t total) {
    static_cast<ProgressLine *>(user)->show(weight, done, total);
    return 0;
  }

private:
  void show(const char *weight, uint64_t done, uint64_t total) {
    constexpr int64_t patience = 300000000, pause = 100000000;
    int64_t now = moe_clock();
    if (!wanted || now - start < patience || now - last < pause)
      return;
    last = now;
    shown = true;
    std::fprintf(
        stderr, "\r\033[Kloading: %d%% of %.1f GB, %.60s",
        int(100.0 * double(done) / double(std::max<uint64_t>(total, 1))),
        double(total) * 1e-9, weight);
    std::fflush(stderr);
  }

  bool wanted, shown = false;
  int64_t start, last = 0;
};
} // namespace

void Session::loadFile(const Options &options) {
  ProgressLine line(isatty(STDERR_FILENO));
  const char *path = options.weights.c_str();
  moe_layer *to = layer.get();
  check(options.layer
            ? moe_layer_load_weights_of(to, path, *options.layer,
                                        ProgressLine::call, &line)
            : moe_layer_load_weights(to, path, ProgressLine::call, &line));
}

void Session::loadWeights(const Options &options) {
  if (options.weights.empty())
    check(moe_layer_randomize(layer.get(), options.seed, options.exact));
  else
    loadFile(options);
  if (!options.saveWeights.empty())
    check(moe_layer_save_weights(layer.get(), options.saveWeights.c_str()));
}

void Session::takeWeights(Session &from) {
  for (const json &weight : manifest["weights"]) {
    std::string name = weight["name"];
    DLTensor view;
    if (moe_layer_get(from.layer.get(), name.c_str(), &view) != MOE_OK)
      throw RunError("the first package has no weight '" + name +
                     "', which the reference needs");
    Array array = convert(copyOf(view), dtypeOf(weight), name);
    view = array.view();
    check(moe_layer_set_weight(layer.get(), name.c_str(), &view));
  }
}

std::vector<int64_t> Session::shapeOf(const json &argument) const {
  std::vector<int64_t> shape;
  for (const json &value : argument["shape"]) {
    Entry entry = parseEntry(value);
    int64_t size = entry.factor;
    if (!entry.size.empty()) {
      std::optional<int64_t> product =
          runtime::multiply(size, sizes.at(entry.size));
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

void Session::makeTensors(const Options &options) {
  sizes = options.sizes;
  const json &called = functionJson();
  for (const auto &[name, size] : sizes)
    if (std::find(called["sizes"].begin(), called["sizes"].end(), name) ==
        called["sizes"].end())
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
  for (const json &size : called["sizes"])
    sizes.emplace(size, 16);
  for (size_t i = 0; i < arguments.size(); ++i) {
    if (arguments[i].contains("given"))
      continue;
    inputs[i].array = Array(dtypeOf(arguments[i]), shapeOf(arguments[i]));
    fillRandom(inputs[i].array, options.seed, inputs[i].name, options.exact,
               vocabulary());
  }
  makeOutputs();
}

void Session::takeInputs(const Session &from) {
  sizes = from.sizes;
  for (const json &size : functionJson()["sizes"])
    if (!sizes.count(size))
      throw RunError("the first package has no size '" +
                     size.get<std::string>() + "' in '" + function + "'");
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
  makeOutputs();
}

void Session::makeOutputs() {
  for (const json &argument : functionJson()["arguments"])
    if (argument["role"] == "output")
      outputs.push_back(
          {argument["name"], Array(dtypeOf(argument), shapeOf(argument))});
}

void Session::run() {
  std::vector<DLTensor> views;
  views.reserve(inputs.size() + outputs.size());
  std::vector<const DLTensor *> given, wanted;
  for (NamedArray &input : inputs)
    given.push_back(&views.emplace_back(input.array.view()));
  for (NamedArray &output : outputs)
    wanted.push_back(&views.emplace_back(output.array.view()));
  moe_status status =
      moe_layer_run(layer.get(), function.c_str(), given.data(), wanted.data());
  notFinite.clear();
  try {
    check(status);
  } catch (const RunError &error) {
    if (status != MOE_NOT_FINITE)
      throw;
    notFinite = error.what();
  }
}

uint64_t Session::vocabulary() const {
  for (const json &weight : manifest["weights"])
    if (weight["name"] == "router.table" && !weight["shape"].empty())
      return std::max<uint64_t>(1, weight["shape"][0]);
  return 50000;
}

bool Session::has(const std::string &name) const {
  for (const json &argument : functionJson()["arguments"])
    if (argument["name"] == name)
      return true;
  return false;
}

Array Session::get(const std::string &name) const {
  for (const NamedArray &output : outputs)
    if (output.name == name)
      return output.array;
  DLTensor view;
  check(moe_layer_get(layer.get(), name.c_str(), &view));
  return copyOf(view);
}

std::vector<std::string> Session::planNames() const {
  std::vector<std::string> names;
  for (const json &argument : functionJson()["arguments"])
    if (argument["role"] == "plan")
      names.push_back(argument["name"]);
  return names;
}

bool Session::statistics(moe_statistics &statistics) const {
  return function == "forward" &&
         moe_layer_statistics(layer.get(), &statistics) == MOE_OK;
}

} // namespace moe::run
