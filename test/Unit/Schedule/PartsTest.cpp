//===- PartsTest.cpp - The steps of a forward -----------------------------===//
//
// Part of moe-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Machines.h"

#include "moe/Import/Import.h"
#include "moe/Schedule/Cost.h"

#include "gtest/gtest.h"

using namespace moe;

/// Of a layer with `more` beside its sizes.
static std::vector<Part> partsWith(const std::string &router,
                                   const std::string &more,
                                   bool bf16Pairs = true) {
  ImportResult result = importSpec(
      "{\"hidden\": 512, \"router\": {\"experts\": 16, \"top_k\": 4" + router +
      "}, \"experts\": {\"intermediate\": 96" + more + "}");
  EXPECT_TRUE(result.spec);
  return partsOf(*result.spec, machineOf("znver5", 16, 32), bf16Pairs);
}

static std::string names(const std::vector<Part> &parts) {
  std::string text;
  for (const Part &part : parts)
    text += (text.empty() ? "" : "; ") + part.name;
  return text;
}

static const Part &named(const std::vector<Part> &parts,
                         std::string_view name) {
  for (const Part &part : parts)
    if (part.name == name)
      return part;
  ADD_FAILURE() << "no " << name << " in " << names(parts);
  return parts.front();
}

TEST(Parts, OfALayer) {
  std::vector<Part> parts = partsWith("", "}");
  EXPECT_EQ(names(parts), "router; routing; gate, up; activation; down");
  const Part &up = named(parts, "gate, up");
  EXPECT_EQ(up.experts, 16);
  EXPECT_EQ(up.probability, 0.25);
  ASSERT_TRUE(up.product);
  EXPECT_EQ(up.product->shape.outputs, 96);
  EXPECT_EQ(up.product->shape.depth, 512);
  EXPECT_EQ(up.product->shape.weights, 2);
  EXPECT_FALSE(up.product->bf16);
  EXPECT_FALSE(up.product->shape.decoded);
  EXPECT_EQ(up.product->weightBytes, 2 * 96 * 512 * 4);
  const Part &down = named(parts, "down");
  EXPECT_EQ(down.product->shape.outputs, 512);
  EXPECT_EQ(down.product->shape.depth, 96);
  EXPECT_FALSE(named(parts, "routing").product);
}

TEST(Parts, OfOtherLayers) {
  EXPECT_EQ(names(partsWith("", ", \"form\": \"mlp\"}")),
            "router; routing; up; activation; down");
  EXPECT_EQ(names(partsWith("", "}, \"shared\": {\"intermediate\": 64}")),
            "router; routing; gate, up; activation; down; shared, gate, up; "
            "shared, activation; shared, down");
  EXPECT_EQ(names(partsWith("", ", \"latent\": 128}")),
            "router; routing; latent, down; gate, up; activation; down; "
            "latent, up");
  EXPECT_EQ(names(partsWith(", \"strategy\": \"hash\"", "}")),
            "routing; gate, up; activation; down");
}

TEST(Parts, SomeExpertsHaveAllTokens) {
  std::vector<Part> parts = partsWith(", \"always_on\": 4", "}");
  EXPECT_EQ(named(parts, "gate, up").experts, 12);
  EXPECT_EQ(named(parts, "gate, up").probability, 4.0 / 12);
  EXPECT_EQ(named(parts, "always on, gate, up").experts, 4);
  EXPECT_EQ(named(parts, "always on, gate, up").probability, 1);
}

TEST(Parts, PairsOfBf16) {
  const char *bf16 = "}, \"dtype\": {\"activation\": \"bf16\"}";
  Product pairs = *named(partsWith("", bf16), "down").product;
  EXPECT_TRUE(pairs.bf16);
  EXPECT_EQ(pairs.shape.xBytes, 2);
  EXPECT_FALSE(pairs.shape.decoded);
  Product widened = *named(partsWith("", bf16, false), "down").product;
  EXPECT_FALSE(widened.bf16);
  EXPECT_EQ(widened.shape.xBytes, 4);
  EXPECT_TRUE(widened.shape.decoded);
  EXPECT_EQ(widened.weightBytes, pairs.weightBytes);
}

TEST(Parts, QuantisedWeights) {
  struct Kind {
    const char *text;
    int64_t bits, block;
    double scales; // bytes, of 512 x 96
  };
  for (const Kind &kind :
       {Kind{"\"fp8_e4m3\", \"block\": [128, 32]", 8, 32, 4 * 3 * 4},
        Kind{"\"int8\"", 8, 0, 512 * 4},
        Kind{"\"int4\", \"block\": [1, 32], \"zero_points\": true", 4, 32,
             512 * 3 * 5},
        // In strips, where scales become part of the values.
        Kind{"\"mxfp4\"", 4, 0, 512 * 3}, Kind{"\"nvfp4\"", 4, 16, 512 * 6}}) {
    SCOPED_TRACE(kind.text);
    std::vector<Part> parts = partsWith(
        "", std::string(", \"quantization\": {\"kind\": ") + kind.text +
                "}}, \"dtype\": {\"activation\": \"bf16\"}");
    Product down = *named(parts, "down").product;
    EXPECT_TRUE(down.bf16);
    EXPECT_TRUE(down.shape.decoded);
    EXPECT_EQ(down.shape.weightBits, kind.bits);
    EXPECT_EQ(down.shape.block, kind.block);
    EXPECT_EQ(down.weightBytes,
              512.0 * 96 * double(kind.bits) / 8 + kind.scales);
  }
}

TEST(Parts, HalvesThatAreStrips) {
  auto isPacked = [](const std::string &gateUp, int intermediate) {
    std::vector<Part> parts =
        partsWith("", "}, \"shared\": {\"intermediate\": " +
                          std::to_string(intermediate) + ", \"gate_up\": \"" +
                          gateUp + "\"}");
    return named(parts, "shared, gate, up").product->shape.packed;
  };
  for (const char *gateUp : {"separate", "concatenated", "interleaved"}) {
    EXPECT_TRUE(isPacked(gateUp, 64));
    EXPECT_FALSE(isPacked(gateUp, 32)); // a strip would have both
  }
}
