//===- SourcesTest.cpp - Where files have weights -------------------------===//
//
// Part of moe-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
// weights.tensors, weights.prefix and weights.ignore: docs/Spec.md, section 9.
//
//===----------------------------------------------------------------------===//

#include "BadInput.h"

using namespace moe;
using namespace moe::test;

static std::string tensors(const std::string &text) {
  return rest("\"weights\": {\"tensors\": {\n" + text + "}}");
}
static std::string up(const std::string &source) {
  return tensors("\"experts.up.weight\":\n" + source);
}

static const std::string here = "weights.tensors: 'experts.up.weight': ";

static const BadInput inputs[] = {
    {"NoObject",
     rest(R"("weights": {"tensors": ["a"]})"),
     {{Kind::error, 4, 25,
       "weights.tensors: found a list, expected an object of sources by "
       "weight"}}},
    {"UnknownWeight",
     tensors(R"("experts.upp.weight": "a")"),
     {{Kind::error, 5, 1,
       "weights.tensors: this layer has no weight 'experts.upp.weight'; did "
       "you mean 'experts.up.weight'?"}}},
    {"WeightOfAnotherLayer",
     tensors(R"("router.bias": "a")"),
     {{Kind::error, 5, 1,
       "weights.tensors: this layer has no weight 'router.bias', which "
       "'router.projection.bias' decides"}}},
    {"NoSource",
     up("5"),
     {{Kind::error, 6, 1,
       here + "found 5, expected a name, or an object with a 'name'"}}},
    {"NoAlternatives",
     up("[]"),
     {{Kind::error, 6, 1,
       here + "found an empty list, expected 1 to 64 sources"}}},
    {"NoSourcesInAlternative",
     up("[[]]"),
     {{Kind::error, 6, 2,
       here + "found an empty list, expected 1 to 64 sources"}}},
    {"NoName",
     up("{}"),
     {{Kind::error, 6, 1,
       here + "found no key 'name', expected the name of a tensor"}}},
    {"EmptyName",
     up("\"\""),
     {{Kind::error, 6, 1,
       here + "name: found the string '', expected a string of 1 to 4096 "
              "printable bytes"}}},
    {"UnknownKey",
     up(R"({"name": "a", "transpose": true})"),
     {{Kind::error, 6, 15,
       here + "unknown key 'transpose'; did you mean 'transposed'?"}}},
    {"FarKey",
     up(R"({"name": "a", "decode": {"kind": "int8", "q": 1}, "scales": "s"})"),
     {{Kind::error, 6, 42,
       here + "unknown key 'q', expected 'kind', 'block' or 'zero_points'"}}},
    {"FlagIsNoFlag",
     up(R"({"name": "a", "absolute": 1})"),
     {{Kind::error, 6, 27,
       here + "absolute: found 1, expected true or false"}}},
    {"PartBeyond",
     up(R"({"name": "a", "part": [2, 2]})"),
     {{Kind::error, 6, 23,
       here + "part: found a list, expected [i, n] with i below n and n at "
              "most 1024"}}},
    {"UnknownPacking",
     up(R"({"name": "a", "packing": "gguf"})"),
     {{Kind::error, 6, 26,
       here + "packing: found the string 'gguf', expected 'gptq', 'awq', "
              "'compressed' or 'blocks'"}}},
    {"InterleavedAlone",
     up(R"({"name": "a", "interleaved": true})"),
     {{Kind::error, 6, 1,
       here + "found 'interleaved' alone, expected a 'part' of several"}}},
    {"BroadcastPart",
     up(R"({"name": "a", "broadcast": true, "part": [0, 2]})"),
     {{Kind::error, 6, 1,
       here + "found 'broadcast' with 'part' or 'transposed', expected one "
              "number, repeated"}}},
    {"BroadcastPacking",
     up(R"({"name": "a", "broadcast": true, "packing": "awq"})"),
     {{Kind::error, 6, 1,
       here + "found 'packing' with 'broadcast', expected one of them"}}},
    {"TransposedWords",
     up(R"({"name": "a", "packing": "awq", "transposed": true})"),
     {{Kind::error, 6, 1,
       here + "found 'packing' of words with 'transposed' or 'interleaved', "
              "expected the order that the packing has"}}},
    {"ZeroPointsOfInt8",
     up(R"({"name": "a", "decode": {"kind": "int8", "zero_points": true}, "scales": "s", "zeros": "z"})"),
     {{Kind::error, 6, 1,
       here + "found 'decode.zero_points' without 'int4', expected both or "
              "neither"}}},
    {"DecodeIsNoObject",
     up(R"({"name": "a", "decode": "int8", "scales": "s"})"),
     {{Kind::error, 6, 25,
       here + "decode: found the string 'int8', expected an object with a "
              "'kind'"}}},
    {"DecodeWithoutKind",
     up(R"({"name": "a", "decode": {}, "scales": "s"})"),
     {{Kind::error, 6, 25,
       here + "decode: found no key 'kind', expected 'fp8_e4m3', 'int8', "
              "'int4', 'mxfp4' or 'nvfp4'"}}},
    {"DecodeKind",
     up(R"({"name": "a", "decode": {"kind": "fp8"}, "scales": "s"})"),
     {{Kind::error, 6, 34,
       here + "decode.kind: found the string 'fp8', expected 'fp8_e4m3', "
              "'int8', 'int4', 'mxfp4' or 'nvfp4'"}}},
    {"DecodeBlock",
     up(R"({"name": "a", "decode": {"kind": "int8", "block": 8}, "scales": "s"})"),
     {{Kind::error, 6, 51,
       here + "decode.block: found 8, expected [outputs, inputs], each 0 or "
              "more"}}},
    {"DecodeWithoutScales",
     up(R"({"name": "a", "decode": {"kind": "int8"}})"),
     {{Kind::error, 6, 1,
       here + "found 'decode' without 'scales', expected both or neither"}}},
    {"ScalesWithoutDecode",
     up(R"({"name": "a", "scales": "s"})"),
     {{Kind::error, 6, 1,
       here + "found 'scales' without 'decode', expected both or neither"}}},
    {"ZerosWithoutZeroPoints",
     up(R"({"name": "a", "decode": {"kind": "int4"}, "scales": "s", "zeros": "z"})"),
     {{Kind::error, 6, 1,
       here + "found 'zeros' without 'decode.zero_points', expected both or "
              "neither"}}},
    {"ZeroPointsWithoutZeros",
     up(R"({"name": "a", "decode": {"kind": "int4", "zero_points": true}, "scales": "s"})"),
     {{Kind::error, 6, 1,
       here + "found 'decode.zero_points' without 'zeros', expected both or "
              "neither"}}},
    {"GlobalScale",
     up(R"({"name": "a", "decode": {"kind": "nvfp4"}, "scales": "s"})"),
     {{Kind::error, 6, 1,
       here + "found 'nvfp4' without 'global_scale', expected both or "
              "neither"}}},
    {"GlobalScaleOfAnother",
     up(R"({"name": "a", "decode": {"kind": "int8"}, "scales": "s", "global_scale": "g"})"),
     {{Kind::error, 6, 1,
       here + "found 'global_scale' without 'nvfp4', expected both or "
              "neither"}}},
    {"ScalesThatDecode",
     up(R"({"name": "a", "decode": {"kind": "int8"}, "scales": {"name": "s", "scales": "t"}})"),
     {{Kind::error, 6, 67,
       here + "unknown key 'scales', expected 'name', 'part', 'interleaved', "
              "'transposed', 'broadcast', 'absolute' or 'packing'"}}},
    {"NoPrefix",
     rest(R"("weights": {"prefix": []})"),
     {{Kind::error, 4, 24,
       "weights.prefix: found an empty list, expected a string of at most "
       "4096 bytes or a list of 1 to 64 of them"}}},
    {"IgnoreNumbers",
     rest(R"("weights": {"ignore": ["a", 1]})"),
     {{Kind::error, 4, 24,
       "weights.ignore: found a list, expected a string of at most 4096 bytes "
       "or a list of 1 to 64 of them"}}},
};

