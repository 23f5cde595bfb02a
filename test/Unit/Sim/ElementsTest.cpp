//===- ElementsTest.cpp - Numbers of the types that units multiply --------===//
//
// Part of moe-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "../../../lib/Sim/Operations/Elements.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstring>

using namespace moe::sim;

namespace {

TEST(Elements, EveryHalfAndBack) {
  for (uint32_t bits = 0; bits < 0x10000; ++bits) {
    float value = halfToFloat(uint16_t(bits));
    // By the definition of the format.
    uint32_t exponent = bits >> 10 & 31, mantissa = bits & 1023;
    double expected =
        exponent == 31 ? (mantissa ? NAN : INFINITY)
        : exponent     ? std::ldexp(1 + mantissa / 1024.0, int(exponent) - 15)
                       : std::ldexp(mantissa / 1024.0, -14);
    if (std::isnan(expected)) {
      EXPECT_TRUE(std::isnan(value));
      EXPECT_TRUE(std::isnan(halfToFloat(floatToHalf(value))));
      continue;
    }
    EXPECT_EQ(value, bits >> 15 ? -expected : expected);
    EXPECT_EQ(floatToHalf(value), bits);
  }
}

TEST(Elements, HalvesRoundToNearestEven) {
  EXPECT_EQ(floatToHalf(1 + 0x1p-11f), 0x3c00);            // a tie, to even
  EXPECT_EQ(floatToHalf(1 + 3 * 0x1p-11f), 0x3c02);        // a tie, to even
  EXPECT_EQ(floatToHalf(1 + 0x1p-11f + 0x1p-20f), 0x3c01); // above it
  EXPECT_EQ(floatToHalf(65519.9f), 0x7bff);
  EXPECT_EQ(floatToHalf(65520.0f), 0x7c00);
  EXPECT_EQ(floatToHalf(0x1p-25f), 0); // half of the least
  EXPECT_EQ(floatToHalf(0x1.8p-25f), 1);
  EXPECT_EQ(floatToHalf(-0.0f), 0x8000);
}

TEST(Elements, SmallFloats) {
  uint8_t e4m3[] = {0x7e, 0x01, 0xb8, 0x7f};
  EXPECT_EQ(readElement(e4m3, 0, Element::E4M3), 448);
  EXPECT_EQ(readElement(e4m3, 1, Element::E4M3), 0x1p-9);
  EXPECT_EQ(readElement(e4m3, 2, Element::E4M3), -1);
  EXPECT_TRUE(std::isnan(readElement(e4m3, 3, Element::E4M3)));
  uint8_t e5m2[] = {0x7b, 0x01, 0x3c, 0xfc};
  EXPECT_EQ(readElement(e5m2, 0, Element::E5M2), 57344);
  EXPECT_EQ(readElement(e5m2, 1, Element::E5M2), 0x1p-16);
  EXPECT_EQ(readElement(e5m2, 2, Element::E5M2), 1);
  EXPECT_EQ(readElement(e5m2, 3, Element::E5M2), -INFINITY);
}

TEST(Elements, IntegersSaturateOrWrap) {
  int32_t value;
  writeElement(&value, 0, Element::S32, 3e9, true);
  EXPECT_EQ(value, INT32_MAX);
  writeElement(&value, 0, Element::S32, 3e9, false);
  EXPECT_EQ(value, int32_t(uint32_t(3000000000u)));
}

TEST(Elements, TensorFloatsHaveTenBits) {
  float value = 1 + 0x1p-10f + 0x1p-11f;
  EXPECT_EQ(readElement(&value, 0, Element::TF32), 1 + 0x1p-10);
}

/// Of cvt.rn, cvt.rna and cvt.rz.
TEST(Elements, TensorFloatsAreRounded) {
  auto round = [](float value, Rounding rounding) {
    uint32_t bits = floatToTensorFloat(value, rounding);
    float result;
    std::memcpy(&result, &bits, sizeof result);
    return result;
  };
  float half = 1 + 0x1p-11f, above = half + 0x1p-20f;
  EXPECT_EQ(round(half, Rounding::Even), 1);
  EXPECT_EQ(round(half, Rounding::Away), 1 + 0x1p-10f);
  EXPECT_EQ(round(-half, Rounding::Away), -1 - 0x1p-10f);
  EXPECT_EQ(round(1 + 3 * 0x1p-11f, Rounding::Even), 1 + 0x1p-9f);
  EXPECT_EQ(round(above, Rounding::Even), 1 + 0x1p-10f);
  EXPECT_EQ(round(above, Rounding::Zero), 1);
  EXPECT_EQ(round(1 + 0x1p-12f, Rounding::Away), 1);
  EXPECT_EQ(round(3.4028235e38f, Rounding::Away), INFINITY);
  EXPECT_TRUE(std::isnan(round(-NAN, Rounding::Away)));
}

} // namespace
