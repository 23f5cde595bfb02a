//===- RandomTest.cpp - Random weights ------------------------------------===//
//
// Part of moe-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
// The generator is documented; here it is written out a second time.
//
//===----------------------------------------------------------------------===//

#include "Support.h"

#include <algorithm>
#include <cmath>

using namespace moe::test;
using nlohmann::json;

static uint64_t mix(uint64_t z) {
  z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9;
  z = (z ^ (z >> 27)) * 0x94D049BB133111EB;
  return z ^ (z >> 31);
}

static uint64_t bits(uint64_t seed, const std::string &name, uint64_t i) {
  uint64_t hash = 14695981039346656037u, step = 0x9E3779B97F4A7C15;
  for (unsigned char c : name)
    hash = (hash ^ c) * 1099511628211u;
  return mix((mix(seed + step) ^ hash) + step * (i + 1));
}

static float widen(uint16_t bf16) {
  uint32_t wide = uint32_t(bf16) << 16;
  float value;
  std::memcpy(&value, &wide, sizeof value);
  return value;
}

template <typename T> static const T *data(moe_layer *layer, const char *name) {
  DLTensor view = {};
  EXPECT_MOE_OK(moe_layer_get(layer, name, &view));
  return static_cast<const T *>(view.data);
}

/// A package with one more weight to look at.
static EditedPackage withWeight(const char *type, std::vector<int64_t> shape,
                                int64_t fanIn, const char *name = "w") {
  return EditedPackage([&](json &m) {
    m["weights"].push_back(
        {{"name", name}, {"dtype", type}, {"shape", shape}, {"fan_in", fanIn}});
  });
}

static Layer random(EditedPackage &package, uint64_t seed, bool exact) {
  package.package.manifest = package.manifest.c_str();
  Layer layer = makeLayer(&package.package, false);
  EXPECT_MOE_OK(moe_layer_randomize(layer.get(), seed, exact));
  return layer;
}

TEST(Random, UniformAsDocumented) {
  EditedPackage package = withWeight("f32", {100, 10}, 16);
  Layer layer = random(package, 42, false);
  const float *w = data<float>(layer.get(), "w");
  double sum = 0, most = 0;
  for (uint64_t i = 0; i < 1000; ++i) {
    double expected = (double(bits(42, "w", i) >> 40) / 8388608 - 1) / 4;
    ASSERT_EQ(float(expected), w[i]);
    sum += w[i];
    most = std::max(most, std::fabs(double(w[i])));
  }
  EXPECT_LE(most, 0.25);
  EXPECT_GT(most, 0.24);
  EXPECT_NEAR(0, sum / 1000, 0.02);
}

TEST(Random, SeedsAndNamesMatter) {
  EditedPackage package = withWeight("f32", {4}, 4);
  Layer one = random(package, 1, false), two = random(package, 2, false);
  const float *w = data<float>(one.get(), "w");
  EXPECT_NE(w[0], data<float>(two.get(), "w")[0]);
  EXPECT_NE(w[0], data<float>(one.get(), "scale.weight")[0]);
  Layer again = random(package, 1, false);
  EXPECT_TRUE(std::equal(w, w + 4, data<float>(again.get(), "w")));
}

TEST(Random, ExecutorMayUseTheLayer) {
  Layer layer = makeLayer();
  moe_set_executor(
      [](void *user, moe_body body, void *context, int64_t count) {
        // Whatever else this thread has to do, a share of the layer even.
        DLTensor view;
        EXPECT_MOE_OK(moe_layer_get(static_cast<moe_layer *>(user),
                                    "scale.weight", &view));
        setWeights(static_cast<moe_layer *>(user));
        body(context, 0, count);
      },
      layer.get());
  EXPECT_MOE_OK(moe_layer_randomize(layer.get(), 1, 0));
  useTestExecutor();
}

TEST(Random, ExactAsDocumented) {
  for (auto [fanIn, shift] :
       {std::pair<int64_t, int>{1, 2}, {4, 3}, {5, 4}, {16, 4}, {2048, 8}}) {
    EditedPackage package = withWeight("f32", {500}, fanIn);
    Layer layer = random(package, 7, true);
    const float *w = data<float>(layer.get(), "w");
    for (uint64_t i = 0; i < 500; ++i) {
      int value = int((bits(7, "w", i) >> 32) % 9) - 4;
      ASSERT_EQ(std::ldexp(float(value), -shift), w[i]);
    }
  }
}

TEST(Random, NarrowTypesRoundToNearest) {
  EditedPackage package = withWeight("bf16", {1000}, 3);
  EditedPackage wide = withWeight("f32", {1000}, 3);
  Layer narrowLayer = random(package, 5, false);
  Layer wideLayer = random(wide, 5, false);
  const uint16_t *narrow = data<uint16_t>(narrowLayer.get(), "w");
  const float *w = data<float>(wideLayer.get(), "w");
  for (int i = 0; i < 1000; ++i) {
    float value = widen(narrow[i]);
    float up = widen(uint16_t(narrow[i] + 1));
    float down = widen(uint16_t(narrow[i] - 1));
    ASSERT_LE(std::fabs(w[i] - value), std::fabs(w[i] - up));
    ASSERT_LE(std::fabs(w[i] - value), std::fabs(w[i] - down));
  }
}

