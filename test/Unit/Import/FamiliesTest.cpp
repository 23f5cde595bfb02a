//===- FamiliesTest.cpp - The families' files are without faults ----------===//
//
// Part of moe-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// The importer takes for granted what is checked here.
//
//===----------------------------------------------------------------------===//

#include "HuggingFace/Families.h"
#include "HuggingFace/Hole.h"
#include "Native/Keys.h"
#include "Text/Reporter.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <ostream>
#include <set>

using namespace moe;
using json::Value;
using Kind = json::Value::Kind;

namespace {

class Checker {
public:
  explicit Checker(const FamilyFile &file) {
    std::vector<Diagnostic> diagnostics;
    Reporter reporter(file.text, diagnostics);
    std::optional<Value> family = json::parse(file.text, reporter);
    if (!family) {
      problem("", diagnostics[0].message);
      return;
    }
    onlyKeys(*family, "",
             {"model_type", "architectures", "layers", "spec", "when",
              "require", "weights"});
    for (std::string_view key : {"layers", "spec", "weights"})
      if (!family->find(key))
        problem("", "no " + std::string(key));
    checkPart(*family, "");
    for (const std::string &key : chosenByName)
      if (required.count(key) == 0)
        problem("when", "'" + key +
                            "' is a name, so a 'require' has to list "
                            "the names that are known");
  }

  std::vector<std::string> problems;

private:
  void problem(const std::string &path, const std::string &text) {
    problems.push_back(path + ": " + text);
  }

  void onlyKeys(const Value &object, const std::string &path,
                std::initializer_list<std::string_view> keys) {
    for (const json::Member &member : object.members)
      if (std::find(keys.begin(), keys.end(), member.key) == keys.end())
        problem(path, "unknown key '" + member.key + "'");
  }

  void checkHoles(const Value &value, const std::string &path) {
    if (value.kind == Kind::string && isHole(value.string)) {
      if (!parseHole(value.string))
        problem(path, "no hole: " + value.string);
    } else if (value.kind == Kind::string && !parseHoledText(value.string)) {
      problem(path, "no text with holes: " + value.string);
    }
    for (const Value &element : value.elements)
      checkHoles(element, path);
    for (const json::Member &member : value.members)
      checkHoles(member.value, path + "." + member.key);
  }

  /// Every path of the template is one of the native form.
  void checkSpec(const Value &spec, const std::string &path) {
    for (const json::Member &member : spec.members) {
      std::string inner = path.empty() ? member.key : path + "." + member.key;
      if (!findKey(inner) && !isGroup(inner))
        problem("spec", "unknown key '" + inner + "'");
      else if (isGroup(inner))
        checkSpec(member.value, inner);
      if (member.key == "quantization" &&
          !(member.value.find("kind") && member.value.find("block")))
        problem("spec", "'" + inner + "' needs kind and block");
    }
    if (path.empty())
      checkHoles(spec, "spec");
  }

  void checkLayers(const Value &layers) {
    onlyKeys(layers, "layers", {"count", "extra", "moe"});
    if (const Value *rules = layers.find("moe"))
      for (const Value &rule : rules->elements)
        onlyKeys(rule, "layers.moe",
                 {"types", "flags", "members", "text", "pattern", "moe", "hash",
                  "dense", "none", "from", "to", "step", "offset", "except",
                  "first_hash"});
    checkHoles(layers, "layers");
  }

  void checkWeights(const Value &weights) {
    onlyKeys(weights, "weights", {"prefix", "tensors", "ignore", "quantized"});
    checkHoles(weights, "weights");
    if (const Value *tensors = weights.find("tensors"))
      for (const json::Member &member : tensors->members)
        checkSource(member.value, "weights.tensors." + member.key);
  }

  void checkSource(const Value &source, const std::string &path) {
    for (const Value &element : source.elements)
      checkSource(element, path);
    if (source.kind != Kind::object)
      return;
    onlyKeys(
        source, path,
        {"name", "part", "interleaved", "transposed", "broadcast", "absolute"});
    if (!source.find("name"))
      problem(path, "no name");
  }

