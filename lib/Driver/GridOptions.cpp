//===- GridOptions.cpp - The devices of a plan ----------------------------===//
//
// Part of moe-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "GridOptions.h"

#include "Table.h"

#include "moe/Support/Suggest.h"

#include "llvm/ADT/STLExtras.h"
#include "llvm/ADT/StringExtras.h"

using namespace llvm;
using namespace moe;

namespace {

struct Unit {
  StringLiteral name;
  double factor;
};

/// What a number with a unit says.
struct Quantity {
  ArrayRef<Unit> units;
  StringLiteral example;
  double most;
  StringLiteral mostText;
};

} // namespace

static constexpr Unit byteUnits[] = {
    {"B", 1},        {"KiB", 0x1p10}, {"MiB", 0x1p20},
    {"GiB", 0x1p30}, {"TiB", 0x1p40}, {"kB", 1e3},
    {"MB", 1e6},     {"GB", 1e9},     {"TB", 1e12}};
static constexpr Unit rateUnits[] = {
    {"MB/s", 1e6}, {"GB/s", 1e9}, {"TB/s", 1e12}};
static constexpr Unit flopsUnits[] = {
    {"GFLOP/s", 1e9}, {"TFLOP/s", 1e12}, {"PFLOP/s", 1e15}};
static constexpr Unit timeUnits[] = {{"ns", 1e-9}, {"us", 1e-6}, {"ms", 1e-3}};

static constexpr Quantity memoryQuantity = {byteUnits, "80GiB", 1e18,
                                            "1000000TB"};
static constexpr Quantity rateQuantity = {rateUnits, "50GB/s", 1e18,
                                          "1000000TB/s"};
static constexpr Quantity flopsQuantity = {flopsUnits, "989TFLOP/s", 1e18,
                                           "1000PFLOP/s"};
static constexpr Quantity timeQuantity = {timeUnits, "3us", 1, "1000ms"};

static Expected<double> parseQuantity(StringRef option, StringRef text,
                                      const Quantity &quantity) {
  StringRef number =
      text.take_while([](char c) { return isDigit(c) || c == '.'; });
  StringRef unit = text.drop_front(number.size()).ltrim();
  double value = 0;
  if (number.getAsDouble(value) || unit.empty() || !(value > 0))
    return createStringError("found '" + text.str() + "' for " + option.str() +
                             ", expected a number above 0 with a unit, such "
                             "as " +
                             quantity.example);
  std::vector<std::string_view> names;
  for (const Unit &known : quantity.units) {
    if (known.name == unit && value * known.factor <= quantity.most)
      return value * known.factor;
    if (known.name == unit)
      return createStringError("found '" + text.str() + "' for " +
                               option.str() + ", expected at most " +
                               quantity.mostText);
    names.push_back(known.name);
  }
  return createStringError("unknown unit '" + unit.str() + "' in '" +
                           text.str() + "' for " + option.str() +
                           "; expected " + join(names, ", ") +
                           didYouMean(unit.str(), names));
}

static Error setQuantity(StringRef option, StringRef text,
                         const Quantity &quantity, double &result) {
  Expected<double> value = parseQuantity(option, text, quantity);
  if (!value)
    return value.takeError();
  result = *value;
  return Error::success();
}

static Error setNumber(StringRef option, StringRef text, int64_t most,
                       int64_t &result) {
  if (!text.getAsInteger(10, result) && result >= 1 && result <= most)
    return Error::success();
  return createStringError("found '" + text.str() + "' for " + option.str() +
                           ", expected a number from 1 to " + Twine(most));
}

