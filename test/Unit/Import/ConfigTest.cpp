//===- ConfigTest.cpp - Configurations become specs -----------------------===//
//
// Part of moe-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "BadInput.h"
#include "Configs.h"

#include <filesystem>
#include <fstream>
#include <sstream>

using namespace moe;
using namespace moe::test;

static Spec good(const std::string &text, const ImportOptions &options = {}) {
  ImportResult result = importSpec(text, options);
  EXPECT_TRUE(result.spec) << text;
  EXPECT_EQ(result.diagnostics, std::vector<Diagnostic>());
  return result.spec.value_or(Spec());
}

static std::string kinds(const std::string &text) {
  LayersResult result = importLayers(text);
  EXPECT_EQ(result.diagnostics, std::vector<Diagnostic>()) << text;
  std::string letters;
  for (const Layer &layer : result.layers) {
    letters += "-dmh"[static_cast<size_t>(layer.kind)];
    EXPECT_EQ(layer.spec.has_value(), layer.kind >= LayerKind::moe);
  }
  return letters;
}

TEST(Config, FillsTheSpec) {
  Spec spec = good(deepseek({{"routed_scaling_factor", "2.5"},
                             {"hidden_act", R"("gelu")"},
                             {"torch_dtype", R"("bfloat16")"}}));
  EXPECT_EQ(spec.name, "deepseek_v3");
  EXPECT_EQ(spec.hidden, 64);
  EXPECT_EQ(spec.router.experts, 16);
  EXPECT_EQ(spec.router.topK, 2);
  EXPECT_EQ(spec.router.scale, 2.5);
  EXPECT_EQ(spec.router.groups.count, 2);
  EXPECT_TRUE(spec.router.selectionBias);
  EXPECT_EQ(spec.experts.intermediate, 32);
  EXPECT_EQ(spec.experts.activation.text, "gelu");
  EXPECT_EQ(spec.shared.intermediate, 32);
  EXPECT_EQ(spec.dtype.activation, DType::bf16);
  EXPECT_EQ(spec.dtype.weights, DType::bf16);
  EXPECT_EQ(spec.weights.layer, 1);
  EXPECT_FALSE(spec.weights.tensors.empty());
}

TEST(Config, PrintsAsTheSameSpec) {
  for (const std::string &text :
       {qwen3({}), deepseek({}), hunyuan({}), nemotron({}),
        deepseek({{"quantization_config", R"({"quant_method": "fp8"})"}})}) {
    std::string printed = printSpec(good(text));
    EXPECT_EQ(printSpec(good(printed)), printed);
  }
}

TEST(Config, TypesAreThoseOfTheFile) {
  EXPECT_EQ(good(qwen3({})).dtype.activation, DType::f32);
  EXPECT_EQ(good(qwen3({{"dtype", R"("float16")"}})).dtype.activation,
            DType::f16);
  EXPECT_EQ(good(qwen3({{"torch_dtype", R"("float32")"}})).dtype.activation,
            DType::f32);
}

TEST(Config, TextModelIsInside) {
  std::string inner = qwen3({{"model_type", R"("qwen3_vl_moe_text")"}});
  for (const std::string &text :
       {R"({"model_type": "qwen3_vl_moe", "text_config": )" + inner + "}",
        R"({"model_type": "unheard_of", "dtype": "bfloat16", "llm_config": )" +
            inner + "}"})
    EXPECT_EQ(good(text).name, "qwen3_vl_moe");
  EXPECT_EQ(good(R"({"model_type": "x", "dtype": "bfloat16", "text_config": )" +
                 inner + "}")
                .dtype.activation,
            DType::bf16);
}

TEST(Config, ArchitecturesDecideWhereTheTypeIsUnknown) {
  std::string names = R"(["Other", "Qwen3MoeForCausalLM"])";
  EXPECT_EQ(
      good(qwen3({{"model_type", R"("other")"}, {"architectures", names}}))
          .name,
      "qwen3_moe");
  EXPECT_EQ(good(qwen3({{"model_type", ""}, {"architectures", names}})).name,
            "qwen3_moe");
  // The type goes first.
  EXPECT_EQ(good(qwen3({{"architectures", R"(["MixtralForCausalLM"])"}})).name,
            "qwen3_moe");
}

TEST(Config, WhatIsNotNeededMayBeAnything) {
  good(qwen3({{"time_step_limit", "[0.0, Infinity, -Infinity, NaN]"},
              {"note", R"("a \" NaN Infinity")"},
              {"vision_config", R"({"x": [1, {"y": null}]})"}}));
}

TEST(Config, ConditionsAndDefaults) {
  EXPECT_EQ(good(deepseek({})).router.renormalize, Renormalize::add);
  EXPECT_EQ(good(deepseek({{"norm_topk_prob", "false"}})).router.renormalize,
            Renormalize::none);
  // null is as good as no key.
  EXPECT_EQ(good(deepseek({{"routed_scaling_factor", "null"}})).router.scale,
            2.5);
  EXPECT_EQ(good(qwen3({{"norm_topk_prob", "true"}})).router.renormalize,
            Renormalize::add);
  EXPECT_EQ(good(qwen3({})).router.renormalize, Renormalize::none);
}

TEST(Config, FormulasHaveNumbersOfTheFile) {
  std::string oss = changed({{"model_type", R"("gpt_oss")"},
                             {"hidden_size", "64"},
                             {"num_hidden_layers", "2"},
                             {"num_local_experts", "4"},
                             {"num_experts_per_tok", "2"},
                             {"intermediate_size", "64"},
                             {"swiglu_limit", "5.5"}},
                            {});
  EXPECT_EQ(good(oss).experts.activation.text,
            "min(g, 5.5) * sigmoid(1.702 * min(g, 5.5)) * "
            "(clamp(u, -5.5, 5.5) + 1)");
}