  void checkPart(const Value &part, const std::string &path) {
    if (const Value *layers = part.find("layers"))
      checkLayers(*layers);
    if (const Value *spec = part.find("spec"))
      checkSpec(*spec, "");
    if (const Value *weights = part.find("weights"))
      checkWeights(*weights);
    if (const Value *entries = part.find("when"))
      for (const Value &entry : entries->elements)
        checkEntry(entry, path + "when");
    if (const Value *entries = part.find("require"))
      for (const Value &entry : entries->elements) {
        onlyKeys(entry, path + "require", {"key", "is", "why"});
        const Value *key = entry.find("key"), *why = entry.find("why");
        if (!key || !why || !isList(entry.find("is")))
          problem(path + "require", "expected key, is and why");
        else
          required.insert(key->string);
      }
  }

  void checkEntry(const Value &entry, const std::string &path) {
    onlyKeys(entry, path,
             {"key", "layer", "is", "above", "layers", "spec", "weights",
              "when", "require"});
    const Value *key = entry.find("key"), *is = entry.find("is");
    const Value *above = entry.find("above");
    if (bool(key) == bool(entry.find("layer")))
      problem(path, "expected either key or layer");
    if (is ? !isList(is) : !key || !above || above->kind != Kind::number)
      problem(path, "expected a list 'is' or a number 'above'");
    if (key && is && key->string != "model_type")
      for (const Value &value : is->elements)
        if (value.kind == Kind::string)
          chosenByName.insert(key->string);
    checkPart(entry, path + ".");
  }

  static bool isList(const Value *value) {
    return value && value->kind == Kind::array && !value->elements.empty();
  }

  std::set<std::string> chosenByName, required;
};

} // namespace

namespace moe {
static void PrintTo(const FamilyFile &file, std::ostream *out) {
  *out << file.name;
}
} // namespace moe

class FamilyTest : public testing::TestWithParam<FamilyFile> {};

TEST_P(FamilyTest, IsWithoutFaults) {
  for (const std::string &problem : Checker(GetParam()).problems)
    ADD_FAILURE() << problem;
  EXPECT_EQ(packageNameProblem(GetParam().name), "");
}

INSTANTIATE_TEST_SUITE_P(Import, FamilyTest, testing::ValuesIn(familyFiles()),
                         [](const testing::TestParamInfo<FamilyFile> &info) {
                           return std::string(info.param.name);
                         });

TEST(Families, AreNamedOnce) {
  std::set<std::string_view> types, architectures;
  for (const FamilyFile &file : familyFiles()) {
    for (std::string_view word : wordsOf(file.modelTypes))
      EXPECT_TRUE(types.insert(word).second) << word;
    for (std::string_view word : wordsOf(file.architectures))
      EXPECT_TRUE(architectures.insert(word).second) << word;
    EXPECT_FALSE(file.modelTypes.empty() && file.architectures.empty())
        << file.name;
  }
}

/// The checks themselves see what is wrong.
TEST(Families, FaultsAreSeen) {
  FamilyFile file{"x", "", "", R"json({
    "model_types": ["x"],
    "layers": {"count": "$a |", "most": []},
    "spec": {"hiden": 1, "router": {"top_k": "$"},
             "shared": {"quantization": {"kind": "int8"}}},
    "when": [{"is": [1]}, {"key": "a", "above": "b"},
             {"key": "a", "is": ["b"]}],
    "require": [{"key": "c", "is": [1]}],
    "weights": {"tensors": {"router.weight": {"nam": "a${b"}}}})json"};
  std::vector<std::string> expected = {
      ": unknown key 'model_types'",
      "layers: unknown key 'most'",
      "layers.count: no hole: $a |",
      "spec: unknown key 'hiden'",
      "spec: 'shared.quantization' needs kind and block",
      "spec.router.top_k: no hole: $",
      "weights.tensors.router.weight.nam: no text with holes: a${b",
      "weights.tensors.router.weight: unknown key 'nam'",
      "weights.tensors.router.weight: no name",
      "when: expected either key or layer",
      "when: expected a list 'is' or a number 'above'",
      "require: expected key, is and why",
      ("when: 'a' is a name, so a 'require' has to list the names that are "
       "known")};
  EXPECT_EQ(Checker(file).problems, expected);
}