/// `intra:900GB/s,inter:50GB/s`, each with `:3us` of latency if it is given.
static Error setLinks(GridPlanOptions &options, StringRef text) {
  constexpr StringLiteral option = "--link";
  options.intra = options.inter = {};
  for (StringRef entry : split(text, ',')) {
    auto [name, rest] = entry.split(':');
    if (name.empty() || rest.empty())
      return createStringError("found '" + text.str() +
                               "' for --link, expected links such as "
                               "intra:900GB/s,inter:50GB/s, or with a latency "
                               "intra:900GB/s:3us");
    Link *link = name == "intra"   ? &options.intra
                 : name == "inter" ? &options.inter
                                   : nullptr;
    if (!link)
      return createStringError(
          "unknown link '" + name.str() + "' in '" + text.str() +
          "' for --link; expected intra, within a node, or inter, between "
          "nodes" +
          didYouMean(name.str(), {"intra", "inter"}));
    if (link->bandwidth > 0)
      return createStringError("'" + name.str() + "' is twice in '" +
                               text.str() + "' for --link");
    auto [bandwidth, latency] = rest.split(':');
    if (Error error =
            setQuantity(option, bandwidth, rateQuantity, link->bandwidth))
      return error;
    if (rest.contains(':'))
      if (Error error =
              setQuantity(option, latency, timeQuantity, link->latency))
        return error;
  }
  return Error::success();
}

ArrayRef<StringLiteral> moe::gridOptionNames() {
  static constexpr StringLiteral names[] = {
      "--devices",          "--nodes", "--device-memory", "--device-flops",
      "--device-bandwidth", "--link",  "--layer-count"};
  return names;
}

Error moe::setGridOption(GridPlanOptions &options, StringRef name,
                         StringRef value) {
  options.given.push_back(name.str());
  if (name == "--devices")
    return setNumber(name, value, kMostDevices, options.devices);
  if (name == "--nodes")
    return setNumber(name, value, kMostDevices, options.nodes);
  if (name == "--layer-count")
    return setNumber(name, value, 4096, options.layers);
  if (name == "--link")
    return setLinks(options, value);
  if (name == "--device-memory")
    return setQuantity(name, value, memoryQuantity, options.memory);
  if (name == "--device-flops")
    return setQuantity(name, value, flopsQuantity, options.flops);
  return setQuantity(name, value, rateQuantity, options.bandwidth);
}

Error moe::checkGridOptions(const GridPlanOptions &options) {
  if (options.devices == 0 && !options.given.empty())
    return createStringError(options.given.front() +
                             " goes with --devices only");
  int64_t devices = options.devices, nodes = options.nodes;
  if (nodes == 0 || devices % nodes == 0)
    return Error::success();
  int64_t below = std::min(nodes, devices), above = nodes;
  while (devices % below)
    --below;
  while (above < devices && devices % above)
    ++above;
  std::string near = std::to_string(below);
  if (above <= devices)
    near += " or " + std::to_string(above);
  return createStringError("found '" + Twine(nodes) +
                           "' for --nodes, expected a divisor of the " +
                           Twine(devices) + " devices, such as " + near);
}

/// Devices of a node where nobody says.
static int64_t assumedNode(int64_t devices) {
  int64_t node = std::min<int64_t>(8, devices);
  while (devices % node)
    --node;
  return node;
}

AssumedCluster moe::clusterOf(const GridPlanOptions &options,
                              const Spec &spec) {
  AssumedCluster result;
  Cluster &cluster = result.cluster;
  auto choose = [&](auto given, auto assumed, const char *name) {
    if (given != 0)
      return given;
    result.assumed.emplace_back(name);
    return decltype(given)(assumed);
  };
  bool f32 = spec.dtype.activation == DType::f32;
  cluster.devices = options.devices;
  cluster.layers = options.layers;
  cluster.nodes = choose(
      options.nodes, options.devices / assumedNode(options.devices), "--nodes");
  cluster.memory = int64_t(
      choose(options.memory, 80.0 * 1024 * 1024 * 1024, "--device-memory"));
  cluster.flops = choose(options.flops, f32 ? 67e12 : 989e12, "--device-flops");
  cluster.bandwidth = choose(options.bandwidth, 3.35e12, "--device-bandwidth");
  cluster.intra.bandwidth =
      choose(options.intra.bandwidth, 450e9, "--link=intra");
  cluster.inter.bandwidth =
      choose(options.inter.bandwidth, 50e9, "--link=inter");
  cluster.intra.latency =
      choose(options.intra.latency, 3e-6, "latency within a node");
  cluster.inter.latency =
      choose(options.inter.latency, 10e-6, "latency between nodes");
  return result;
}
