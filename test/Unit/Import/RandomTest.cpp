//===- RandomTest.cpp - Random specs keep their meaning -------------------===//
//
// Part of moe-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// A fuzzer seldom hits a text that is accepted. Here most are: combinations of
// values that each key takes, which come back the same from their print.
//
//===----------------------------------------------------------------------===//

#include "BadInput.h"

#include <nlohmann/json.hpp>

#include <algorithm>
#include <random>

using namespace moe;
using nlohmann::json;

static void assign(json &spec, std::string path, const json &value) {
  std::replace(path.begin(), path.end(), '.', '/');
  json::json_pointer pointer("/" + path);
  // Where an object is needed, a shorter form of it gives way.
  json::json_pointer parent = pointer.parent_pointer();
  if (spec.contains(parent) && !spec[parent].is_object())
    spec[parent] = json::object();
  spec[pointer] = value;
}

/// What has to be there with others, so that a key can be tried alone.
static void complete(json &spec) {
  auto &router = spec["router"];
  if (router.contains("groups"))
    for (const char *key : {"count", "keep"})
      if (!router["groups"].contains(key))
        router["groups"][key] = 1;
  if (router.contains("null_experts") &&
      !router["null_experts"].contains("count"))
    router["null_experts"]["count"] = 1;
  auto &experts = spec["experts"];
  if (experts.contains("latent_norm") && !experts.contains("latent"))
    experts["latent"] = 8;
  for (const char *group : {"experts", "shared"})
    if (spec.contains(group) && spec[group].contains("quantization") &&
        !spec[group]["quantization"].contains("kind"))
      spec[group]["quantization"]["kind"] = "none";
}

TEST(Random, AcceptedSpecsAreWhatTheyPrint) {
  const json minimal = json::parse(test::rest(""));
  const json pool = {0,          1,         2,      4,
                     8,          32,        96,     0.5,
                     -2.25,      1e-20,     1e300,  9007199254740993,
                     true,       false,     "relu", "sigmoid",
                     "x * 0.5",  "g",       "a_b",  "g*(1 + exp(-g))",
                     "{l}.\"\n", "softmax", "gelu", "softplus(x) / max(x, 1)",
                     "\u00e9",   "-x",      "tanh", {1, 32},
                     {0, 0},     {128, 128}};

  // What each key takes on its own, and all names it knows.
  std::vector<std::pair<std::string, json>> values;
  for (const std::string &path : specKeys()) {
    std::vector<std::string> names = specKeyValues(path);
    if (path == "functions")
      names.clear();
    json accepted = names;
    for (const json &value : pool) {
      json spec = minimal;
      assign(spec, path, value);
      complete(spec);
      if (names.empty() && importSpec(spec.dump()).spec)
        accepted.push_back(value);
    }
    if (path == "functions")
      accepted = {{"forward"}, {"average", "forward"}, {"forward", "step"}};
    if (path == "weights.tensors")
      accepted = {{{"experts.up.weight", "up.{e}"}},
                  {{"experts.up.weight", {{{"name", "gu"}, {"part", {1, 2}}}}},
                   {"router.weight", {{"a", {"b", "c"}}}}}};
    if (path == "parallel.placement")
      accepted = {{{0, 1, 2, 3, 4, 5, 6, 7}}};
    if (path == "weights.prefix" || path == "weights.ignore")
      accepted.push_back({"a.{l}.", "\u00e9"});
    if (path != "hidden" && !accepted.empty())
      values.push_back({path, accepted});
  }
  EXPECT_EQ(values.size(), specKeys().size() - 1);

  std::mt19937 random(20);
  size_t good = 0;
  for (int i = 0; i < 4000; ++i) {
    json spec = minimal;
    for (size_t count = 1 + random() % 6; count != 0; --count) {
      const auto &[path, choices] = values[random() % values.size()];
      assign(spec, path, choices[random() % choices.size()]);
    }
    complete(spec);
    ImportResult result = importSpec(spec.dump());
    ASSERT_EQ(result.spec.has_value(), result.diagnostics.empty()) << spec;
    if (!result.spec)
      continue;
    ++good;
    std::string printed = printSpec(*result.spec);
    ImportResult again = importSpec(printed);
    ASSERT_TRUE(again.spec) << spec << again.diagnostics[0].message;
    ASSERT_EQ(printSpec(*again.spec), printed) << spec;
  }
  EXPECT_GT(good, 1000u);
}
