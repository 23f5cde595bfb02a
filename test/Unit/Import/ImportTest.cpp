//===- ImportTest.cpp - Specs that are accepted ---------------------------===//
//
// Part of moe-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "BadInput.h"

#include <filesystem>
#include <fstream>
#include <sstream>

using namespace moe;
using namespace moe::test;

/// The spec of a text that has to be good.
static Spec read(const std::string &text) {
  ImportResult result = importSpec(text);
  EXPECT_EQ(result.diagnostics, std::vector<Diagnostic>()) << text;
  return result.spec.value_or(Spec());
}

static std::string contents(const std::filesystem::path &path) {
  std::ifstream file(path, std::ios::binary);
  std::stringstream text;
  text << file.rdbuf();
  return text.str();
}

static void expectFixedPoint(const Spec &spec) {
  std::string printed = printSpec(spec);
  EXPECT_EQ(printSpec(read(printed)), printed);
}

TEST(Import, MinimalSpecHasEveryDefault) {
  Spec spec = read(rest(""));
  EXPECT_EQ(spec.name, "layer");
  EXPECT_EQ(spec.hidden, 64);
  EXPECT_EQ(spec.router.experts, 8);
  EXPECT_EQ(spec.router.topK, 2);
  EXPECT_EQ(spec.router.strategy, Strategy::learned);
  EXPECT_EQ(spec.router.score, Score::softmax);
  EXPECT_TRUE(spec.router.scoreFunction.empty());
  EXPECT_EQ(spec.router.renormalize, Renormalize::none);
  EXPECT_EQ(spec.router.projection.layers, 1);
  EXPECT_EQ(spec.router.projection.hidden, 64);
  EXPECT_EQ(spec.router.projection.activation.text, "relu");
  EXPECT_FALSE(spec.router.projection.activation.empty());
  EXPECT_EQ(spec.router.scale, 1.0);
  EXPECT_EQ(spec.router.groups.count, 1);
  EXPECT_EQ(spec.router.balancing, Balancing::token_choice);
  EXPECT_EQ(spec.router.nullExperts, 0);
  EXPECT_EQ(spec.experts.form, ExpertForm::glu);
  EXPECT_EQ(spec.experts.activation.text, "silu");
  EXPECT_FALSE(spec.experts.activation.empty());
  EXPECT_FALSE(spec.capacity.limited());
  EXPECT_EQ(spec.dtype.weights, DType::f32);
  EXPECT_EQ(spec.parallel.expertsPerDevice, 8);
  EXPECT_EQ(spec.averaging.compression, Compression::blockwise_int8);
  EXPECT_EQ(spec.averaging.block, 64);
  EXPECT_EQ(spec.functions, std::vector<Function>{Function::forward});
  expectFixedPoint(spec);
}

TEST(Import, DefaultsThatFollowOtherKeys) {
  Spec spec = read(rest("\"dtype\": {\"activation\": \"bf16\"}, "
                        "\"parallel\": {\"grid\": {\"ep\": 4}}"));
  EXPECT_EQ(spec.dtype.weights, DType::bf16);
  EXPECT_EQ(spec.dtype.router, DType::bf16);
  EXPECT_EQ(spec.parallel.expertsPerDevice, 2);
  EXPECT_EQ(spec.dtype.products, Factors::f32);
  spec = read(rest(R"("dtype": {"products": "tf32"})"));
  EXPECT_EQ(spec.dtype.products, Factors::tf32);
  spec = read(rest(R"("dtype": {"weights": "f16"})"));
  EXPECT_EQ(spec.dtype.router, DType::f16);
  spec = read(rest(R"("shared": {"intermediate": 8})"));
  EXPECT_EQ(spec.shared.activation.text, "silu");
  EXPECT_FALSE(spec.shared.activation.empty());
  spec = read(rest("\"parallel\": {\"grid\": {\"ep\": 3, \"tp\": 8}, "
                   "\"experts_on\": \"tp\"}"));
  EXPECT_EQ(spec.parallel.expertsPerDevice, 1);
  spec = read(router("\"load_balancing\": \"dynamic\""));
  EXPECT_TRUE(spec.router.selectionBias);
  spec = read(router("\"renormalize\": {}"));
  EXPECT_EQ(spec.router.renormalize, Renormalize::add);
  EXPECT_EQ(spec.router.renormalizeEps, 0.0);
  spec = read(router("\"renormalize\": true"));
  EXPECT_EQ(spec.router.renormalize, Renormalize::add);
}

