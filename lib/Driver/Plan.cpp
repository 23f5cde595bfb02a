//===- Plan.cpp - What is expected of a layer -----------------------------===//
//
// Part of moe-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Table.h"

#include "moe/Driver/Driver.h"

#include "moe/Package/Package.h"
#include "moe/Schedule/Cost.h"
#include "moe/Target/CPU/CPU.h"

#include "llvm/ADT/StringSwitch.h"
#include "llvm/Support/FormatVariadic.h"
#include "llvm/Support/MemoryBuffer.h"
#include "llvm/Support/Threading.h"

#include <nlohmann/json.hpp>

using namespace llvm;
using namespace moe;
using Json = nlohmann::ordered_json;

namespace {

/// What is expected of so many tokens.
struct Point {
  int64_t tokens;
  std::vector<Cost> costs; // one for each part
  Cost total;
  int64_t workspace;

  bool memoryBound() const {
    return total.memorySeconds > total.computeSeconds;
  }
  double roofline() const {
    return std::max(total.memorySeconds, total.computeSeconds);
  }
};

struct Plan {
  const Spec &spec;
  std::string cpu;
  Ceilings ceilings;
  std::string ceilingsFile; // empty: nominal
  int64_t weightBytes = 0;
  std::vector<Part> parts;
  std::vector<Point> points;
};

} // namespace

//===----------------------------------------------------------------------===//
// Ceilings
//===----------------------------------------------------------------------===//

static Expected<Ceilings> readCeilings(const std::string &path,
                                       bool bf16Pairs) {
  ErrorOr<std::unique_ptr<MemoryBuffer>> buffer = MemoryBuffer::getFile(path);
  if (!buffer)
    return createStringError("cannot read '" + path +
                             "': " + buffer.getError().message());
  StringRef text = (*buffer)->getBuffer();
  Json json = Json::parse(text.begin(), text.end(), nullptr,
                          /*allow_exceptions=*/false);
  if (!json.is_object())
    return createStringError("'" + path +
                             "': expected a JSON object with ceilings, such as "
                             "{\"bandwidth\": 3.5e10, \"f32\": 5.2e11}");
  Ceilings ceilings;
  double threads = 1;
  struct Key {
    const char *name;
    double *value;
    bool required;
  };
  for (auto [name, value, required] :
       {Key{"threads", &threads, false},
        Key{"bandwidth", &ceilings.bandwidth, true},
        Key{"f32", &ceilings.f32, true},
        Key{"bf16", &ceilings.bf16, bf16Pairs}}) {
    auto found = json.find(name);
    if (found == json.end() && !required)
      continue;
    if (found == json.end())
      return createStringError("'" + path + "': expected a number for '" +
                               name + "', found none");
    if (found->is_number())
      *value = found->get<double>();
    double least = required || value == &threads ? 1 : 0;
    if (!found->is_number() || !(*value >= least && *value <= 1e18))
      return createStringError("'" + path + "': expected a number from " +
                               Twine(int(least)) + " to 1e18 for '" + name +
                               "', found " + found->dump());
  }
  ceilings.threads = std::max<int64_t>(1, int64_t(std::min(threads, 65536.0)));
  return ceilings;
}

/// Nothing but the machine that this runs on tells how many cores it has.
static Ceilings nominal(const CPUTarget &target, bool native, bool bf16Pairs) {
  int64_t cores = native ? std::max(1, get_physical_cores()) : 1;
  Ceilings ceilings = nominalCeilings(target.name().str(), cores);
  if (bf16Pairs && ceilings.bf16 == 0)
    ceilings.bf16 = 2 * ceilings.f32;
  return ceilings;
}

//===----------------------------------------------------------------------===//
// Plan
//===----------------------------------------------------------------------===//

static int64_t bytesOf(const moe::Argument &argument) {
  int64_t bytes = StringSwitch<int64_t>(argument.type)
                      .Cases({"f64", "i64"}, 8)
                      .Cases({"f32", "i32"}, 4)
                      .Cases({"bf16", "f16"}, 2)
                      .Default(1);
  for (StringRef text : argument.shape) {
    int64_t size = 0;
    text.getAsInteger(10, size);
    bytes *= size;
  }
  return bytes;
}

static Point makePoint(const Plan &plan, const Machine &core,
                       const Signature &forward, int64_t tokens) {
  Point point = {tokens, {}, {}, forward.workspaceConstant};
  for (auto &[size, bytes] : forward.workspacePer)
    point.workspace += bytes * tokens;
  for (const Part &part : plan.parts) {
    Cost cost = predict(core, plan.ceilings, part, tokens);
    point.total.operations += cost.operations;
    point.total.weightBytes += cost.weightBytes;
    point.total.seconds += cost.seconds;
    point.total.memorySeconds += cost.memorySeconds;
    point.total.computeSeconds += cost.computeSeconds;
    point.costs.push_back(cost);
  }
  return point;
}

//===----------------------------------------------------------------------===//
// As text
//===----------------------------------------------------------------------===//

static Table productTable(const Plan &plan) {
  Table table = {{"product", "experts", "outputs", "depth", "values", "tile",
                  "rows", "outs", "chunk", "task"}};
  for (const Part &part : plan.parts) {
    if (!part.product)
      continue;
    const auto &[shape, blocks, weightBytes, bf16] = *part.product;
    std::string outputs = std::to_string(shape.outputs);
    table.push_back(
        {part.name, std::to_string(part.experts),
         shape.weights > 1 ? std::to_string(shape.weights) + " x " + outputs
                           : outputs,
         std::to_string(shape.depth), bf16 ? "bf16" : "f32",
         std::to_string(blocks.tileRows) + "x" +
             std::to_string(blocks.tileOutputs),
         std::to_string(blocks.rowBlock), std::to_string(blocks.outBlock),
         std::to_string(blocks.depthChunk),
         std::to_string(blocks.taskOutputs)});
  }
  return table;
}