MOE_BAD_INPUTS(BadSources, inputs);

TEST(Sources, AreRead) {
  ImportResult result = importSpec(rest(R"("weights": {
    "prefix": ["model.{l}.", "m.{l}."], "ignore": "*.rope",
    "tensors": {
      "router.weight": [["text.gate", {"name": "image.gate", "transposed": true}]],
      "experts.up.weight": [
        "experts.{e}.up",
        {"name": "gate_up", "part": [1, 2], "interleaved": true, "packing": "blocks",
         "decode": {"kind": "mxfp4", "block": [1, 32]},
         "scales": {"name": "gate_up_scales", "part": [1, 2], "interleaved": true}}],
      "experts.down.weight": {"name": "s", "broadcast": true, "absolute": true}}})"));
  ASSERT_TRUE(result.spec) << result.diagnostics[0].message;
  const WeightsSpec &weights = result.spec->weights;
  EXPECT_EQ(weights.prefix, (std::vector<std::string>{"model.{l}.", "m.{l}."}));
  EXPECT_EQ(weights.ignore, std::vector<std::string>{"*.rope"});
  ASSERT_EQ(weights.tensors.size(), 3u);
  const auto &router = weights.tensors[0].alternatives;
  ASSERT_EQ(router.size(), 1u);
  ASSERT_EQ(router[0].size(), 2u);
  EXPECT_EQ(router[0][0].name, "text.gate");
  EXPECT_TRUE(router[0][1].transposed);
  const auto &upward = weights.tensors[1].alternatives;
  ASSERT_EQ(upward.size(), 2u);
  const SourceSpec &packed = upward[1].at(0);
  EXPECT_EQ(packed.part, 1);
  EXPECT_EQ(packed.parts, 2);
  EXPECT_TRUE(packed.interleaved);
  EXPECT_EQ(packed.packing, "blocks");
  ASSERT_TRUE(packed.decode);
  EXPECT_EQ(packed.decode->kind, "mxfp4");
  EXPECT_EQ(packed.decode->inputsOfBlock, 32);
  ASSERT_EQ(packed.scales.size(), 1u);
  EXPECT_EQ(packed.scales[0].name, "gate_up_scales");
  const SourceSpec &down = weights.tensors[2].alternatives.at(0).at(0);
  EXPECT_TRUE(down.broadcast);
  EXPECT_TRUE(down.absolute);

  std::string printed = printSpec(*result.spec);
  ImportResult again = importSpec(printed);
  ASSERT_TRUE(again.spec) << again.diagnostics[0].message;
  EXPECT_EQ(printSpec(*again.spec), printed);
}

TEST(Sources, NamesOfAManifestAreBounded) {
  std::string list, prefixes;
  for (int i = 0; i < 64; ++i) {
    list += (i ? ", " : "") + ("\"a" + std::to_string(i) + "\"");
    prefixes += (i ? ", " : "") + ("\"p" + std::to_string(i) + ".\"");
  }
  ImportResult result = importSpec(
      rest("\"weights\": {\"prefix\": [" + prefixes +
           "],\n\"tensors\": {\"experts.up.weight\": [" + list + "]}}"));
  ASSERT_EQ(result.diagnostics.size(), 1u);
  EXPECT_EQ(result.diagnostics[0].line, 5u);
  EXPECT_EQ(result.diagnostics[0].message,
            "weights.tensors: the names with every prefix take 2171776 bytes, "
            "expected at most 524288");
}

TEST(Sources, OfOtherLayersAreDropped) {
  Spec spec = *importSpec(rest("")).spec;
  spec.weights.tensors = {{"router.bias", {}}, {"experts.up.weight", {}}};
  dropTensorsOfOtherLayers(spec);
  ASSERT_EQ(spec.weights.tensors.size(), 1u);
  EXPECT_EQ(spec.weights.tensors[0].weight, "experts.up.weight");
}