TEST(Import, RouterVariants) {
  Spec spec = read(router("\"projection\": {\"form\": \"recurrent\", "
                          "\"eps\": 1e-5, \"chained\": true}"));
  EXPECT_EQ(spec.router.projection.form, ProjectionForm::recurrent);
  EXPECT_EQ(spec.router.projection.activation.text, "gelu");
  EXPECT_EQ(spec.router.projection.eps, 1e-5);
  EXPECT_TRUE(spec.router.projection.chained);
  expectFixedPoint(spec);
  spec = read(router("\"strategy\": \"table\", \"vocabulary\": 100, "
                     "\"renormalize\": {\"p\": 2}"));
  EXPECT_EQ(spec.router.strategy, Strategy::table);
  EXPECT_EQ(spec.router.vocabulary, 100);
  EXPECT_EQ(spec.router.renormalizeP, 2.0);
  EXPECT_FALSE(spec.router.inputNorm.eps);
  expectFixedPoint(spec);
  spec = read(router("\"strategy\": \"sparsemixer\", \"threshold\": 0.5, "
                     "\"input_norm\": {\"eps\": 1e-6, \"factor\": 0.125}"));
  EXPECT_EQ(spec.router.strategy, Strategy::sparsemixer);
  EXPECT_EQ(spec.router.threshold, 0.5);
  EXPECT_EQ(spec.router.inputNorm.eps, 1e-6);
  EXPECT_EQ(spec.router.inputNorm.factor, 0.125);
  expectFixedPoint(spec);
  spec = read(specWith(
      "\"always_on\": 2, \"groups\": {\"count\": 3, \"keep\": 1}", "", ""));
  EXPECT_EQ(spec.router.alwaysOn, 2);
  expectFixedPoint(spec);
  spec = read(rest("\"capacity\": {\"tokens\": 4, "
                   "\"priority\": \"choice_order\"}"));
  EXPECT_EQ(spec.capacity.priority, Priority::choice_order);
  expectFixedPoint(spec);
}

TEST(Import, GateAndUpInOneWeight) {
  Spec spec = read(
      R"({"hidden": 64, "router": {"experts": 8, "top_k": 2},
          "experts": {"intermediate": 96, "gate_up": "interleaved"},
          "shared": {"intermediate": 8, "gate_up": "concatenated",
                     "activation": "swigluoai"}})");
  EXPECT_EQ(spec.experts.gateUp, GateUp::interleaved);
  EXPECT_EQ(spec.shared.gateUp, GateUp::concatenated);
  EXPECT_EQ(spec.shared.activation.text, "swigluoai");
  expectFixedPoint(spec);
}