static Table pointTable(const Plan &plan) {
  Table table = {{"tokens", "weights", "work", "bound", "roofline", "predicted",
                  "predicted/roofline", "workspace"}};
  for (const Point &point : plan.points)
    table.push_back({std::to_string(point.tokens),
                     bytes(point.total.weightBytes),
                     operations(point.total.operations),
                     point.memoryBound() ? "memory" : "compute",
                     time(point.roofline()), time(point.total.seconds),
                     formatv("{0:F2}", point.total.seconds / point.roofline()),
                     bytes(double(point.workspace))});
  return table;
}

/// Where the time goes.
static Table partTable(const Plan &plan) {
  Table table = {{"predicted at"}};
  for (const Point &point : plan.points)
    table[0].push_back(std::to_string(point.tokens));
  for (auto [index, part] : enumerate(plan.parts)) {
    table.push_back({part.name});
    for (const Point &point : plan.points)
      table.back().push_back(time(point.costs[index].seconds));
  }
  return table;
}

static std::string printText(const Plan &plan) {
  const Spec &spec = plan.spec;
  const Ceilings &ceilings = plan.ceilings;
  auto rate = [](double rate) { return operations(rate) + "/s"; };
  std::string text =
      formatv("{0}: {1} experts, {2} for a token, hidden {3}, intermediate "
              "{4}, {5} of weights\n",
              spec.name, spec.router.experts, spec.router.topK, spec.hidden,
              spec.experts.intermediate, bytes(double(plan.weightBytes)));
  text += formatv("{0}, {1} thread{2}: {3}/s, {4} f32", plan.cpu,
                  ceilings.threads, ceilings.threads == 1 ? "" : "s",
                  bytes(ceilings.bandwidth), rate(ceilings.f32));
  if (ceilings.bf16 > 0)
    text += ", " + rate(ceilings.bf16) + " bf16";
  text += plan.ceilingsFile.empty()
              ? "; nominal, --ceilings=FILE gives measured ones\n"
              : "; from " + plan.ceilingsFile + "\n";
  return text + "\n" + print(productTable(plan)) + "\n" +
         print(pointTable(plan)) + "\n" + print(partTable(plan));
}

//===----------------------------------------------------------------------===//
// As JSON
//===----------------------------------------------------------------------===//

static Json toJson(const Cost &cost) {
  return {{"operations", cost.operations},
          {"weight_bytes", cost.weightBytes},
          {"seconds", cost.seconds},
          {"memory_seconds", cost.memorySeconds},
          {"compute_seconds", cost.computeSeconds}};
}

static std::string printJson(const Plan &plan) {
  Json products = Json::array(), points = Json::array();
  for (const Part &part : plan.parts) {
    if (!part.product)
      continue;
    const auto &[shape, blocks, weightBytes, bf16] = *part.product;
    products.push_back({{"name", part.name},
                        {"experts", part.experts},
                        {"weights", shape.weights},
                        {"outputs", shape.outputs},
                        {"depth", shape.depth},
                        {"values", bf16 ? "bf16" : "f32"},
                        {"tile", {blocks.tileRows, blocks.tileOutputs}},
                        {"blocks", printBlocks(blocks)}});
  }
  for (const Point &point : plan.points) {
    Json costs = Json::array();
    for (auto [part, cost] : zip(plan.parts, point.costs)) {
      costs.push_back({{"name", part.name}});
      costs.back().update(toJson(cost));
    }
    Json entry = {{"tokens", point.tokens},
                  {"bound", point.memoryBound() ? "memory" : "compute"},
                  {"roofline_seconds", point.roofline()},
                  {"workspace_bytes", point.workspace}};
    entry.update(toJson(point.total));
    entry["parts"] = std::move(costs);
    points.push_back(std::move(entry));
  }
  const Ceilings &ceilings = plan.ceilings;
  Json json = {{"name", plan.spec.name},
               {"cpu", plan.cpu},
               {"ceilings",
                {{"nominal", plan.ceilingsFile.empty()},
                 {"threads", ceilings.threads},
                 {"bandwidth", ceilings.bandwidth},
                 {"f32", ceilings.f32},
                 {"bf16", ceilings.bf16}}},
               {"weight_bytes", plan.weightBytes},
               {"products", std::move(products)},
               {"points", std::move(points)}};
  return json.dump(2) + "\n";
}

Expected<std::string> moe::printPlan(const CompileOptions &options,
                                     const Spec &spec, const CPUTarget &target,
                                     const Signature &forward) {
  Machine core = target.core();
  bool bf16Pairs = target.hasBF16Dot();
  Plan plan = {spec, target.name().str(), {}, options.ceilings, 0, {}, {}};
  if (options.ceilings.empty()) {
    plan.ceilings =
        nominal(target, options.cpus.front() == "native", bf16Pairs);
  } else {
    Expected<Ceilings> read = readCeilings(options.ceilings, bf16Pairs);
    if (!read)
      return read.takeError();
    plan.ceilings = *read;
  }
  for (const Argument &weight : forward.withRole("weight"))
    plan.weightBytes += bytesOf(weight);
  plan.parts =
      partsOf(spec, core, bf16Pairs, options.blocks, !options.unpacked);
  for (int64_t tokens : options.tokens)
    plan.points.push_back(makePoint(plan, core, forward, tokens));
  return options.json ? printJson(plan) : printText(plan);
}
