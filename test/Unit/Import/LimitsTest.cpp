//===- LimitsTest.cpp - Deep, long and large inputs -----------------------===//
//
// Part of moe-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "BadInput.h"

#include <ctime>

using namespace moe;
using namespace moe::test;

// [S1], and the limits of [S15].

// The promise is 100 ms; what a debugger or sanitizer adds is not part of it.
#if defined(NDEBUG) && !defined(__SANITIZE_ADDRESS__) &&                       \
    !defined(__SANITIZE_THREAD__)
constexpr double maxSeconds = 0.1;
#else
constexpr double maxSeconds = 2.0;
#endif

/// Imports a text that has to be refused at once, whatever it is. Counts the
/// time of this process, as others may be busy too.
static std::vector<Diagnostic> refuse(const std::string &text) {
  std::clock_t start = std::clock();
  ImportResult result = importSpec(text);
  EXPECT_LT(double(std::clock() - start) / CLOCKS_PER_SEC, maxSeconds);
  EXPECT_FALSE(result.spec);
  return result.diagnostics;
}

static std::string repeat(const std::string &text, size_t times) {
  std::string result;
  result.reserve(text.size() * times);
  for (size_t i = 0; i < times; ++i)
    result += text;
  return result;
}

using Diagnostics = std::vector<Diagnostic>;

TEST(Limits, MillionLists) {
  EXPECT_EQ(refuse(repeat("[", 1000000)),
            (Diagnostics{{Kind::error, 1, 65,
                          "found more than 64 levels, expected at most 64"}}));
}

TEST(Limits, HundredThousandObjects) {
  EXPECT_EQ(refuse(repeat("{\"a\":", 100000)),
            (Diagnostics{{Kind::error, 1, 64 * 5 + 1,
                          "found more than 64 levels, expected at most 64"}}));
}

TEST(Limits, SixtyFourLevelsAreRead) {
  EXPECT_EQ(
      refuse(repeat("[", 64) + repeat("]", 64)),
      (Diagnostics{{Kind::error, 1, 1, "found a list, expected an object"}}));
}

TEST(Limits, TwoMebibytes) {
  EXPECT_EQ(refuse(std::string(2 << 20, ' ')),
            (Diagnostics{{Kind::error, 1, 1,
                          "found 2097152 bytes, expected at most 1048576"}}));
}

TEST(Limits, OneMebibyteIsRead) {
  std::string text = rest("");
  text.resize(1 << 20, ' ');
  EXPECT_TRUE(importSpec(text).spec);
  text += ' ';
  EXPECT_FALSE(importSpec(text).spec);
}

TEST(Limits, ManyValues) {
  EXPECT_EQ(refuse("{\"a\": [0" + repeat(",0", 500000) + "]}"),
            (Diagnostics{
                {Kind::error, 1, 8 + 2 * (65536 - 2),
                 "found more than 65536 values, expected at most that many"}}));
}

TEST(Limits, ManyKeys) {
  std::string text = "{";
  for (int i = 0; i < 60000; ++i)
    text += (i ? ",\"k" : "\"k") + std::to_string(i) + "\":0";
  Diagnostics diagnostics = refuse(text + "}");
  // Twenty errors, and that there are more.
  ASSERT_EQ(diagnostics.size(), 21u);
  EXPECT_EQ(diagnostics.back().message,
            "there are more errors, of which this is the first");
}

TEST(Limits, LongKey) {
  EXPECT_EQ(refuse("{\"" + std::string(1000000, 'k') + "\": 1}").size(), 5u);
}

TEST(Limits, LongNumber) {
  EXPECT_EQ(refuse(rest("\"moe_spec\": 1" + std::string(100000, '0'))),
            (Diagnostics{{Kind::error, 4, 14,
                          "found '1" + std::string(47, '0') +
                              "...', expected a finite number"}}));
}

TEST(Limits, DeepFormula) {
  std::string formula = repeat("(", 65) + "g" + repeat(")", 65);
  EXPECT_EQ(refuse(experts("\"activation\": \"" + formula + "\"")),
            (Diagnostics{{Kind::error, 4, 18 + 64,
                          "found more than 64 levels in a formula, expected "
                          "at most that many"}}));
}

TEST(Limits, ManyMinuses) {
  std::string formula = repeat("-", 4000) + "g";
  EXPECT_EQ(refuse(experts("\"activation\": \"" + formula + "\"")),
            (Diagnostics{{Kind::error, 4, 18 + 64,
                          "found more than 64 levels in a formula, expected "
                          "at most that many"}}));
}

TEST(Limits, LongFormula) {
  std::string formula = "g" + repeat("+g", 2048);
  EXPECT_EQ(refuse(experts("\"activation\": \"" + formula + "\"")),
            (Diagnostics{{Kind::error, 4, 18,
                          "found a formula of 4097 bytes, expected at most "
                          "4096"}}));
}

TEST(Limits, FormulasWithinTheLimitsAreRead) {
  for (const std::string &formula :
       {repeat("(", 64) + "g" + repeat(")", 64), repeat("-", 64) + "g",
        repeat("gelu_tanh(", 64) + "g" + repeat(")", 64),
        "g" + repeat("+g", 2047)})
    EXPECT_TRUE(importSpec(experts("\"activation\": \"" + formula + "\"")).spec)
        << formula;
}

TEST(Limits, LongPrefix) {
  EXPECT_TRUE(importSpec(rest("\"weights\": {\"prefix\": \"" +
                              std::string(4096, 'p') + "\"}"))
                  .spec);
  EXPECT_EQ(refuse(rest("\"weights\": {\"prefix\": \"" +
                        std::string(4097, 'p') + "\"}")),
            (Diagnostics{{Kind::error, 4, 24,
                          "weights.prefix: found the string '" +
                              std::string(48, 'p') +
                              "...', expected a string of at most 4096 "
                              "bytes or a list of 1 to 64 of them"}}));
}