TEST(Import, EveryValueArrives) {
  Spec spec = read(R"json({
    "moe_spec": 1, "name": "all_9", "hidden": 128,
    "functions": ["forward", "average", "step"],
    "router": {
      "experts": 12, "top_k": 3, "strategy": "learned", "score": "1 - x",
      "renormalize": {"eps": 1e-20, "mode": "clamp"},
      "projection": {"layers": 2, "hidden": 32, "activation": "tanh(g)",
                     "bias": true, "dtype": "input"},
      "scale": 2.5, "expert_scale": true, "softcap": 30,
      "selection_bias": true, "temperature": 0.5,
      "groups": {"count": 7, "keep": 5, "reduce": "sum_top2", "fill": "zero"},
      "load_balancing": "dynamic",
      "balance": {"rate": 0.01, "lambda": 2, "factor": 1.5},
      "null_experts": {"count": 2, "kind": "skip"}, "weight_on": "input",
      "seed": 9223372036854775807
    },
    "experts": {"intermediate": 256, "form": "mlp", "activation": "relu2",
                "bias": true, "output_bias": true, "latent": 16,
                "input_norm": 1e-5, "latent_norm": 1e-6},
    "shared": {"intermediate": 64, "activation": "-g", "gate": "softmax2",
               "scale": -0.5},
    "capacity": {"factor": 1.25, "overflow": "drop", "scope": "local",
                 "priority": "probability"},
    "losses": {"load_balance": 0.01, "load_balance_form": "switch",
               "importance": 0.1, "router_z": 0.001},
    "dtype": {"activation": "f16", "weights": "bf16", "router": "f32",
              "accumulate": "f32", "products": "f32"},
    "parallel": {"grid": {"dp": 2, "ep": 4, "tp": 2}, "experts_on": "tp",
                 "exchange": "ring", "wire": "int8", "wire_block": 64,
                 "chunks": 3,
                 "sequence_parallel": true,
                 "experts_per_device": 6},
    "averaging": {"group_size": 5, "match_timeout_ms": 6,
                  "exchange_timeout_ms": 7,
                  "compression": {"kind": "mxfp4"}},
    "weights": {"layer": 3, "prefix": "m.{l}.\u00e9\"\n"}})json");
  EXPECT_EQ(spec.name, "all_9");
  const RouterSpec &router = spec.router;
  EXPECT_EQ(router.score, Score::function);
  EXPECT_EQ(router.scoreFunction.text, "1 - x");
  EXPECT_EQ(router.renormalize, Renormalize::clamp);
  EXPECT_EQ(router.renormalizeEps, 1e-20);
  EXPECT_EQ(router.projection.layers, 2);
  EXPECT_EQ(router.projection.hidden, 32);
  EXPECT_EQ(router.projection.activation.text, "tanh(g)");
  EXPECT_TRUE(router.projection.bias);
  EXPECT_TRUE(router.projection.inputPrecision);
  EXPECT_EQ(router.scale, 2.5);
  EXPECT_TRUE(router.expertScale);
  EXPECT_EQ(router.softcap, 30.0);
  EXPECT_EQ(router.groups.count, 7);
  EXPECT_EQ(router.groups.keep, 5);
  EXPECT_EQ(router.groups.reduce, GroupReduce::sum_top2);
  EXPECT_EQ(router.groups.fill, GroupFill::zero);
  EXPECT_EQ(router.temperature, 0.5);
  EXPECT_EQ(router.balancing, Balancing::dynamic);
  EXPECT_EQ(router.balanceRate, 0.01);
  EXPECT_EQ(router.balanceLambda, 2.0);
  EXPECT_EQ(router.balanceFactor, 1.5);
  EXPECT_EQ(router.nullExperts, 2);
  EXPECT_EQ(router.nullKind, NullKind::skip);
  EXPECT_EQ(router.weightOn, WeightOn::input);
  EXPECT_EQ(router.seed, 9223372036854775807u);
  EXPECT_EQ(spec.experts.form, ExpertForm::mlp);
  EXPECT_EQ(spec.experts.activation.text, "relu2");
  EXPECT_TRUE(spec.experts.bias);
  EXPECT_EQ(spec.experts.latent, 16);
  EXPECT_TRUE(spec.experts.outputBias);
  EXPECT_EQ(spec.experts.inputNorm, 1e-5);
  EXPECT_EQ(spec.experts.latentNorm, 1e-6);
  EXPECT_EQ(spec.shared.activation.text, "-g");
  EXPECT_EQ(spec.shared.scale, -0.5);
  EXPECT_EQ(spec.shared.intermediate, 64);
  EXPECT_EQ(spec.shared.gate, SharedGate::softmax2);
  EXPECT_EQ(spec.capacity.factor, 1.25);
  EXPECT_EQ(spec.capacity.scope, Scope::local);
  EXPECT_EQ(spec.capacity.priority, Priority::probability);
  EXPECT_EQ(spec.losses.loadBalance, 0.01);
  EXPECT_EQ(spec.losses.loadBalanceForm, LoadBalanceForm::switch_transformer);
  EXPECT_EQ(spec.losses.importance, 0.1);
  EXPECT_EQ(spec.losses.routerZ, 0.001);
  EXPECT_EQ(spec.dtype.activation, DType::f16);
  EXPECT_EQ(spec.dtype.weights, DType::bf16);
  EXPECT_EQ(spec.dtype.router, DType::f32);
  EXPECT_EQ(spec.parallel.dp, 2);
  EXPECT_EQ(spec.parallel.ep, 4);
  EXPECT_EQ(spec.parallel.tp, 2);
  EXPECT_EQ(spec.parallel.expertsOn, ExpertsOn::tp);
  EXPECT_EQ(spec.parallel.exchange, Exchange::ring);
  EXPECT_EQ(spec.parallel.wire, Wire::int8);
  EXPECT_EQ(spec.parallel.wireBlock, 64);
  EXPECT_EQ(spec.parallel.chunks, 3);
  EXPECT_TRUE(spec.parallel.sequenceParallel);
  EXPECT_EQ(spec.parallel.expertsPerDevice, 6);
  EXPECT_EQ(spec.averaging.groupSize, 5);
  EXPECT_EQ(spec.averaging.matchTimeoutMs, 6);
  EXPECT_EQ(spec.averaging.exchangeTimeoutMs, 7);
  EXPECT_EQ(spec.averaging.compression, Compression::mxfp4);
  EXPECT_EQ(spec.averaging.block, 32);
  EXPECT_EQ(spec.functions,
            (std::vector<Function>{Function::forward, Function::average,
                                   Function::step}));
  EXPECT_EQ(spec.weights.layer, 3);
  EXPECT_EQ(spec.weights.prefix,
            std::vector<std::string>{"m.{l}.\xC3\xA9\"\n"});
  expectFixedPoint(spec);
}

