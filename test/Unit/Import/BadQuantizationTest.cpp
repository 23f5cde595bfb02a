//===- BadQuantizationTest.cpp - Quantised models that are refused ------===//
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
    {"UnknownQuantization",
     qwen3({{"quantization_config",
             R"({"quant_method": "bitsandbytes", "load_in_4bit": true})"}}),
     {{Kind::error, 7, 42,
       "quantization_config.quant_method: found the string 'bitsandbytes', "
       "expected 'fp8', 'fbgemm_fp8', 'mxfp4', 'gptq', 'awq', 'modelopt' or "
       "'compressed-tensors'"}}},
    {"MisspeltQuantization",
     qwen3({{"quantization_config", R"({"quant_method": "gtpq"})"}}),
     {{Kind::error, 7, 42,
       "quantization_config.quant_method: found the string 'gtpq', expected "
       "'fp8', 'fbgemm_fp8', 'mxfp4', 'gptq', 'awq', 'modelopt' or "
       "'compressed-tensors'; did you mean 'gptq'?"}}},
    {"QuantizationIsNone",
     qwen3({{"quantization_config", R"({"bits": 4})"}}),
     {{Kind::error, 7, 25,
       "quantization_config: found no key 'quant_method', expected the name of "
       "a method"}}},
    {"QuantizationIsText",
     qwen3({{"quantization_config", R"("fp8")"}}),
     {{Kind::error, 7, 25,
       "quantization_config: found the string 'fp8', expected an object"}}},
    {"OrderedInputs",
     qwen3(
         {{"quantization_config",
           R"({"quant_method": "gptq", "bits": 4, "group_size": 32, "desc_act": true})"}}),
     {{Kind::error, 7, 91,
       "quantization_config.desc_act: found true, expected false; inputs in "
       "another order are not known"}}},
    {"EightBits",
     qwen3({{"quantization_config",
             R"({"quant_method": "gptq", "bits": 8, "group_size": 32})"}}),
     {{Kind::error, 7, 58,
       "quantization_config.bits: found 8, expected 4; no other width is "
       "known"}}},
    {"GroupSizeIsZero",
     qwen3({{"quantization_config",
             R"({"quant_method": "awq", "bits": 4, "group_size": 0})"}}),
     {{Kind::error, 7, 74,
       "quantization_config.group_size: found 0, expected the size of a group, "
       "or -1"}}},
    {"OtherLayout",
     qwen3(
         {{"quantization_config",
           R"({"quant_method": "awq", "bits": 4, "group_size": 32, "version": "gemv"})"}}),
     {{Kind::error, 7, 89,
       "quantization_config.version: found the string 'gemv', expected the "
       "string 'gemm'; no other layout is known"}}},
    {"FormatOfEightBits",
     qwen3({{"quantization_config",
             R"({"quant_method": "fp8", "fmt": "e5m2"})"}}),
     {{Kind::error, 7, 56,
       "quantization_config.fmt: found the string 'e5m2', expected the string "
       "'e4m3'; no other format of 8 bits is known"}}},
    {"BlockIsNumber",
     qwen3({{"quantization_config",
             R"({"quant_method": "fp8", "weight_block_size": 128})"}}),
     {{Kind::error, 7, 70,
       "quantization_config.weight_block_size: found 128, expected a list of "
       "two sizes of blocks"}}},
    {"WidthIsNoMultiple",
     qwen3({{"moe_intermediate_size", "48"},
            {"quantization_config", R"({"quant_method": "mxfp4"})"}}),
     {{Kind::error, 7, 26,
       "quantization_config.quant_method (experts.quantization.kind) 'mxfp4' "
       "needs moe_intermediate_size (experts.intermediate) to be a multiple of "
       "32, found 48"},
      {Kind::note, 6, 2,
       "moe_intermediate_size (experts.intermediate) is given here"}}},
    {"UnknownAlgorithm",
     qwen3({{"quantization_config",
             R"({"quant_method": "modelopt", "quant_algo": "W4A8_AWQ"})"}}),
     {{Kind::error, 7, 68,
       "quantization_config.quant_algo: found the string 'W4A8_AWQ', expected "
       "'FP8' or 'NVFP4'"}}},
    {"NoAlgorithm",
     qwen3({{"quantization_config", R"({"quant_method": "modelopt"})"}}),
     {{Kind::error, 7, 25,
       "quantization_config: found no key 'quant_algo', expected 'FP8' or "
       "'NVFP4'"}}},
    {"NoGroupOfQuantization",
     qwen3(
         {{"quantization_config",
           R"({"quant_method": "compressed-tensors", "config_groups": {}})"}}),
     {{Kind::error, 7, 81,
       "quantization_config: found no group in 'config_groups', expected "
       "one"}}},
    {"TwoGroupsOfQuantization",
     qwen3(
         {{"quantization_config",
           R"({"quant_method": "compressed-tensors", "format": "float-quantized", "config_groups": {"group_0": {"weights": {"num_bits": 8, "type": "float"}}, "group_1": {"weights": {"num_bits": 4, "type": "int"}}}})"}}),
     {{Kind::error, 7, 169,
       "quantization_config.config_groups: found a second group, expected all "
       "weights to be quantised in one way"}}},
    {"GroupWithoutWeights",
     qwen3(
         {{"quantization_config",
           R"({"quant_method": "compressed-tensors", "config_groups": {"group_0": {"weights": null}}})"}}),
     {{Kind::error, 7, 93,
       "quantization_config.config_groups.group_0: found no object 'weights', "
       "expected how they are quantised"}}},
    {"DividingGlobalScale",
     qwen3(
         {{"quantization_config",
           R"({"quant_method": "compressed-tensors", "format": "nvfp4-pack-quantized", "config_groups": {"group_0": {"weights": {"num_bits": 4, "type": "float", "strategy": "tensor_group", "group_size": 16}}}})"}}),
     {{Kind::error, 7, 74,
       "quantization_config.config_groups.group_0.weights: found 4 bits of "
       "type 'float' in format 'nvfp4-pack-quantized', expected 8 bits that "
       "are not packed, or 'pack-quantized' int or 'mxfp4-pack-quantized' "
       "float of 4"}}},
    {"UnknownStrategy",
     qwen3(
         {{"quantization_config",
           R"({"quant_method": "compressed-tensors", "format": "float-quantized", "config_groups": {"group_0": {"weights": {"num_bits": 8, "type": "float", "strategy": "token"}}}})"}}),
     {{Kind::error, 7, 179,
       "quantization_config.config_groups.group_0.weights.strategy: found the "
       "string 'token', expected 'tensor', 'channel', 'group' or 'block'"}}},
    {"AsymmetricInteger",
     qwen3(
         {{"quantization_config",
           R"({"quant_method": "compressed-tensors", "format": "pack-quantized", "config_groups": {"group_0": {"weights": {"num_bits": 4, "type": "int", "strategy": "group", "group_size": 32, "symmetric": false}}}})"}}),
     {{Kind::error, 7, 216,
       "quantization_config.config_groups.group_0.weights.symmetric: found "
       "false, expected true; zero points are not known"}}},
    {"ExceptionsAreText",
     qwen3(
         {{"quantization_config",
           R"({"quant_method": "fp8", "modules_to_not_convert": "lm_head"})"}}),
     {{Kind::error, 7, 75,
       "quantization_config.modules_to_not_convert: found the string "
       "'lm_head', expected a list of modules"}}},
    {"UnknownExpression",
     qwen3(
         {{"quantization_config",
           R"j({"quant_method": "fp8", "modules_to_not_convert": ["re:.*(?=x)"]})j"}}),
     {{Kind::error, 7, 76,
       "quantization_config.modules_to_not_convert: found the string "
       "'re:.*(?=x)', expected a module's name or a simple expression for "
       "some"}}},
};

MOE_BAD_INPUTS(BadQuantization, inputs);
