//===- QuantizationTest.cpp - Quantised checkpoints -----------------------===//
//
// Part of moe-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "BadInput.h"
#include "Configs.h"

#include "HuggingFace/ModulePattern.h"

using namespace moe;
using namespace moe::test;

static Spec quantised(const std::string &config, bool dequantize = false,
                      const Members &changes = {}) {
  Members members = {{"quantization_config", config}};
  members.insert(members.end(), changes.begin(), changes.end());
  ImportResult result = importSpec(deepseek(members), {{}, dequantize});
  EXPECT_EQ(result.diagnostics, std::vector<Diagnostic>());
  return result.spec.value_or(Spec());
}

static std::string kindOf(const QuantizationSpec &quantization) {
  static const char *const names[] = {"none", "fp8_e4m3", "int8",
                                      "int4", "mxfp4",    "nvfp4"};
  std::array<int64_t, 2> block =
      quantization.block.value_or(std::array<int64_t, 2>{-1, -1});
  return std::string(names[static_cast<size_t>(quantization.kind)]) + " " +
         std::to_string(block[0]) + " " + std::to_string(block[1]) +
         (quantization.zeroPoints ? " zeros" : "");
}

/// An alternative of a weight as JSON, or nothing.
static std::string sourceOf(const Spec &spec, const std::string &weight,
                            size_t alternative = 0) {
  for (const WeightSources &sources : spec.weights.tensors)
    if (sources.weight == weight) {
      std::string list = printSources({sources.alternatives.at(alternative)});
      return list.substr(1, list.size() - 2);
    }
  return "";
}

namespace {
struct Method {
  const char *name;
  std::string config;
  std::string kind;
  std::string weight, scales, zeros; // of experts.up
};
} // namespace

static const char *const compressed =
    R"({"quant_method": "compressed-tensors", "format": ")";
static std::string groups(const std::string &format,
                          const std::string &weights) {
  return compressed + format +
         R"(", "config_groups": {"group_0": {"weights": {)" + weights + "}}}}";
}

static const Method methods[] = {
    {"fp8", R"({"quant_method": "fp8", "weight_block_size": [16, 32]})",
     "fp8_e4m3 16 32", R"("experts.{e}.up_proj.weight")",
     R"("experts.{e}.up_proj.weight_scale_inv")", ""},
    {"fp8_of_matrices", R"({"quant_method": "fp8", "weight_block_size": null})",
     "fp8_e4m3 0 0", R"("experts.{e}.up_proj.weight")",
     R"("experts.{e}.up_proj.weight_scale_inv")", ""},
    {"fbgemm", R"({"quant_method": "fbgemm_fp8"})", "fp8_e4m3 1 0",
     R"("experts.{e}.up_proj.weight")", R"("experts.{e}.up_proj.weight_scale")",
     ""},
    {"mxfp4", R"({"quant_method": "mxfp4"})", "mxfp4 1 32",
     R"({"name": "experts.{e}.up_proj.weight_blocks", "packing": "blocks"})",
     R"("experts.{e}.up_proj.weight_scales")", ""},
    {"gptq",
     R"({"quant_method": "gptq", "bits": 4, "group_size": 16, "sym": false})",
     "int4 1 16 zeros",
     R"({"name": "experts.{e}.up_proj.qweight", "packing": "gptq"})",
     R"({"name": "experts.{e}.up_proj.scales", "transposed": true})",
     R"({"name": "experts.{e}.up_proj.qzeros", "packing": "gptq"})"},
    {"awq",
     R"({"quant_method": "awq", "bits": 4, "group_size": -1, "version": "gemm"})",
     "int4 1 0 zeros",
     R"({"name": "experts.{e}.up_proj.qweight", "packing": "awq"})",
     R"({"name": "experts.{e}.up_proj.scales", "transposed": true})",
     R"({"name": "experts.{e}.up_proj.qzeros", "packing": "awq"})"},
    {"modelopt", R"({"quant_method": "modelopt", "quant_algo": "NVFP4"})",
     "nvfp4 1 16", R"("experts.{e}.up_proj.weight")",
     R"("experts.{e}.up_proj.weight_scale")", ""},
    {"channels",
     groups("float-quantized",
            R"("num_bits": 8, "type": "float", "strategy": "channel")"),
     "fp8_e4m3 1 0", R"("experts.{e}.up_proj.weight")",
     R"("experts.{e}.up_proj.weight_scale")", ""},
    {"int8",
     groups("int-quantized",
            R"("num_bits": 8, "type": "int", "strategy": "channel")"),
     "int8 1 0", R"("experts.{e}.up_proj.weight")",
     R"("experts.{e}.up_proj.weight_scale")", ""},
    {"int4",
     groups(
         "pack-quantized",
         R"("num_bits": 4, "type": "int", "strategy": "group", "group_size": 32)"),
     "int4 1 32",
     R"({"name": "experts.{e}.up_proj.weight_packed", "packing": "compressed"})",
     R"("experts.{e}.up_proj.weight_scale")", ""},
    {"packed_mxfp4",
     groups(
         "mxfp4-pack-quantized",
         R"("num_bits": 4, "type": "float", "strategy": "group", "group_size": 32)"),
     "mxfp4 1 32", R"("experts.{e}.up_proj.weight_packed")",
     R"("experts.{e}.up_proj.weight_scale")", ""},
};