TEST(Random, HalfPrecisionRoundsToNearest) {
  auto decode = [](uint16_t half) {
    int exponent = half >> 10 & 31, fraction = half & 1023;
    double value = exponent ? std::ldexp(1024 + fraction, exponent - 25)
                            : std::ldexp(fraction, -24);
    return half & 0x8000 ? -value : value;
  };
  // From fan in 1 to one that needs subnormals.
  for (int64_t fanIn : {int64_t(1), int64_t(1) << 20, int64_t(1) << 40}) {
    EditedPackage package = withWeight("f16", {2000}, fanIn);
    EditedPackage wide = withWeight("f32", {2000}, fanIn);
    Layer narrowLayer = random(package, 5, false);
    Layer wideLayer = random(wide, 5, false);
    const uint16_t *narrow = data<uint16_t>(narrowLayer.get(), "w");
    const float *w = data<float>(wideLayer.get(), "w");
    for (int i = 0; i < 2000; ++i) {
      double error = std::fabs(w[i] - decode(narrow[i]));
      ASSERT_LE(error, std::fabs(w[i] - decode(uint16_t(narrow[i] + 1))));
      if (narrow[i] & 0x7fff) {
        ASSERT_LE(error, std::fabs(w[i] - decode(uint16_t(narrow[i] - 1))));
      }
    }
  }
}

TEST(Random, IntegersAndDoubles) {
  EditedPackage package = withWeight("i8", {200}, 3);
  Layer layer = random(package, 9, false);
  for (int i = 0; i < 200; ++i)
    ASSERT_LE(std::abs(data<int8_t>(layer.get(), "w")[i]), 4);
  EditedPackage unsignedPackage = withWeight("u8", {200}, 3);
  layer = random(unsignedPackage, 9, false);
  for (int i = 0; i < 200; ++i)
    ASSERT_LE(data<uint8_t>(layer.get(), "w")[i], 8);
  for (const char *type : {"i32", "i64", "f64"}) {
    EditedPackage other = withWeight(type, {3}, 3);
    layer = random(other, 9, true);
    EXPECT_NE(nullptr, data<char>(layer.get(), "w"));
  }
}

/// Bytes of a part of a weight that is stored in few bits.
static std::vector<uint8_t> bytesOf(const char *name, int64_t row,
                                    int64_t fanIn, bool exact) {
  EditedPackage package = withWeight("u8", {40, row}, fanIn, name);
  Layer layer = random(package, 11, exact);
  const uint8_t *begin = data<uint8_t>(layer.get(), name);
  return {begin, begin + 40 * row};
}

TEST(Random, CodesAsDocumented) {
  uint8_t codes[] = {0xC8, 0xC4, 0xC0, 0xB8, 0, 0x38, 0x40, 0x44, 0x48};
  for (bool exact : {false, true}) {
    std::vector<uint8_t> e4m3 = bytesOf("a.weight", 32, 32, exact);
    std::vector<uint8_t> pairs = bytesOf("a.weight", 16, 32, exact);
    std::vector<uint8_t> zeros = bytesOf("a.zeros", 1, 32, exact);
    std::vector<uint8_t> mx = bytesOf("a.scales", 2, 64, exact);
    std::vector<uint8_t> nv = bytesOf("a.scales", 4, 64, exact);
    for (uint64_t i = 0; i < e4m3.size(); ++i)
      ASSERT_EQ(codes[(bits(11, "a.weight", i) >> 32) % 9], e4m3[i]);
    for (uint64_t i = 0; i < pairs.size(); ++i)
      ASSERT_EQ(uint8_t(bits(11, "a.weight", i) >> 32), pairs[i]);
    for (uint64_t i = 0; i < zeros.size(); ++i)
      ASSERT_EQ((bits(11, "a.zeros", i) >> 32) % 9 + 4, zeros[i]);
    // Fan in 64: s is 5.
    for (uint64_t i = 0; i < mx.size(); ++i)
      ASSERT_EQ(127 - 5 - (bits(11, "a.scales", i) >> 32) % 3, mx[i]);
    for (uint64_t i = 0; i < nv.size(); ++i)
      ASSERT_EQ(0x38 - 8 * ((bits(11, "a.scales", i) >> 32) % 3), nv[i]);
  }
}

TEST(Random, ScalesAsDocumented) {
  for (const char *name : {"a.scales", "a.global_scale"}) {
    EditedPackage package = withWeight("f32", {500}, 64, name);
    Layer uniform = random(package, 3, false), exact = random(package, 3, true);
    for (uint64_t i = 0; i < 500; ++i) {
      uint64_t z = bits(3, name, i);
      ASSERT_EQ(float((1 + double(z >> 40) / 16777216) / 64),
                data<float>(uniform.get(), name)[i]);
      ASSERT_EQ(std::ldexp(1.0f, -5 - int((z >> 32) % 3)),
                data<float>(exact.get(), name)[i]);
    }
  }
}