TEST(Import, NamesOfEveryEnumRoundTrip) {
  for (const std::string &key : specKeys())
    for (const std::string &value : specKeyValues(key)) {
      // Not every value stands alone, but every name has to be known.
      std::string text = "\"" + value + "\"";
      if (key == "functions")
        text = "[" + text + "]";
      size_t begin = 0, depth = 0;
      std::string head;
      for (size_t dot; (dot = key.find('.', begin)) != std::string::npos;
           begin = dot + 1, ++depth)
        head += "{\"" + key.substr(begin, dot - begin) + "\": ";
      text = head + "{\"" + key.substr(begin) + "\": " + text +
             std::string(depth + 1, '}');
      for (const Diagnostic &diagnostic : importSpec(text).diagnostics)
        EXPECT_EQ(diagnostic.message.find("unknown"), std::string::npos)
            << text << diagnostic.message;
    }
}

TEST(Import, NumbersAndWhiteSpaceOfAllKinds) {
  EXPECT_EQ(read("\xEF\xBB\xBF" + rest("")).hidden, 64);
  EXPECT_EQ(read(rest("\"moe_spec\": 1.0")).hidden, 64);
  EXPECT_EQ(read(rest("\"capacity\": {\"tokens\": 1e3}")).capacity.tokens,
            1000);
  Spec spec = read(router("\"scale\": -0.0"));
  expectFixedPoint(spec);
  spec = read(router("\"scale\": 1e300,\r\n\t\"softcap\": 123456789012345678"));
  expectFixedPoint(spec);
  spec = read(router("\"scale\": 0.1, \"softcap\": 100000000000000000000"));
  EXPECT_EQ(spec.router.softcap, 1e20);
  expectFixedPoint(spec);
}

TEST(Import, PrintsASpecMadeInCode) {
  Spec spec;
  spec.hidden = 32;
  spec.router.experts = 4;
  spec.router.topK = 1;
  spec.experts.intermediate = 48;
  Spec again = read(printSpec(spec));
  EXPECT_EQ(again.router.projection.hidden, 32);
  EXPECT_EQ(again.experts.activation.text, "silu");
  EXPECT_EQ(printSpec(again), printSpec(spec));
}

TEST(Import, EveryExampleIsGood) {
  size_t count = 0;
  std::filesystem::path folder = MOE_TEST_SOURCE_DIR "/examples/specs";
  for (const auto &entry : std::filesystem::directory_iterator(folder)) {
    Spec spec = read(contents(entry.path()));
    EXPECT_EQ(spec.name + ".json", entry.path().filename().string());
    expectFixedPoint(spec);
    ++count;
  }
  EXPECT_GE(count, 10u);
}