TEST(Quantization, Methods) {
  for (const Method &method : methods) {
    SCOPED_TRACE(method.name);
    Spec spec = quantised(method.config);
    EXPECT_EQ(kindOf(spec.experts.quantization), method.kind);
    EXPECT_EQ(kindOf(spec.shared.quantization), method.kind);
    EXPECT_EQ(sourceOf(spec, "experts.up.weight"), method.weight);
    EXPECT_EQ(sourceOf(spec, "experts.up.scales"), method.scales);
    EXPECT_EQ(sourceOf(spec, "experts.up.zeros"), method.zeros);
    EXPECT_EQ(sourceOf(spec, "router.weight"), R"("gate.weight")");
  }
}

TEST(Quantization, GlobalScales) {
  Spec spec =
      quantised(R"({"quant_method": "modelopt", "quant_algo": "NVFP4"})");
  EXPECT_EQ(sourceOf(spec, "experts.down.global_scale"),
            R"("experts.{e}.down_proj.weight_scale_2")");
  EXPECT_EQ(sourceOf(spec, "shared.down.global_scale"),
            R"("shared_experts.down_proj.weight_scale_2")");
}

TEST(Quantization, PlainPackages) {
  Spec spec = quantised(R"({"quant_method": "fp8"})", /*dequantize=*/true);
  EXPECT_EQ(spec.experts.quantization.kind, WeightKind::none);
  EXPECT_EQ(spec.shared.quantization.kind, WeightKind::none);
  EXPECT_EQ(sourceOf(spec, "experts.up.scales"), "");
  EXPECT_EQ(sourceOf(spec, "experts.up.weight"),
            R"({"name": "experts.{e}.up_proj.weight", )"
            R"("decode": {"kind": "fp8_e4m3", "block": [128, 128]}, )"
            R"("scales": "experts.{e}.up_proj.weight_scale_inv"})");
}

TEST(Quantization, StackedWeights) {
  Spec spec = quantised(R"({"quant_method": "fp8"})");
  EXPECT_EQ(sourceOf(spec, "experts.up.scales", 1),
            R"({"name": "experts.gate_up_proj_scale_inv", "part": [1, 2]})");
}

TEST(Quantization, ModulesThatAreNotConverted) {
  Spec shared = quantised(R"({"quant_method": "fp8",
    "modules_to_not_convert": ["lm_head", "shared_experts"]})");
  EXPECT_EQ(shared.experts.quantization.kind, WeightKind::fp8_e4m3);
  EXPECT_EQ(shared.shared.quantization.kind, WeightKind::none);
  EXPECT_EQ(sourceOf(shared, "shared.up.weight"),
            R"("shared_experts.up_proj.weight")");
  Spec gates = quantised(R"({"quant_method": "fp8",
    "ignore": ["re:.*mlp\\.(gate|up|gate_up|down)_proj.*", "re:.*gate$"]})");
  EXPECT_EQ(gates.experts.quantization.kind, WeightKind::fp8_e4m3);
  Spec layer = quantised(R"({"quant_method": "modelopt", "quant_algo": "FP8",
    "exclude_modules": ["*.layers.1.mlp*"]})");
  EXPECT_EQ(layer.experts.quantization.kind, WeightKind::none);
}

TEST(Quantization, Patterns) {
  auto matches = [](const char *pattern, const char *module) {
    std::optional<ModulePattern> parsed = ModulePattern::parse(pattern);
    EXPECT_TRUE(parsed) << pattern;
    return parsed && parsed->matches(module);
  };
  EXPECT_TRUE(matches("lm_head", "lm_head"));
  EXPECT_TRUE(matches("mlp.gate", "model.layers.0.mlp.gate"));
  EXPECT_FALSE(matches("mlp.gate", "model.layers.0.mlp.gate_proj"));
  EXPECT_TRUE(matches("model.layers.1", "model.layers.1.mlp.up"));
  EXPECT_FALSE(matches("model.layers.1", "model.layers.10.mlp.up"));
  EXPECT_TRUE(matches("*router*", "a.router.weight"));
  EXPECT_FALSE(matches("*.gate", "a.gate_proj"));
  EXPECT_TRUE(matches("*.mlp", "a.mlp.gate_proj"));
  EXPECT_TRUE(matches("re:.*mlp.gate", "a.mlp.gate_proj"));
  EXPECT_FALSE(matches("re:.*mlp.gate$", "a.mlp.gate_proj"));
  EXPECT_FALSE(matches("re:mlp", "a.mlp"));
  EXPECT_TRUE(matches("re:model\\.layers\\.\\d+\\.x", "model.layers.12.x"));
  EXPECT_TRUE(matches("re:a[0-9_]+(b|c(d|e))?$", "a1_ce"));
  EXPECT_FALSE(matches("re:a[^0-9](?:b|c)$", "a1b"));
  EXPECT_TRUE(matches("re:^x.?y|z", "zoo"));
  for (const char *pattern : {"", "re:(a)*", "re:a{2}", "re:(?=x)", "re:a)",
                              "re:(a", "re:[a", "re:a**", "re:\\b", "re:*"})
    EXPECT_FALSE(ModulePattern::parse(pattern)) << pattern;
  // No text takes long.
  std::string many = "re:";
  for (int i = 0; i < 100; ++i)
    many += ".*a";
  EXPECT_FALSE(matches(many.c_str(), std::string(4000, 'b').c_str()));
  EXPECT_FALSE(ModulePattern::parse("re:(a|b)(a|b)(a|b)(a|b)(a|b)(a|b)(a|b)"));
}
