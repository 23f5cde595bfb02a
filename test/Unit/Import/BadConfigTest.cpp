//===- BadConfigTest.cpp - Keys of configurations that are wrong --------===//
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
    {"UnknownModelType",
     qwen3({{"model_type", R"("qwen3_mo")"}}),
     {{Kind::error, 1, 16,
       "model_type: found 'qwen3_mo', expected a model that is known; did you "
       "mean 'qwen3_moe'? ('moe-opt --families' lists those)"}}},
    {"UnknownModelTypeUnlikeAny",
     qwen3({{"model_type", R"("superduper9000")"}}),
     {{Kind::error, 1, 16,
       "model_type: found 'superduper9000', expected a model that is known "
       "('moe-opt --families' lists those)"}}},
    {"UnknownArchitecture",
     R"({"architectures": ["Qwen3MoeForCausalLMs"],
 "num_experts": 8})",
     {{Kind::error, 1, 20,
       "architectures: found 'Qwen3MoeForCausalLMs', expected a model that is "
       "known; did you mean 'Qwen3MoeForCausalLM'? ('moe-opt --families' lists "
       "those)"}}},
    {"ModelWithoutExperts",
     R"({"model_type": "llama",
 "hidden_size": 64})",
     {{Kind::error, 1, 16,
       "model_type: found 'llama', a model without experts, expected one with "
       "MoE layers ('moe-opt --families' lists those)"}}},
    {"TextModelWithoutExperts",
     R"({"model_type": "llava",
 "text_config": {"model_type": "llama", "hidden_size": 64}})",
     {{Kind::error, 2, 32,
       "model_type: found 'llama', a model without experts, expected one with "
       "MoE layers ('moe-opt --families' lists those)"}}},
    {"ModelTypeIsNumber",
     qwen3({{"model_type", "3"}}),
     {{Kind::error, 1, 16, "model_type: found 3, expected a name"}}},
    {"ArchitecturesAreNumber",
     qwen3({{"architectures", "5"}, {"model_type", ""}}),
     {{Kind::error, 6, 19,
       "architectures: found 5, expected a list of names"}}},
    {"ArchitectureIsNumber",
     qwen3({{"architectures", "[5]"}, {"model_type", ""}}),
     {{Kind::error, 6, 20, "architectures: found 5, expected a name"}}},
    {"NoNames",
     R"({"architectures": [],
 "num_experts": 4})",
     {{Kind::error, 1, 1,
       "found neither a model_type nor architectures, expected one of them"}}},
    {"MissingKey",
     qwen3({{"num_expert_per_tok", "2"}, {"num_experts_per_tok", ""}}),
     {{Kind::error, 1, 1,
       "found no key 'num_experts_per_tok', which a configuration of family "
       "'qwen3_moe' needs; did you mean 'num_expert_per_tok'?"}}},
    {"MissingKeys",
     R"({"model_type": "mixtral",
 "num_local_experts": 8})",
     {{Kind::error, 1, 1,
       "found no key 'num_hidden_layers', which a configuration of family "
       "'mixtral' needs"}}},
    {"MissingKeyOfTextModel",
     R"({"model_type": "qwen3_vl_moe",
 "text_config": {"model_type": "qwen3_vl_moe_text", "num_hidden_layers": 4, "num_experts": 8, "num_experts_per_tok": 2, "moe_intermediate_size": 96}})",
     {{Kind::error, 2, 17,
       "found no key 'hidden_size', which a configuration of family "
       "'qwen3_vl_moe' needs"}}},
    {"NumberIsText",
     qwen3({{"num_experts", R"("8")"}}),
     {{Kind::error, 4, 17,
       "num_experts (router.experts): found the string '8', expected an "
       "integer from 1 to 2147483647"}}},
    {"NumberIsFraction",
     qwen3({{"num_experts_per_tok", "2.5"}}),
     {{Kind::error, 5, 25,
       "num_experts_per_tok (router.top_k): found 2.5, expected an integer "
       "from 1 to 2147483647"}}},
    {"NumberIsObject",
     qwen3({{"hidden_size", "{}"}}),
     {{Kind::error, 2, 17,
       "hidden_size: found an object, expected a number, a name, true or "
       "false"}}},
    {"NumberIsNaN",
     qwen3({{"hidden_size", "NaN"}}),
     {{Kind::error, 2, 17,
       "hidden_size: found NaN, expected a number, a name, true or false"}}},
    {"NumberIsInfinity",
     qwen3({{"moe_intermediate_size", "-Infinity"}}),
     {{Kind::error, 6, 27,
       "moe_intermediate_size: found -Infinity, expected a number, a name, "
       "true or false"}}},
    {"NumberOverflows",
     qwen3({{"hidden_size", "3000000000"}}),
     {{Kind::error, 2, 17,
       "hidden_size (hidden): found 3000000000, expected an integer from 1 to "
       "2147483647"}}},
    {"FlagIsText",
     qwen3({{"norm_topk_prob", R"("yes")"}}),
     {{Kind::error, 7, 20,
       "norm_topk_prob (router.renormalize): found the string 'yes', expected "
       "true, false or an object"}}},
    {"FlagOfConditionIsText",
     deepseek({{"norm_topk_prob", R"("yes")"}}),
     {{Kind::error, 11, 20,
       "norm_topk_prob: found the string 'yes', expected true or false"}}},
    {"FactorIsFlag",
     deepseek({{"n_shared_experts", "true"}}),
     {{Kind::error, 7, 22, "n_shared_experts: found true, expected a number"}}},
    {"ProductIsNegative",
     deepseek({{"n_shared_experts", "-2"}}),
     {{Kind::error, 6, 27,
       "moe_intermediate_size * n_shared_experts (shared.intermediate): found "
       "-64, expected an integer from 0 to 2147483647"}}},
    {"ProductIsInfinite",
     deepseek(
         {{"n_shared_experts", "1e+300"}, {"moe_intermediate_size", "1e+300"}}),
     {{Kind::error, 6, 27,
       "moe_intermediate_size * n_shared_experts: found what is not finite, "
       "expected a number"}}},
};

MOE_BAD_INPUTS(BadConfig, inputs);
