//===- ManifestTest.cpp - Malformed manifests -----------------------------===//
//
// Part of moe-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
// Each edit breaks one rule of docs/Manifest.md; the message says which.
//
//===----------------------------------------------------------------------===//

#include "Support.h"

using namespace moe::test;
using nlohmann::json;

namespace {
struct Corruption {
  const char *name;
  std::function<void(json &)> edit;
  const char *message;
};

json &argument(json &m, int function, int index) {
  return m["functions"][function]["arguments"][index];
}

/// Gives the first weight one source.
void source(json &m, const json &value) {
  m["weights"][0]["sources"] = json::array({value});
}

const Corruption corruptions[] = {
    {"NoName", [](json &m) { m.erase("name"); },
     "error: expected a key 'name', found none"},
    {"NameIsANumber", [](json &m) { m["name"] = 5; },
     "error: name: expected text, found 5"},
    {"NameIsAPath", [](json &m) { m["name"] = "../evil"; },
     "error: name: expected an identifier"},
    {"FormatIsText", [](json &m) { m["moe_package"] = "1"; },
     "moe_package: expected an integer of at least 0, found \"1\""},
    {"AbiIsAFraction", [](json &m) { m["abi"] = 1.5; }, "abi: expected"},
    {"HashTooShort", [](json &m) { m["spec_hash"] = "12"; },
     "spec_hash: expected 16 hexadecimal digits, found \"12\""},
    {"OtherDevice", [](json &m) { m["target"]["variants"][0]["kind"] = "tpu"; },
     "target.variants[0].kind: expected one of cpu cuda sim reference, found "
     "\"tpu\""},
    {"NoArchitectures",
     [](json &m) { m["target"]["variants"][0]["kind"] = "cuda"; },
     "target.variants[0]: expected a key 'gpu', found none"},
    {"NoVariants", [](json &m) { m["target"].erase("variants"); },
     "target: expected a key 'variants', found none"},
    {"EmptyVariants", [](json &m) { m["target"]["variants"] = json::array(); },
     "target.variants: expected at least one variant, found none"},
    {"PackedRowsThatAreNoStrips",
     [](json &m) { m["weights"][0]["packed"] = "words"; },
     "weights[0].packed: expected whole strips of 64 outputs, and rows of "
     "whole words"},
    {"PackedIsANumber", [](json &m) { m["weights"][0]["packed"] = 64; },
     "weights[0].packed: expected"},
    {"PackedInNoOrder", [](json &m) { m["weights"][0]["packed"] = "rows"; },
     "weights[0].packed: expected one of words nibbles bytes paired_words "
     "paired_nibbles paired_bytes, found \"rows\""},
    {"PackedPairOfOneStrip",
     [](json &m) {
       m["weights"][0]["shape"] = {64, 4};
       m["weights"][0]["packed"] = "paired_words";
     },
     "weights[0].packed: expected whole strips of 128 outputs, and rows of "
     "whole words"},
    {"NoCpu", [](json &m) { m["target"]["variants"][0].erase("cpu"); },
     "target.variants[0]: expected a key 'cpu', found none"},
    {"CpuTwice",
     [](json &m) {
       json &variants = m["target"]["variants"];
       variants.push_back(variants[0]);
     },
     "target.variants[1].cpu: name 'plain' is used twice"},
    {"FeaturesAreText",
     [](json &m) { m["target"]["variants"][0]["features"] = "avx"; },
     "target.variants[0].features: expected an array, found \"avx\""},
    {"EmptyGrid", [](json &m) { m["grid"]["ep"] = 0; },
     "grid.ep: expected an integer from 1"},
    {"WeightsAreAnObject", [](json &m) { m["weights"] = json::object(); },
     "weights: expected an array, found an object"},
    {"WeightTwice", [](json &m) { m["weights"].push_back(m["weights"][0]); },
     "weights[3].name: name 'scale.weight' is used twice"},
    {"FileNameTwice",
     [](json &m) { m["weights"][1]["file_name"] = "layer.scale.weight"; },
     "weights[1].file_name: name 'layer.scale.weight' is used twice"},
    {"UnknownType", [](json &m) { m["weights"][0]["dtype"] = "f33"; },
     "weights[0].dtype: expected one of f32 f64 bf16 f16 i8 u8 i32 i64, found "
     "\"f33\""},
    {"NegativeSize", [](json &m) { m["weights"][0]["shape"] = {-4}; },
     "weights[0].shape[0]: expected an integer of at least 0, found -4"},
    {"HugeSize",
     [](json &m) { m["weights"][0]["shape"] = {uint64_t(1) << 63}; },
     "weights[0].shape[0]: expected an integer"},
    {"SizeOverflows",
     [](json &m) {
       m["weights"][0]["shape"] = {int64_t(1) << 40, int64_t(1) << 40};
     },
     "weights[0].shape: the tensor's size in bytes overflows"},
    {"SizeOverflowsBesideZero",
     [](json &m) {
       m["weights"][0]["shape"] = {0, int64_t(1) << 40, int64_t(1) << 40};
     },
     "overflows"},
    {"TooManySizes",
     [](json &m) { m["weights"][0]["shape"] = {1, 1, 1, 1, 1, 1, 1, 1, 1}; },
     "expected at most 8 entries, found 9"},
    {"SymbolicWeight", [](json &m) { m["weights"][0]["shape"] = {"T"}; },
     "weights[0].shape[0]: expected an integer"},
    {"NoFanIn", [](json &m) { m["weights"][0]["fan_in"] = 0; },
     "fan_in: expected an integer of at least 1, found 0"},
    {"ControlCharacter", [](json &m) { m["weights"][0]["name"] = "a\nb"; },
     "expected a name"},
    {"UnknownInitial", [](json &m) { m["state"][0]["initial"] = "one"; },
     "state[0].initial: expected \"zero\" or \"weight\", found \"one\""},
    {"NoSuchInitialWeight",
     [](json &m) { m["state"][0]["initial"] = "weight"; },
     "state[0].initial: there is no weight 'loads'"},
    {"InitialWeightDiffers", [](json &m) { m["state"][1]["shape"] = {4}; },
     "state[1].initial: the weight 'bias' is f32 [3], the state is f32 [4]"},
    {"NoFunctions", [](json &m) { m["functions"] = json::array(); },
     "functions: expected at least one function, found none"},
    {"FunctionTwice", [](json &m) { m["functions"][1]["name"] = "forward"; },
     "functions[1].name: name 'forward' is used twice"},
    {"SizeTwice", [](json &m) { m["functions"][0]["sizes"] = {"T", "T"}; },
     "functions[0].sizes[1]: name 'T' is used twice"},
    {"SizeNobodyGives",
     [](json &m) { m["functions"][0]["sizes"].push_back("U"); },
     "no input or output has the size 'U'"},
    {"SizeOnlyRoundedUp",
     [](json &m) { argument(m, 2, 0)["shape"] = {"ceil(n/2)"}; },
     "no input or output has the size 'n'"},
    {"UnknownRole", [](json &m) { argument(m, 0, 0)["role"] = "in"; },
     "functions[0].arguments[0].role: expected one of input output weight "
     "state plan, found \"in\""},
    {"ArgumentTwice", [](json &m) { argument(m, 0, 4)["name"] = "x"; },
     "functions[0].arguments[4].name: name 'x' is used twice"},
    {"UnknownSize", [](json &m) { argument(m, 0, 0)["shape"] = {"U", 4}; },
     "functions[0].arguments[0].shape[0]: expected a number, a size"},
    {"ZeroTimesSize", [](json &m) { argument(m, 0, 0)["shape"] = {"0*T", 4}; },
     "found \"0*T\""},
    {"SizeTimesNumber",
     [](json &m) { argument(m, 0, 0)["shape"] = {"T*2", 4}; }, "found \"T*2\""},
    {"HugeFactor",
     [](json &m) {
       argument(m, 0, 0)["shape"] = {"99999999999999999999*T", 4};
     },
     "expected a number, a size"},
    {"OpenCeil", [](json &m) { argument(m, 2, 1)["shape"] = {"ceil(n/2"}; },
     "found \"ceil(n/2\""},
    {"CeilByZero", [](json &m) { argument(m, 2, 1)["shape"] = {"ceil(n/0)"}; },
     "found \"ceil(n/0)\""},
    {"NoSuchWeight", [](json &m) { argument(m, 0, 1)["name"] = "other"; },
     "arguments[1].name: there is no weight 'other'"},
    {"WeightOfOtherShape", [](json &m) { argument(m, 0, 1)["shape"] = {5}; },
     "arguments[1].shape: the weight 'scale.weight' is f32 [4]"},
    {"WeightOfOtherType", [](json &m) { argument(m, 0, 1)["dtype"] = "f64"; },
     "the weight 'scale.weight' is f32 [4]"},
    {"NoSuchState", [](json &m) { argument(m, 0, 3)["name"] = "other"; },
     "there is no state 'other'"},
    {"StatusOfOtherType", [](json &m) { argument(m, 0, 10)["dtype"] = "i64"; },
     "expected 'status' to be i32 []"},
    {"ClockOfOtherShape", [](json &m) { argument(m, 0, 11)["shape"] = {2}; },
     "expected 'clock' to be i64 [3]"},
    {"WorkspaceOfUnknownSize",
     [](json &m) { m["functions"][0]["workspace"]["per"]["U"] = 1; },
     "workspace.per.U: there is no size 'U'"},
    {"NegativeWorkspace",
     [](json &m) { m["functions"][0]["workspace"]["constant"] = -1; },
     "workspace.constant: expected an integer of at least 0, found -1"},
    {"SourcesAreNoList", [](json &m) { m["weights"][0]["sources"] = "a"; },
     "weights[0].sources: expected an array, found \"a\""},
    {"NoSources", [](json &m) { m["weights"][0]["sources"] = json::array(); },
     "weights[0].sources: expected at least one source, found none"},
    {"EmptyListOfSources",
     [](json &m) { m["weights"][0]["sources"] = {json::array()}; },
     "sources[0]: expected at least one source, found none"},
    {"SourceIsNumber", [](json &m) { m["weights"][0]["sources"] = {1}; },
     "sources[0]: expected an object, found 1"},
    {"SourceWithoutName", [](json &m) { source(m, json::object()); },
     "sources[0]: expected a key 'name', found none"},
    {"SourceWithEmptyName", [](json &m) { source(m, {{"name", ""}}); },
     "sources[0].name: expected the name of a tensor, found \"\""},
    {"PartBeyondParts",
     [](json &m) { source(m, {{"name", "a"}, {"part", {2, 2}}}); },
     "sources[0].part[0]: expected an integer from 0 to 1, found 2"},
    {"PartOfOne", [](json &m) { source(m, {{"name", "a"}, {"part", {2}}}); },
     "sources[0].part: expected two numbers, found an array"},
    {"FlagIsNoFlag",
     [](json &m) { source(m, {{"name", "a"}, {"transposed", 1}}); },
     "sources[0].transposed: expected true or false, found 1"},
    {"UnknownPacking",
     [](json &m) { source(m, {{"name", "a"}, {"packing", "gguf"}}); },
     "sources[0].packing: expected one of none gptq awq compressed blocks"},
    {"TransposedWords",
     [](json &m) {
       source(m, {{"name", "a"}, {"packing", "awq"}, {"transposed", true}});
     },
     "'packing' of words excludes 'transposed' and 'interleaved'"},
    {"BroadcastPart",
     [](json &m) {
       source(m, {{"name", "a"}, {"broadcast", true}, {"part", {0, 2}}});
     },
     "'broadcast' excludes 'part', 'transposed' and 'packing'"},
    {"UnknownKindOfDecode",
     [](json &m) { source(m, {{"name", "a"}, {"decode", {{"kind", "q"}}}}); },
     "decode.kind: expected one of fp8_e4m3 int8 int4 mxfp4 nvfp4"},
    {"BlockOfDecode",
     [](json &m) {
       source(m,
              {{"name", "a"}, {"decode", {{"kind", "int8"}, {"block", {1}}}}});
     },
     "decode.block: expected two numbers"},
    {"ZeroPointsOfInt8",
     [](json &m) {
       source(m, {{"name", "a"},
                  {"decode", {{"kind", "int8"}, {"zero_points", true}}}});
     },
     "sources[0].decode: only int4 has zero points"},
    {"DecodeWithoutScales",
     [](json &m) {
       source(m, {{"name", "a"}, {"decode", {{"kind", "int8"}}}});
     },
     "sources[0]: expected key 'scales', found none"},
    {"ScalesWithoutDecode",
     [](json &m) { source(m, {{"name", "a"}, {"scales", "s"}}); },
     "sources[0]: expected no key 'scales', found one"},
    {"GlobalScaleOfInt8",
     [](json &m) {
       source(m, {{"name", "a"},
                  {"decode", {{"kind", "int8"}}},
                  {"scales", "s"},
                  {"global_scale", "g"}});
     },
     "sources[0]: expected no key 'global_scale', found one"},
    {"PerExpertScalar",
     [](json &m) {
       m["weights"].push_back({{"name", "s"},
                               {"dtype", "f32"},
                               {"shape", json::array()},
                               {"per_expert", true}});
     },
     "weights[3].per_expert: a scalar has no experts"},
    {"SourcesThatOverflow",
     [](json &m) {
       m["weights"].push_back({{"name", "s"},
                               {"dtype", "u8"},
                               {"shape", {int64_t(1) << 52}},
                               {"sources", {"a"}}});
     },
     "weights[3].shape: the sizes of its sources overflow"},
    {"SourcesOfNoExpertsThatOverflow",
     [](json &m) {
       m["weights"].push_back({{"name", "s"},
                               {"dtype", "u8"},
                               {"shape", {0, int64_t(1) << 52, 1}},
                               {"sources", {"a"}}});
     },
     "weights[3].shape: the sizes of its sources overflow"},
    {"NegativeLayer", [](json &m) { m["checkpoint"] = {{"layer", -1}}; },
     "checkpoint.layer: expected an integer from 0 to 2147483647, found -1"},
    {"NegativeTimeout",
     [](json &m) { m["averaging"] = {{"match_timeout_ms", -1}}; },
     "averaging.match_timeout_ms: expected an integer from 0 to 2147483647, "
     "found -1"},
    {"TimeoutIsText",
     [](json &m) { m["averaging"] = {{"exchange_timeout_ms", "soon"}}; },
     "averaging.exchange_timeout_ms: expected an integer from 0 to 2147483647, "
     "found \"soon\""},
    {"PrefixIsNoList", [](json &m) { m["checkpoint"] = {{"prefix", "a"}}; },
     "checkpoint.prefix: expected an array, found \"a\""},
    {"IgnoresNumbers", [](json &m) { m["checkpoint"] = {{"ignore", {1}}}; },
     "checkpoint.ignore[0]: expected text, found 1"},
    {"FunctionIsText", [](json &m) { m["functions"][0] = "forward"; },
     "functions[0]: expected an object, found \"forward\""},
};

void PrintTo(const Corruption &corruption, std::ostream *out) {
  *out << corruption.name;
}

struct ManifestTest : testing::TestWithParam<Corruption> {};
} // namespace

