//===- ConversionTest.cpp - Element types of weights ----------------------===//
//
// Part of moe-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
// What is widened keeps its value; what could lose some is refused.
//
//===----------------------------------------------------------------------===//

#include "Checkpoint.h"

#include <cmath>

using namespace moe::test;

using ConversionTest = CheckpointTest;

static std::vector<uint16_t> allBits() {
  std::vector<uint16_t> bits(65536);
  for (size_t i = 0; i < bits.size(); ++i)
    bits[i] = uint16_t(i);
  return bits;
}

static void expectSame(double expected, float found, size_t bits) {
  if (std::isnan(expected))
    EXPECT_TRUE(std::isnan(found)) << bits;
  else
    EXPECT_TRUE(expected == found &&
                std::signbit(expected) == std::signbit(found))
        << bits << ": expected " << expected << ", found " << found;
}

TEST_F(ConversionTest, EveryF16) {
  weight("router.weight", "f32", {256, 256}, {"w"});
  tensor("w", "F16", {256, 256}, allBits());
  ASSERT_MOE_OK(load());
  std::vector<float> found = get<float>("router.weight");
  for (size_t i = 0; i < found.size(); ++i) {
    int exponent = int(i >> 10 & 31), significand = int(i & 1023);
    double value = exponent == 31 ? significand ? NAN : INFINITY
                   : exponent ? std::ldexp(1024 + significand, exponent - 25)
                              : std::ldexp(significand, -24);
    expectSame(i & 0x8000 ? -value : value, found[i], i);
  }
}

TEST_F(ConversionTest, EveryBf16) {
  weight("router.weight", "f32", {256, 256}, {"w"});
  tensor("w", "BF16", {256, 256}, allBits());
  ASSERT_MOE_OK(load());
  std::vector<uint32_t> found = get<uint32_t>("router.weight");
  for (size_t i = 0; i < found.size(); ++i)
    ASSERT_EQ(uint32_t(i) << 16, found[i]);
}

TEST_F(ConversionTest, EveryE8m0IsAScale) {
  std::vector<uint8_t> bits(256);
  for (size_t i = 0; i < bits.size(); ++i)
    bits[i] = uint8_t(i);
  weight("experts.up.scales", "f32", {1, 16, 16}, {"s"});
  weight("experts.down.scales", "u8", {1, 16, 16}, {"s"});
  tensor("s", "F8_E8M0", {1, 16, 16}, bits);
  ASSERT_MOE_OK(load());
  std::vector<float> found = get<float>("experts.up.scales");
  for (size_t i = 0; i < found.size(); ++i)
    expectSame(i == 255 ? NAN : std::ldexp(1.0, int(i) - 127), found[i], i);
  EXPECT_EQ(bits, get<uint8_t>("experts.down.scales"));
}

TEST_F(ConversionTest, I64ThatFits) {
  weight("router.table", "i32", {2, 2}, {"t"});
  tensor("t", "I64", {2, 2}, std::vector<int64_t>{0, INT32_MAX, INT32_MIN, -5});
  ASSERT_MOE_OK(load());
  EXPECT_EQ((std::vector<int32_t>{0, INT32_MAX, INT32_MIN, -5}),
            get<int32_t>("router.table"));
}

TEST_F(ConversionTest, I64ThatDoesNotFit) {
  weight("router.table", "i32", {2, 1}, {"t"});
  tensor("t", "I64", {2, 1}, std::vector<int64_t>{0, int64_t(1) << 31});
  expectRefused(MOE_BAD_FILE, "model.safetensors: error: 't': found "
                              "2147483648, expected a number of 32 bits");
}

namespace {
struct Refused {
  const char *from, *to;
  int64_t bytes;
  const char *message;
};
struct RefusedTypeTest : CheckpointTest,
                         testing::WithParamInterface<Refused> {};
} // namespace

TEST_P(RefusedTypeTest, IsRefused) {
  const Refused &type = GetParam();
  weight("router.weight", type.to, {2, 8}, {"w"});
  zeros("w", type.from, {2, 8}, type.bytes);
  expectRefused(MOE_DTYPE_MISMATCH,
                std::string("model.safetensors: error: 'w': ") + type.message);
}

static const char *const quantised =
    "; quantised weights need 'experts.quantization' or sources that decode "
    "them";
static const std::string f8ToBf16 =
    std::string("expected BF16, found F8_E4M3") + quantised;
static const std::string i32ToF32 =
    std::string("expected F32, found I32") + quantised;

INSTANTIATE_TEST_SUITE_P(
    Loader, RefusedTypeTest,
    testing::Values(
        Refused{"F32", "bf16", 4,
                "expected BF16, found F32, whose values need not fit"},
        Refused{"F32", "f16", 4,
                "expected F16, found F32, whose values need not fit"},
        Refused{"F16", "bf16", 2,
                "expected BF16, found F16, whose values need not fit"},
        Refused{"BF16", "f16", 2,
                "expected F16, found BF16, whose values need not fit"},
        Refused{"F64", "f32", 8,
                "expected F32, found F64, whose values need not fit"},
        Refused{"F8_E4M3", "bf16", 1, f8ToBf16.c_str()},
        Refused{"I32", "f32", 4, i32ToF32.c_str()},
        Refused{"F8_E8M0", "u8", 1, "expected U8, found F8_E8M0"},
        Refused{"F8_E5M2", "u8", 1, "expected U8, found F8_E5M2"},
        Refused{"U8", "i8", 1, "expected I8, found U8"}),
    [](const testing::TestParamInfo<Refused> &info) {
      return std::string(info.param.from) + "_" + info.param.to;
    });
