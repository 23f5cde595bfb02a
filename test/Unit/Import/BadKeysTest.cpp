//===- BadKeysTest.cpp - Unknown keys, wrong types and ranges -------------===//
//
// Part of moe-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "BadInput.h"

using namespace moe;
using namespace moe::test;

// [S2]
static const BadInput inputs[] = {
    {"NotAnObject",
     R"([1, 2])",
     {{Kind::error, 1, 1, "found a list, expected an object"}}},
    {"NoKeys",
     R"({})",
     {{Kind::error, 1, 1,
       "found no key 'hidden', expected an integer from 1 to 2147483647"},
      {Kind::error, 1, 1,
       "found no key 'router.experts', expected an integer from 1 to "
       "2147483647"},
      {Kind::error, 1, 1,
       "found no key 'router.top_k', expected an integer from 1 to 2147483647"},
      {Kind::error, 1, 1,
       "found no key 'experts.intermediate', expected an integer from 1 to "
       "2147483647"}}},
    {"NoTopK",
     R"({"hidden": 64, "router": {"experts": 8}, "experts": {"intermediate": 96}})",
     {{Kind::error, 1, 16,
       "found no key 'router.top_k', expected an integer from 1 to "
       "2147483647"}}},
    {"HuggingFace",
     R"({"model_type": "mixtral", "num_hidden_layers": 2, "num_local_experts": 8, "num_experts_per_tok": 2, "intermediate_size": 96})",
     {{Kind::error, 1, 1,
       "found no key 'hidden_size', which a configuration of family 'mixtral' "
       "needs"}}},
    {"UnknownKey",
     rest(R"("hiden": 32)"),
     {{Kind::error, 4, 2, "unknown key 'hiden'; did you mean 'hidden'?"}}},
    {"UnknownRequiredKey",
     R"({"hiden": 64, "router": {"experts": 8, "top_k": 2}, "experts": {"intermediate": 96}})",
     {{Kind::error, 1, 2, "unknown key 'hiden'; did you mean 'hidden'?"}}},
    {"UnknownNestedKey",
     router(R"("renormalise": true)"),
     {{Kind::error, 3, 3,
       "unknown key 'renormalise' in 'router'; did you mean 'renormalize'?"}}},
    {"UnknownDeepKey",
     router(R"("projection": {"layer": 2})"),
     {{Kind::error, 3, 18,
       "unknown key 'layer' in 'router.projection'; did you mean 'layers'?"}}},
    {"UnknownKeyNearNothing",
     rest(R"("parallel": {"grid": {"quantum": 1}})"),
     {{Kind::error, 4, 24,
       "unknown key 'quantum' in 'parallel.grid', expected 'dp', 'ep' or "
       "'tp'"}}},
    {"KeyOfAnotherObject",
     rest(R"("softcap": 30)"),
     {{Kind::error, 4, 2, "unknown key 'softcap', expected it in 'router'"}}},
    {"KeyOfTheDocument",
     experts(R"("hidden": 64)"),
     {{Kind::error, 4, 3,
       "unknown key 'hidden' in 'experts', expected it outside of any "
       "object"}}},
    {"DottedKey",
     rest(R"("router.scale": 2)"),
     {{Kind::error, 4, 2,
       "unknown key 'router.scale'; expected objects inside one another "
       "instead of dots"}}},
    {"VersionTwo",
     rest(R"("moe_spec": 2)"),
     {{Kind::error, 4, 14, "moe_spec: found 2, expected 1"}}},
    {"NegativeSize",
     experts(R"("latent": -1)"),
     {{Kind::error, 4, 13,
       "experts.latent: found -1, expected an integer from 0 to 2147483647"}}},
    {"ZeroSize",
     R"({"hidden": 0, "router": {"experts": 8, "top_k": 2}, "experts": {"intermediate": 96}})",
     {{Kind::error, 1, 12,
       "hidden: found 0, expected an integer from 1 to 2147483647"}}},
    {"FractionalSize",
     R"({"hidden": 64.5, "router": {"experts": 8, "top_k": 2}, "experts": {"intermediate": 96}})",
     {{Kind::error, 1, 12,
       "hidden: found 64.5, expected an integer from 1 to 2147483647"}}},
    {"HugeSize",
     R"({"hidden": 100000000000000000000, "router": {"experts": 8, "top_k": 2}, "experts": {"intermediate": 96}})",
     {{Kind::error, 1, 12,
       "hidden: found 100000000000000000000, expected an integer from 1 to "
       "2147483647"}}},
    {"SizeBeyond31Bits",
     rest(R"("capacity": {"tokens": 2147483648})"),
     {{Kind::error, 4, 25,
       "capacity.tokens: found 2147483648, expected an integer from 1 to "
       "2147483647"}}},
    {"TextForSize",
     rest(R"("capacity": {"tokens": "64"})"),
     {{Kind::error, 4, 25,
       "capacity.tokens: found the string '64', expected an integer from 1 to "
       "2147483647"}}},
    {"NullForFlag",
     experts(R"("bias": null)"),
     {{Kind::error, 4, 11,
       "experts.bias: found null, expected true or false"}}},
    {"NumberForFlag",
     experts(R"("bias": 1)"),
     {{Kind::error, 4, 11, "experts.bias: found 1, expected true or false"}}},
    {"ListForObject",
     rest(R"("losses": [0.1])"),
     {{Kind::error, 4, 12, "losses: found a list, expected an object"}}},
    {"NumberForName",
     rest(R"("name": 7)"),
     {{Kind::error, 4, 10,
       "name: found 7, expected a string of at most 64 bytes"}}},
    {"NumberForFormula",
     experts(R"("activation": 1)"),
     {{Kind::error, 4, 17,
       "experts.activation: found 1, expected the name of an activation or a "
       "formula in quotes"}}},
    {"ObjectForScore",
     router(R"("score": {})"),
     {{Kind::error, 3, 12,
       "router.score: found an object, expected the name of a score or a "
       "formula in quotes"}}},
    {"TextForRenormalize",
     router(R"("renormalize": "yes")"),
     {{Kind::error, 3, 18,
       "router.renormalize: found the string 'yes', expected true, false or an "
       "object"}}},
    {"UnknownRenormalizeMode",
     router(R"("renormalize": {"mode": "max"})"),
     {{Kind::error, 3, 27,
       "router.renormalize.mode: unknown value 'max', expected 'add' or "
       "'clamp'"}}},
    {"NegativeSoftcap",
     router(R"("softcap": -1)"),
     {{Kind::error, 3, 14,
       "router.softcap: found -1, expected a number from 0 on"}}},
    {"ZeroTemperature",
     router(R"("temperature": 0)"),
     {{Kind::error, 3, 18,
       "router.temperature: found 0, expected a number above 0"}}},
    {"NegativeSeed",
     router(R"("seed": -1)"),
     {{Kind::error, 3, 11,
       "router.seed: found -1, expected an integer from 0 to "
       "9223372036854775807"}}},
    {"SeedBeyond63Bits",
     router(R"("seed": 9223372036854775808)"),
     {{Kind::error, 3, 11,
       "router.seed: found 9223372036854775808, expected an integer from 0 to "
       "9223372036854775807"}}},
    {"UnknownStrategy",
     router(R"("strategy": "lerned")"),
     {{Kind::error, 3, 15,
       "router.strategy: unknown value 'lerned', expected 'learned', 'hash', "
       "'random', 'load_based', 'similarity', 'table' or 'sparsemixer'; did "
       "you mean 'learned'?"}}},
    {"UnknownType",
     rest(R"("dtype": {"weights": "float32"})"),
     {{Kind::error, 4, 23,
       "dtype.weights: unknown value 'float32', expected 'f32', 'bf16' or "
       "'f16'"}}},
    {"ThreeLayers",
     router(R"("projection": {"layers": 3})"),
     {{Kind::error, 3, 28,
       "router.projection.layers: found 3, expected 1 or 2"}}},
    {"GroupsWithoutKeep",
     router(R"("groups": {"count": 4})"),
     {{Kind::error, 3, 3,
       "found no key 'router.groups.keep', expected an integer from 1 to "
       "2147483647"}}},
    {"NullExpertsWithoutCount",
     router(R"("null_experts": {"kind": "skip"})"),
     {{Kind::error, 3, 3,
       "found no key 'router.null_experts.count', expected an integer from 0 "
       "to 2147483647"}}},
    {"NoFunctions",
     rest(R"("functions": [])"),
     {{Kind::error, 4, 15,
       "functions: found an empty list, expected a list with any of 'forward', "
       "'step', 'quantize', 'dequantize', 'accumulate', 'average' or "
       "'average_group'"}}},
    {"UnknownFunction",
     rest(R"("functions": ["foward"])"),
     {{Kind::error, 4, 16,
       "functions: unknown value 'foward', expected 'forward', 'step', "
       "'quantize', 'dequantize', 'accumulate', 'average' or "
       "'average_group'; did you mean "
       "'forward'?"}}},
    {"NumberForFunction",
     rest(R"("functions": ["forward", 1])"),
     {{Kind::error, 4, 27,
       "functions: found 1, expected 'forward', 'step', 'quantize', "
       "'dequantize', 'accumulate', 'average' or 'average_group'"}}},
    {"NegativeLayer",
     rest(R"("weights": {"layer": -1})"),
     {{Kind::error, 4, 23,
       "weights.layer: found -1, expected an integer from 0 to 2147483647"}}},
    {"QuantizationWithoutKind",
     experts(R"("quantization": {"block": [1, 128]})"),
     {{Kind::error, 4, 3,
       "found no key 'experts.quantization.kind', expected 'none', 'fp8_e4m3', "
       "'int8', 'int4', 'mxfp4' or 'nvfp4'"}}},
    {"BlockOfOne",
     experts(R"("quantization": {"kind": "int8", "block": [128]})"),
     {{Kind::error, 4, 45,
       "experts.quantization.block: found a list, expected a list of two "
       "integers from 0 to 2147483647"}}},
    {"BlockOfText",
     experts(R"("quantization": {"kind": "int8", "block": 128})"),
     {{Kind::error, 4, 45,
       "experts.quantization.block: found 128, expected a list of two integers "
       "from 0 to 2147483647"}}},
    {"NegativeBlock",
     experts(R"("quantization": {"kind": "int8", "block": [128, -1]})"),
     {{Kind::error, 4, 51,
       "experts.quantization.block: found -1, expected an integer from 0 to "
       "2147483647"}}},
};

MOE_BAD_INPUTS(BadKeys, inputs);
