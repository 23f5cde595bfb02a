//===- BadModelTest.cpp - What a configuration cannot mean --------------===//
//
// Part of moe-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "BadInput.h"
#include "Configs.h"

using namespace moe;
using namespace moe::test;

static const BadInput inputs[] = {
    {"MoreChoicesThanExperts",
     qwen3({{"num_experts_per_tok", "9"}}),
     {{Kind::error, 5, 2,
       "num_experts_per_tok (router.top_k): found 9, expected at most 8, the "
       "number of experts"},
      {Kind::note, 4, 2, "num_experts (router.experts) is given here"}}},
    {"GroupsDoNotDivide",
     deepseek({{"n_group", "3"}}),
     {{Kind::error, 8, 2,
       "n_group (router.groups.count): found 3, expected a divisor of 16, the "
       "number of experts"},
      {Kind::note, 4, 2, "n_routed_experts (router.experts) is given here"}}},
    {"GroupsAreTooFew",
     deepseek({{"n_group", "4"}, {"topk_group", "5"}}),
     {{Kind::error, 9, 2,
       "topk_group (router.groups.keep): found 5, expected at most 4, the "
       "number of groups"},
      {Kind::note, 8, 2, "n_group (router.groups.count) is given here"}}},
    {"LatentIsNegative",
     nemotron({{"moe_latent_size", "-1"}}),
     {{Kind::error, 9, 21,
       "moe_latent_size (experts.latent): found -1, expected an integer from 0 "
       "to 2147483647"}}},
    {"ListIsShort",
     hunyuan({{"moe_topk", "[2, 2]"}}),
     {{Kind::error, 5, 14,
       "moe_topk: found a list of 2, expected an entry for each of the 4 "
       "layers"}}},
    {"ListIsEmpty",
     hunyuan({{"moe_topk", "[]"}}),
     {{Kind::error, 5, 14,
       "moe_topk: found an empty list, expected a number, a name, true or "
       "false"}}},
    {"EntryIsTooLarge",
     hunyuan({{"moe_topk", "[9, 2, 2, 2]"}, {"num_experts", "[8, 8, 8, 1]"}}),
     {{Kind::error, 5, 2,
       "moe_topk[0] (router.top_k): found 9, expected at most 8, the number of "
       "experts"},
      {Kind::note, 4, 2, "num_experts[0] (router.experts) is given here"}}},
    {"EntryIsText",
     hunyuan({{"moe_intermediate_size", R"(["x", 96, 96, 96])"}}),
     {{Kind::error, 6, 28,
       "moe_intermediate_size[0] (experts.intermediate): found the string 'x', "
       "expected an integer from 1 to 2147483647"}}},
    {"TypesAreShort",
     deepseek({{"model_type", R"("glm4_moe")"},
               {"mlp_layer_types", R"(["dense", "sparse"])"}}),
     {{Kind::error, 11, 21,
       "mlp_layer_types: found 2 entries, expected one for each of the 4 "
       "layers"}}},
    {"FlagsAreShort",
     deepseek(
         {{"model_type", R"("mimo_v2_flash")"}, {"moe_layer_freq", "[0, 1]"}}),
     {{Kind::error, 11, 20,
       "moe_layer_freq: found 2 entries, expected one for each of the 4 "
       "layers"}}},
    {"FlagIsTwo",
     deepseek({{"model_type", R"("mimo_v2_flash")"},
               {"moe_layer_freq", "[0, 1, 2, 1]"}}),
     {{Kind::error, 11, 27,
       "moe_layer_freq[2]: found 2, expected 0, 1, true or false"}}},
    {"FrequencyIsText",
     deepseek({{"moe_layer_freq", R"("often")"}}),
     {{Kind::error, 11, 20,
       "moe_layer_freq: found the string 'often', expected an integer from 1 "
       "to 2147483647"}}},
    {"PatternIsShort",
     nemotron({{"hybrid_override_pattern", R"("ME")"}}),
     {{Kind::error, 7, 29,
       "hybrid_override_pattern: found 2 entries, expected one for each of the "
       "4 layers"}}},
    {"TextOfLayersIsNone",
     step({{"moe_layers_enum", R"("1,x")"}}),
     {{Kind::error, 8, 21,
       "moe_layers_enum: found the string '1,x', expected layers such as "
       "'3,4,5'"}}},
    {"StepIsZero",
     qwen3({{"decoder_sparse_step", "0"}}),
     {{Kind::error, 7, 25,
       "decoder_sparse_step: found 0, expected an integer from 1 to "
       "2147483647"}}},
    {"FirstLayerIsBeyond",
     deepseek({{"first_k_dense_replace", "9"}}),
     {{Kind::error, 10, 27,
       "first_k_dense_replace: found 9, expected an integer from 0 to 4"}}},
    {"ExceptionsAreNumber",
     qwen3({{"mlp_only_layers", "3"}}),
     {{Kind::error, 7, 21,
       "mlp_only_layers: found 3, expected a list of layers"}}},
    {"ExceptionIsNegative",
     qwen3({{"mlp_only_layers", "[1, -1]"}}),
     {{Kind::error, 7, 25,
       "mlp_only_layers: found -1, expected the number of a layer"}}},
    {"NoLayers",
     qwen3({{"num_hidden_layers", "0"}}),
     {{Kind::error, 3, 23,
       "num_hidden_layers: found 0, expected an integer from 1 to 1024"}}},
    {"TooManyLayers",
     qwen3({{"num_hidden_layers", "1000000"}}),
     {{Kind::error, 3, 23,
       "num_hidden_layers: found 1000000, expected an integer from 1 to "
       "1024"}}},
    {"NoMoELayers",
     qwen3({{"mlp_only_layers", "[0, 1, 2, 3]"}}),
     {{Kind::error, 1, 2,
       "found no MoE layer among the 4 layers, expected at least one"}}},
    {"ScoreIsNotTheCodes",
     deepseek({{"scoring_func", R"("softmax")"}}),
     {{Kind::error, 11, 18,
       "scoring_func: found the string 'softmax', expected 'sigmoid' or "
       "'noaux_tc' in family 'deepseek_v3'; the model's code always uses "
       "sigmoid"}}},
    {"FlagIsNotTheCodes",
     hunyuan({{"norm_topk_prob", "false"}}),
     {{Kind::error, 9, 20,
       "norm_topk_prob: found false, expected true in family 'hunyuan_v1_moe'; "
       "the model's code always renormalises"}}},
    {"UnknownActivation",
     qwen3({{"hidden_act", R"("sillu")"}}),
     {{Kind::error, 7, 16,
       "unknown activation 'sillu', expected a formula or 'silu', 'swish', "
       "'gelu', 'gelu_erf', 'gelu_tanh', 'gelu_new', 'gelu_pytorch_tanh', "
       "'quick_gelu', 'relu', 'relu2', 'sigmoid', 'tanh', 'identity', "
       "'linear', 'swigluoai' or 'situ'; did you mean 'silu'?"}}},
    {"ActivationIsFormula",
     qwen3({{"hidden_act", R"("silu(g)*u")"}}),
     {{Kind::error, 7, 16,
       "hidden_act: found the string 'silu(g)*u', expected a number, a name, "
       "true or false"}}},
    {"ActivationNeedsTwo",
     nemotron({{"mlp_hidden_act", R"("swigluoai")"}}),
     {{Kind::error, 9, 20,
       "found activation 'swigluoai' of g and u, expected one of g alone, as "
       "there is no u here"}}},
    {"UnknownDType",
     qwen3({{"torch_dtype", R"("float64")"}}),
     {{Kind::error, 7, 17,
       "torch_dtype: found the string 'float64', expected 'float32', "
       "'bfloat16' or 'float16'"}}},
    {"DTypeIsNumber",
     qwen3({{"dtype", "16"}}),
     {{Kind::error, 7, 11,
       "dtype: found 16, expected 'float32', 'bfloat16' or 'float16'"}}},
};

MOE_BAD_INPUTS(BadModel, inputs);