TEST(Config, KindsOfLayers) {
  EXPECT_EQ(kinds(qwen3({})), "mmmm");
  EXPECT_EQ(kinds(qwen3({{"decoder_sparse_step", "2"}})), "dmdm");
  EXPECT_EQ(kinds(qwen3({{"mlp_only_layers", "[0, 3, 9]"}})), "dmmd");
  EXPECT_EQ(kinds(deepseek({{"first_k_dense_replace", "2"}})), "ddmm");
  EXPECT_EQ(kinds(deepseek({{"model_type", R"("mimo_v2_flash")"},
                            {"moe_layer_freq", "[0, 1, true, 0]"}})),
            "dmmd");
  EXPECT_EQ(kinds(nemotron({})), "-m-m");
  EXPECT_EQ(kinds(nemotron({{"hybrid_override_pattern", R"("E-*E")"}})),
            "md-m");
  EXPECT_EQ(kinds(step({{"moe_layers_enum", R"("1, 3")"}})), "dmdm");
  EXPECT_EQ(kinds(deepseek({{"model_type", R"("deepseek_v4")"},
                            {"num_hash_layers", "1"},
                            {"vocab_size", "50"}})),
            "hmmm");
  EXPECT_EQ(kinds(nemotron({{"num_hidden_layers", ""},
                            {"layers_block_type", R"(["mamba", "moe"])"},
                            {"hybrid_override_pattern", ""}})),
            "-m");
}

TEST(Config, LayersAreChosen) {
  std::string text = hunyuan({{"moe_topk", "[1, 2, 3, 4]"}});
  for (int64_t l = 0; l < 4; ++l) {
    Spec spec = good(text, {l, false});
    EXPECT_EQ(spec.router.topK, l + 1);
    EXPECT_EQ(spec.weights.layer, l);
  }
  // The first whose router is learned.
  std::string hash = deepseek({{"model_type", R"("deepseek_v4")"},
                               {"num_hash_layers", "3"},
                               {"vocab_size", "50"}});
  EXPECT_EQ(good(hash).weights.layer, 3);
  EXPECT_EQ(good(hash, {1, false}).router.strategy, Strategy::table);
}

TEST(Config, LayersThatAreNone) {
  auto messageOf = [](const std::string &text, int64_t layer) {
    ImportResult result = importSpec(text, {layer, false});
    EXPECT_FALSE(result.spec);
    EXPECT_EQ(result.diagnostics.size(), 1u);
    return result.diagnostics[0].message;
  };
  EXPECT_EQ(messageOf(deepseek({}), 0),
            "layer 0 is dense, expected one of the MoE layers, 1-3");
  EXPECT_EQ(messageOf(nemotron({}), 2),
            "layer 2 has no experts, expected one of the MoE layers, 1, 3");
  EXPECT_EQ(messageOf(deepseek({}), 4),
            "found no layer 4 among the 4 layers, expected one of the MoE "
            "layers, 1-3");
  EXPECT_EQ(messageOf(printSpec(good(deepseek({}))), 1),
            "found a spec in the native form, which is of one layer, expected "
            "a configuration of Hugging Face to choose from");
  EXPECT_EQ(importLayers(printSpec(good(qwen3({})))).diagnostics[0].message,
            "found a spec in the native form, which is of one layer, expected "
            "a configuration of Hugging Face");
}

TEST(Config, LayersAsTables) {
  LayersResult result = importLayers(hunyuan({{"moe_topk", "[1, 2, 1, 2]"}}));
  EXPECT_EQ(printLayers(result),
            "hunyuan_v1_moe, 4 layers\n"
            "layers  kind  hidden  experts  top_k  intermediate  shared\n"
            "0, 2    moe   64      8        1      96            96\n"
            "1, 3    moe   64      8        2      96            96\n");
  EXPECT_EQ(printLayersJson(importLayers(deepseek({}))),
            "{\n"
            "  \"family\": \"deepseek_v3\",\n"
            "  \"count\": 4,\n"
            "  \"groups\": [\n"
            "    {\"kind\": \"dense\", \"layers\": [0]},\n"
            "    {\"kind\": \"moe\", \"layers\": [1, 2, 3], \"hidden\": 64, "
            "\"experts\": 16, \"top_k\": 2, \"intermediate\": 32, "
            "\"shared\": 32}\n"
            "  ]\n"
            "}\n");
}

/// Every layer of every example, as it is and with plain weights.
TEST(Config, Examples) {
  size_t count = 0;
  std::filesystem::path folder = MOE_TEST_SOURCE_DIR "/examples/configs";
  for (const auto &entry : std::filesystem::directory_iterator(folder)) {
    SCOPED_TRACE(entry.path());
    std::ifstream file(entry.path());
    std::stringstream text;
    text << file.rdbuf();
    ++count;
    for (bool dequantize : {false, true}) {
      LayersResult result = importLayers(text.str(), {{}, dequantize});
      EXPECT_EQ(result.diagnostics, std::vector<Diagnostic>());
      for (const Layer &layer : result.layers)
        if (layer.spec && dequantize) {
          EXPECT_EQ(layer.spec->experts.quantization.kind, WeightKind::none);
        }
    }
    std::string printed = printSpec(good(text.str()));
    EXPECT_EQ(printSpec(good(printed)), printed);
  }
  EXPECT_GE(count, 50u);
}