TEST_P(ManifestTest, IsRefused) {
  EditedPackage wrong(GetParam().edit);
  moe_layer *layer = nullptr;
  EXPECT_STATUS(MOE_BAD_FILE, moe_layer_create(&wrong.package, &layer),
                GetParam().message);
  EXPECT_EQ(nullptr, layer);
}

INSTANTIATE_TEST_SUITE_P(Corruptions, ManifestTest,
                         testing::ValuesIn(corruptions),
                         [](const auto &info) { return info.param.name; });

static void expectBadText(const std::string &text, const char *message) {
  EditedPackage wrong(text);
  moe_layer *layer = nullptr;
  EXPECT_STATUS(MOE_BAD_FILE, moe_layer_create(&wrong.package, &layer),
                message);
}

TEST(ManifestText, Malformed) {
  std::string text = fake_package.manifest;
  expectBadText("", "manifest: error: parse error");
  expectBadText("[]", "manifest: error: expected an object, found an array");
  expectBadText(text.substr(0, text.size() / 2), "parse error at line");
  expectBadText(text + "{}", "parse error");
  expectBadText("{\"abi\": 1, \"abi\": 1}",
                "key 'abi' appears twice in one object");
  expectBadText("{\"name\": \"\xff\"}", "parse error");
  std::string deep = "{\"moe_package\": ";
  expectBadText(deep + std::string(100000, '['), "more than 64 levels deep");
  expectBadText(std::string((16 << 20) + 1, ' '), "expected at most 16777216");
}

TEST(ManifestText, UnknownKeysAreIgnored) {
  EditedPackage edited([](json &m) {
    m["future"] = {{"a", 1}};
    m["functions"][0]["hint"] = "fast";
  });
  EXPECT_NE(nullptr, makeLayer(&edited.package, false));
}
