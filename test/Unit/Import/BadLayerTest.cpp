//===- BadLayerTest.cpp - Contradictions about the rest -------------------===//
//
// Part of moe-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "BadInput.h"

using namespace moe;
using namespace moe::test;

// [S10] to [S18] of docs/Spec.md, without [S15], and [S24] to [S30]
static const BadInput inputs[] = {
    // [S10]
    {"TwoCapacities",
     rest(R"("capacity": {"factor": 1.25, "tokens": 64})"),
     {{Kind::error, 4, 31,
       "capacity.tokens: found 64, expected no second limit beside "
       "capacity.factor"},
      {Kind::note, 4, 15, "capacity.factor is given here"}}},
    {"PassThroughWeightedInput",
     "{\"hidden\": 64,\n \"router\": {\"experts\": 8, \"top_k\": 2, "
     "\"weight_on\": \"input\"},\n \"experts\": {\"intermediate\": 96},\n "
     "\"capacity\": {\"tokens\": 64, \"overflow\": \"pass_through\"}}",
     {{Kind::error, 4, 29,
       "capacity.overflow 'pass_through' needs router.weight_on to be "
       "'output', found 'input'"},
      {Kind::note, 2, 39, "router.weight_on is given here"}}},
    {"IdentityExpertsWeightedInput",
     router(
         R"("weight_on": "input", "null_experts": {"count": 1, "kind": "identity"})"),
     {{Kind::error, 3, 54,
       "router.null_experts.kind 'identity' needs router.weight_on to be "
       "'output', found 'input'"},
      {Kind::note, 3, 3, "router.weight_on is given here"}}},
    // [S11]
    {"ExpertsNotOnEp",
     rest(R"("parallel": {"grid": {"ep": 3}})"),
     {{Kind::error, 4, 24,
       "parallel.grid.ep: found 3, expected a divisor of 8, the number of "
       "experts, or parallel.placement"},
      {Kind::note, 2, 13, "router.experts is given here"}}},
    // [S31]
    {"PlacementOfOtherRanks",
     rest(R"("parallel": {"grid": {"ep": 2}, "placement": [[0]]})"),
     {{Kind::error, 4, 34,
       "parallel.placement: found the experts of 1 devices, expected those of "
       "2, parallel.grid.ep"}}},
    {"PlacementOfUnknownExpert",
     rest(R"("parallel": {"placement": [[0, 1, 2, 3, 4, 5, 6, 7, 8]]})"),
     {{Kind::error, 4, 15,
       "parallel.placement: found expert 8, expected at most 7"}}},
    {"PlacementTwiceOnOne",
     rest(R"("parallel": {"placement": [[0, 1, 2, 3, 4, 5, 6, 7, 3]]})"),
     {{Kind::error, 4, 15,
       "parallel.placement: found expert 3 twice on device 0, expected it once "
       "there"}}},
    {"PlacementNowhere",
     rest(
         R"("parallel": {"grid": {"ep": 2}, "placement": [[0, 1, 2, 3], [4, 6, 7]]})"),
     {{Kind::error, 4, 34,
       "parallel.placement: found no place for expert 5, expected one at "
       "least"}}},
    {"PlacementWithCapacity",
     rest(
         R"("capacity": {"tokens": 3}, "parallel": {"placement": [[0, 1, 2, 3, 4, 5, 6, 7]]})"),
     {{Kind::error, 4, 42,
       "parallel.placement: found a capacity too, expected none: an expert may "
       "have several places"}}},
    {"PlacementNoLists",
     rest(R"("parallel": {"placement": [0, 1]})"),
     {{Kind::error, 4, 28,
       "parallel.placement: found a list, expected a list of lists of integers "
       "from 0 to 2147483647"}}},
    // [S32]
    {"ChunksInARing",
     rest(
         R"("parallel": {"grid": {"ep": 2}, "exchange": "ring", "chunks": 2})"),
     {{Kind::error, 4, 54,
       "parallel.chunks 2 needs parallel.exchange to be 'all_to_all', found "
       "'ring'"},
      {Kind::note, 4, 34, "parallel.exchange is given here"}}},
    {"MoreChunksThanExperts",
     rest(R"("parallel": {"grid": {"ep": 4}, "chunks": 3})"),
     {{Kind::error, 4, 34,
       "parallel.chunks: found 3, expected at most 2, the experts that a "
       "device "
       "of ep has"},
      {Kind::note, 2, 13, "router.experts is given here"},
      {Kind::note, 4, 24, "parallel.grid.ep is given here"}}},
    {"MoreChunksThanPlaces",
     rest(
         R"("parallel": {"grid": {"ep": 2}, "placement": [[0, 1, 2], [3, 4, 5, 6, 7]], "chunks": 6})"),
     {{Kind::error, 4, 77,
       "parallel.chunks: found 6, expected at most 5, the experts that a "
       "device "
       "of ep has"},
      {Kind::note, 2, 13, "router.experts is given here"},
      {Kind::note, 4, 24, "parallel.grid.ep is given here"}}},
    {"TooManyChunks",
     rest(R"("parallel": {"chunks": 9})"),
     {{Kind::error, 4, 25,
       "parallel.chunks: found 9, expected an integer from 1 to 8"}}},
    {"MisspeltChunks",
     rest(R"("parallel": {"chunk": 2})"),
     {{Kind::error, 4, 15,
       "unknown key 'chunk' in 'parallel'; did you mean 'chunks'?"}}},
    {"ExpertsNotOnTp",
     rest(R"("parallel": {"experts_on": "tp", "grid": {"tp": 5}})"),
     {{Kind::error, 4, 44,
       "parallel.grid.tp: found 5, expected a divisor of 8, the number of "
       "experts"},
      {Kind::note, 2, 13, "router.experts is given here"},
      {Kind::note, 4, 15, "parallel.experts_on is given here"}}},
    {"ExpertsPerDevice",
     rest(R"("parallel": {"grid": {"ep": 4}, "experts_per_device": 4})"),
     {{Kind::error, 4, 34,
       "parallel.experts_per_device: found 4, expected 2, which is 8 experts "
       "on 4 devices"},
      {Kind::note, 2, 13, "router.experts is given here"},
      {Kind::note, 4, 24, "parallel.grid.ep is given here"}}},
    {"IntermediateNotOnTp",
     rest(R"("parallel": {"grid": {"tp": 5}})"),
     {{Kind::error, 4, 24,
       "parallel.grid.tp: found 5, expected a divisor of experts.intermediate, "
       "96"},
      {Kind::note, 3, 14, "experts.intermediate is given here"}}},
    {"TooManyDevices",
     rest(R"("parallel": {"grid": {"dp": 65536, "tp": 65536}})"),
     {{Kind::error, 4, 15,
       "parallel.grid: found more than 2147483647 devices, expected at most "
       "that many"},
      {Kind::error, 4, 37,
       "parallel.grid.tp: found 65536, expected a divisor of "
       "experts.intermediate, 96"},
      {Kind::note, 3, 14, "experts.intermediate is given here"}}},
    // [S12]
    {"LossWithHash",
     "{\"hidden\": 64,\n \"router\": {\"experts\": 8, \"top_k\": 2, "
     "\"strategy\": \"hash\"},\n \"experts\": {\"intermediate\": 96},\n "
     "\"losses\": {\"load_balance\": 0.01}}",
     {{Kind::error, 4, 13,
       "losses.load_balance needs router.strategy to be 'learned', "
       "'similarity', "
       "'table' or 'sparsemixer', found 'hash'"},
      {Kind::note, 2, 39, "router.strategy is given here"}}},
    {"LossesWithRandom",
     "{\"hidden\": 64,\n \"router\": {\"experts\": 8, \"top_k\": 2, "
     "\"strategy\": \"random\"},\n \"experts\": {\"intermediate\": 96},\n "
     "\"losses\": {\"importance\": 0.01}}",
     {{Kind::error, 4, 13,
       "losses.importance needs router.strategy to be 'learned', 'similarity', "
       "'table' or 'sparsemixer', found 'random'"},
      {Kind::note, 2, 39, "router.strategy is given here"}}},
    {"RouterZWithHash",
     "{\"hidden\": 64,\n \"router\": {\"experts\": 8, \"top_k\": 2, "
     "\"strategy\": \"hash\"},\n \"experts\": {\"intermediate\": 96},\n "
     "\"losses\": {\"router_z\": 0.01}}",
     {{Kind::error, 4, 13,
       "losses.router_z needs router.strategy to be 'learned', 'similarity', "
       "'table' or 'sparsemixer', found 'hash'"},
      {Kind::note, 2, 39, "router.strategy is given here"}}},
    // [S13]
    {"GateWithoutShared",
     rest(R"("shared": {"gate": "sigmoid"})"),
     {{Kind::error, 4, 13,
       "shared.gate 'sigmoid' needs shared.intermediate to be above 0, found 0 "
       "(the default)"}}},
    {"ScaleWithoutShared",
     rest(R"("shared": {"scale": 2})"),
     {{Kind::error, 4, 13,
       "shared.scale 2 needs shared.intermediate to be above 0, found 0 (the "
       "default)"}}},
    // [S34]
    {"Tf32OfRowsThatAreNone",
     rest(
         R"("dtype": {"activation": "bf16", "weights": "f32", "products": "tf32"})"),
     {{Kind::error, 4, 52,
       "dtype.products 'tf32' needs dtype.activation to be 'f32', found "
       "'bf16'"},
      {Kind::note, 4, 12, "dtype.activation is given here"}}},
    {"Tf32OfWeightsThatAreNone",
     rest(R"("dtype": {"weights": "f16", "products": "tf32"})"),
     {{Kind::error, 4, 30,
       "dtype.products 'tf32' needs dtype.weights to be 'f32', found 'f16'"},
      {Kind::note, 4, 12, "dtype.weights is given here"}}},
    // [S28]
    {"NormWithoutLatent",
     experts(R"("latent_norm": 1e-6)"),
     {{Kind::error, 4, 3,
       "experts.latent_norm needs experts.latent to be above 0, found 0 (the "
       "default)"}}},
    {"NormWithoutEps",
     experts(R"("latent": 8, "latent_norm": 0)"),
     {{Kind::error, 4, 31,
       "experts.latent_norm: found 0, expected a number above 0"}}},
    // [S29]
    {"GateUpOfMlp",
     experts(R"("form": "mlp", "gate_up": "concatenated")"),
     {{Kind::error, 4, 18,
       "experts.gate_up 'concatenated' needs experts.form to be 'glu', found "
       "'mlp'"},
      {Kind::note, 4, 3, "experts.form is given here"}}},
    {"SharedGateUpOfMlp",
     "{\"hidden\": 64,\n \"router\": {\"experts\": 8, \"top_k\": 2},\n "
     "\"experts\": {\"intermediate\": 96, \"form\": \"mlp\"},\n "
     "\"shared\": {\"intermediate\": 8, \"gate_up\": \"interleaved\"}}",
     {{Kind::error, 4, 32,
       "shared.gate_up 'interleaved' needs experts.form to be 'glu', found "
       "'mlp'"},
      {Kind::note, 3, 34, "experts.form is given here"}}},
    // [S30]
    {"BlockOfBothHalves",
     experts(
         R"("gate_up": "concatenated", "quantization": {"kind": "int8", "block": [64, 0]})"),
     {{Kind::error, 4, 3,
       "experts.gate_up 'concatenated' needs experts.quantization.block to be "
       "of outputs that divide 96, found [64, 0]"},
      {Kind::note, 4, 63, "experts.quantization.block is given here"}}},
    {"OddBlockByTurns",
     rest(
         R"("shared": {"intermediate": 8, "gate_up": "interleaved", "quantization": {"kind": "int8", "block": [3, 0]}})"),
     {{Kind::error, 4, 32,
       "shared.gate_up 'interleaved' needs shared.quantization.block to be of "
       "0, 1 or an even number of outputs, found [3, 0]"},
      {Kind::note, 4, 91, "shared.quantization.block is given here"}}},
    // [S14]
    {"FunctionTwice",
     rest(R"("functions": ["forward", "forward"])"),
     {{Kind::error, 4, 27,
       "functions: found 'forward' a second time, expected each function once"},
      {Kind::note, 4, 16, "first found here"}}},
    {"StepWithoutDynamic",
     rest(R"("functions": ["forward", "step"])"),
     {{Kind::error, 4, 2,
       "functions needs router.load_balancing to be 'dynamic' for 'step', "
       "found 'token_choice' (the default)"}}},
    // [S16]
    {"QuantizeWithoutFormat",
     rest(
         R"("functions": ["quantize"], "averaging": {"compression": {"kind": "none"}})"),
     {{Kind::error, 4, 2,
       "functions needs averaging.compression.kind to be a format of blocks, "
       "found 'none'"},
      {Kind::note, 4, 59, "averaging.compression.kind is given here"}}},
    {"Mxfp4Block",
     rest(R"("averaging": {"compression": {"kind": "mxfp4", "block": 64}})"),
     {{Kind::error, 4, 32,
       "averaging.compression.kind 'mxfp4' needs averaging.compression.block "
       "to be 32, found 64"},
      {Kind::note, 4, 49, "averaging.compression.block is given here"}}},
    {"QuantizeToFp16",
     rest(
         R"("functions": ["quantize"], "averaging": {"compression": {"kind": "fp16"}})"),
     {{Kind::error, 4, 2,
       "functions needs averaging.compression.kind to be a format of blocks, "
       "found 'fp16'"},
      {Kind::note, 4, 59, "averaging.compression.kind is given here"}}},
    {"Int4Block",
     rest(R"("averaging": {"compression": {"kind": "int4", "block": 63}})"),
     {{Kind::error, 4, 32,
       "averaging.compression.kind 'int4' needs averaging.compression.block "
       "to be an even size, found 63"},
      {Kind::note, 4, 48, "averaging.compression.block is given here"}}},
    {"HugeBlock",
     rest(R"("averaging": {"compression": {"block": 1048577}})"),
     {{Kind::error, 4, 41,
       "averaging.compression.block: found 1048577, expected an integer from 1 "
       "to 1048576"}}},
    // [S17]
    {"NameWithDash",
     rest(R"("name": "qwen3-30b")"),
     {{Kind::error, 4, 2,
       "name: found 'qwen3-30b', expected a letter and then letters, digits "
       "and '_', 64 at most"}}},
    {"NameOfTheRuntime",
     rest(R"("name": "moe_layer")"),
     {{Kind::error, 4, 2,
       "name: found 'moe_layer', expected a name other than 'moe' that does "
       "not begin with 'moe_'"}}},
    {"NameOfAType",
     rest(R"("name": "size")"),
     {{Kind::error, 4, 2,
       "name: found 'size', expected a name that C does not use already"}}},
    {"NameOfFunctions",
     rest(R"("name": "pthread")"),
     {{Kind::error, 4, 2,
       "name: found 'pthread', expected a name that C does not use already"}}},
    {"NameOfAHeader",
     rest(R"("name": "math")"),
     {{Kind::error, 4, 2,
       "name: found 'math', expected a name that C does not use already"}}},
    {"NameFromDigit",
     rest(R"("name": "3b")"),
     {{Kind::error, 4, 2,
       "name: found '3b', expected a letter and then letters, digits and '_', "
       "64 at most"}}},
    {"NameEmpty",
     rest(R"("name": "")"),
     {{Kind::error, 4, 2,
       "name: found '', expected a letter and then letters, digits and '_', 64 "
       "at most"}}},
    // [S18]
    {"HugeExperts",
     "{\"hidden\": 65536,\n \"router\": {\"experts\": 1024, \"top_k\": 2},\n "
     "\"experts\": {\"intermediate\": 65536}}",
     {{Kind::error, 3, 14,
       "experts.intermediate: found weight 'experts.up.weight' of 1024 x 65536 "
       "x 65536 elements, expected fewer than 2^40"}}},
    {"HugeGateUp",
     "{\"hidden\": 65536,\n \"router\": {\"experts\": 1024, \"top_k\": 2},\n "
     "\"experts\": {\"intermediate\": 8192, \"gate_up\": \"interleaved\"}}",
     {{Kind::error, 3, 14,
       "experts.intermediate: found weight 'experts.gate_up.weight' of 1024 x "
       "16384 x 65536 elements, expected fewer than 2^40"}}},
    {"HugeSharedGateUp",
     "{\"hidden\": 1048576,\n \"router\": {\"experts\": 1, \"top_k\": 1},\n "
     "\"experts\": {\"intermediate\": 1},\n "
     "\"shared\": {\"intermediate\": 524288, \"gate_up\": \"concatenated\"}}",
     {{Kind::error, 4, 13,
       "shared.intermediate: found weight 'shared.gate_up.weight' of 1048576 x "
       "1048576 elements, expected fewer than 2^40"}}},
    {"HugeShared",
     "{\"hidden\": 1024,\n \"router\": {\"experts\": 8, \"top_k\": 2},\n "
     "\"experts\": {\"intermediate\": 96},\n \"shared\": {\"intermediate\": "
     "2147483647}}",
     {{Kind::error, 4, 13,
       "shared.intermediate: found weight 'shared.up.weight' of 2147483647 x "
       "1024 elements, expected fewer than 2^40"}}},
    {"HugeRouter",
     "{\"hidden\": 1048576,\n \"router\": {\"experts\": 8, \"top_k\": 2, "
     "\"null_experts\": {\"count\": 2147483647}},\n \"experts\": "
     "{\"intermediate\": 1}}",
     {{Kind::error, 2, 13,
       "router.experts: found weight 'router.weight' of 2147483655 x 1048576 "
       "elements, expected fewer than 2^40"}}},
    {"HugeLatent",
     "{\"hidden\": 1048576,\n \"router\": {\"experts\": 1, \"top_k\": 1},\n "
     "\"experts\": {\"intermediate\": 1, \"latent\": 1048576}}",
     {{Kind::error, 3, 33,
       "experts.latent: found weight 'latent.down.weight' of 1048576 x 1048576 "
       "elements, expected fewer than 2^40"}}},
    {"HugeHiddenLayer",
     "{\"hidden\": 1048576,\n \"router\": {\"experts\": 1, \"top_k\": 1, "
     "\"projection\": {\"layers\": 2}},\n \"experts\": {\"intermediate\": 1}}",
     {{Kind::error, 2, 39,
       "router.projection.hidden: found weight 'router.hidden.weight' of "
       "1048576 x 1048576 elements, expected fewer than 2^40"}}},
    {"HugeChoice",
     "{\"hidden\": 1,\n \"router\": {\"experts\": 2147483647, \"top_k\": "
     "2147483647, \"null_experts\": {\"count\": 2147483647}},\n \"experts\": "
     "{\"intermediate\": 1}}",
     {{Kind::error, 2, 36,
       "router.top_k: found 2147483647 times 4294967294 experts, expected "
       "fewer than 2^62 pairs for a token"}}},
    // [S24]
    {"Mxfp4WeightBlock",
     experts(R"("quantization": {"kind": "mxfp4", "block": [1, 64]})"),
     {{Kind::error, 4, 20,
       "experts.quantization.kind 'mxfp4' needs experts.quantization.block to "
       "be [1, 32], found [1, 64]"},
      {Kind::note, 4, 37, "experts.quantization.block is given here"}}},
    {"Nvfp4WeightBlock",
     rest(
         R"("shared": {"intermediate": 32, "quantization": {"kind": "nvfp4", "block": [0, 0]}})"),
     {{Kind::error, 4, 50,
       "shared.quantization.kind 'nvfp4' needs shared.quantization.block to be "
       "[1, 16], found [0, 0]"},
      {Kind::note, 4, 67, "shared.quantization.block is given here"}}},
    {"OddInt4Block",
     experts(R"("quantization": {"kind": "int4", "block": [1, 7]})"),
     {{Kind::error, 4, 20,
       "experts.quantization.kind 'int4' needs experts.quantization.block to "
       "be even along the inputs, found [1, 7]"},
      {Kind::note, 4, 36, "experts.quantization.block is given here"}}},
    // [S25]
    {"ZeroPointsOfInt8",
     experts(R"("quantization": {"kind": "int8", "zero_points": true})"),
     {{Kind::error, 4, 36,
       "experts.quantization.zero_points needs experts.quantization.kind to be "
       "'int4', found 'int8'"},
      {Kind::note, 4, 20, "experts.quantization.kind is given here"}}},
    // [S33]
    {"CodesTimesInt8",
     experts(R"("quantization": {"kind": "int8", "activations": "fp8_e4m3"})"),
     {{Kind::error, 4, 36,
       "experts.quantization.activations 'fp8_e4m3' needs "
       "experts.quantization.kind to be 'fp8_e4m3', found 'int8'"},
      {Kind::note, 4, 20, "experts.quantization.kind is given here"}}},
    {"CodesInOneBlock",
     experts(
         R"("quantization": {"kind": "fp8_e4m3", "block": [0, 0], "activations": "fp8_e4m3"})"),
     {{Kind::error, 4, 57,
       "experts.quantization.activations 'fp8_e4m3' needs "
       "experts.quantization.block to be of 1 to 1048576 inputs, found [0, 0]"},
      {Kind::note, 4, 40, "experts.quantization.block is given here"}}},
    {"OtherCodes",
     experts(R"("quantization": {"kind": "fp8_e4m3", "activations": "fp8"})"),
     {{Kind::error, 4, 55,
       "experts.quantization.activations: unknown value 'fp8', expected "
       "'none' or 'fp8_e4m3'"}}},
    // [S26]
    {"OddInt4",
     "{\"hidden\": 64,\n \"router\": {\"experts\": 8, \"top_k\": 2},\n "
     "\"experts\": {\"intermediate\": 97, \"quantization\": {\"kind\": "
     "\"int4\"}}}",
     {{Kind::error, 3, 51,
       "experts.quantization.kind 'int4' needs experts.intermediate to be a "
       "multiple of 2, found 97"},
      {Kind::note, 3, 14, "experts.intermediate is given here"}}},
    {"RaggedMxfp4",
     "{\"hidden\": 72,\n \"router\": {\"experts\": 8, \"top_k\": 2},\n "
     "\"experts\": {\"intermediate\": 96, \"quantization\": {\"kind\": "
     "\"mxfp4\"}}}",
     {{Kind::error, 3, 51,
       "experts.quantization.kind 'mxfp4' needs hidden to be a multiple of 32, "
       "found 72"},
      {Kind::note, 1, 2, "hidden is given here"}}},
    {"RaggedLatentNvfp4",
     experts(R"("latent": 40, "quantization": {"kind": "nvfp4"})"),
     {{Kind::error, 4, 34,
       "experts.quantization.kind 'nvfp4' needs experts.latent to be a "
       "multiple of 16, found 40"},
      {Kind::note, 4, 3, "experts.latent is given here"}}},
    {"RaggedShared",
     rest(
         R"("shared": {"intermediate": 24, "quantization": {"kind": "nvfp4"}})"),
     {{Kind::error, 4, 50,
       "shared.quantization.kind 'nvfp4' needs shared.intermediate to be a "
       "multiple of 16, found 24"},
      {Kind::note, 4, 13, "shared.intermediate is given here"}}},
    // [S27]
    {"QuantizationWithoutShared",
     rest(R"("shared": {"quantization": {"kind": "fp8_e4m3"}})"),
     {{Kind::error, 4, 30,
       "shared.quantization.kind 'fp8_e4m3' needs shared.intermediate to be "
       "above 0, found 0 (the default)"}}},
};

MOE_BAD_INPUTS(BadLayer, inputs);
