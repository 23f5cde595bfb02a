//===- HoleTest.cpp - What families take from configurations --------------===//
//
// Part of moe-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "HuggingFace/Filler.h"

#include <gtest/gtest.h>

using namespace moe;

/// What the hole becomes in a layer, or what is said about it.
static std::string filled(const std::string &config, const std::string &form,
                          int64_t layer = 1) {
  std::vector<Diagnostic> diagnostics;
  Reporter reporter(config, diagnostics);
  std::optional<json::Value> document = json::parse(config, reporter);
  Configuration configuration{config, *document, *document, "x", 0};
  Filler filler(configuration, reporter);
  filler.setLayer(layer, 3, 1);
  json::Value value;
  value.kind = json::Value::Kind::string;
  value.string = form;
  std::optional<Filler::Filling> filling = filler.fill(value);
  if (reporter.failed())
    return diagnostics[0].message;
  return filling ? json::describe(filling->value, config) : "left out";
}

TEST(Hole, Alternatives) {
  std::string config = R"({"a": 3, "n": null, "o": {"p": 5}, "s": "silu"})";
  EXPECT_EQ(filled(config, "$a"), "3");
  EXPECT_EQ(filled(config, "$n | $a | 7"), "3");
  EXPECT_EQ(filled(config, "$x | $n | 7"), "7");
  EXPECT_EQ(filled(config, "$o.p"), "5");
  EXPECT_EQ(filled(config, "$s | gelu"), "the string 'silu'");
  EXPECT_EQ(filled(config, "$x | gelu"), "the string 'gelu'");
  EXPECT_EQ(filled(config, "$x | false"), "false");
  EXPECT_EQ(filled(config, "$x | 1e-20"), "1e-20");
  EXPECT_EQ(filled(config, "$x?"), "left out");
  EXPECT_EQ(filled(config, "$a?"), "3");
  EXPECT_EQ(filled(config, "silu"), "the string 'silu'");
  EXPECT_EQ(filled(config, "$x"),
            "found no key 'x', which a configuration of family 'x' needs");
  EXPECT_EQ(filled(config, "$n"),
            "n: found null, expected a value, which a configuration of family "
            "'x' needs");
}

TEST(Hole, Arithmetic) {
  std::string config = R"({"a": 3, "b": 0.5, "d": 64, "z": 0, "f": true})";
  EXPECT_EQ(filled(config, "$a * $d"), "192");
  EXPECT_EQ(filled(config, "$a * $b"), "1.5");
  EXPECT_EQ(filled(config, "$a*2+1"), "7");
  EXPECT_EQ(filled(config, "$b * -1 + 1"), "0.5");
  EXPECT_EQ(filled(config, "$a - $d / 4"), "-13");
  EXPECT_EQ(filled(config, "$d ^ -0.5"), "0.125");
  EXPECT_EQ(filled(config, "$a * $x | $a"), "3");
  EXPECT_EQ(filled(config, "$a / $z"),
            "a / z: found what is not finite, expected a number");
  EXPECT_EQ(filled(config, "$a * $f"), "f: found true, expected a number");
}

TEST(Hole, InTexts) {
  std::string config = R"({"a": 3, "b": 0.5, "s": "silu", "o": {}})";
  EXPECT_EQ(filled(config, "${s}(min(g, ${a | 7})) * -${x | 10.0}"),
            "the string 'silu(min(g, 3)) * -10'");
  EXPECT_EQ(filled(config, "x${o}"),
            "o: found an object, expected a number, a name, true or false");
}

TEST(Hole, ListsHaveAnEntryPerLayer) {
  std::string config = R"({"a": [1, 2, 3], "m": [1, 2, 3, 4], "s": [1, 2]})";
  EXPECT_EQ(filled(config, "$a", 0), "1");
  EXPECT_EQ(filled(config, "$a * 2", 2), "6");
  EXPECT_EQ(filled(config, "$m", 2), "3");
  EXPECT_EQ(filled(config, "$s"), "s: found a list of 2, expected an entry for "
                                  "each of the 3 layers");
}

TEST(Hole, WhatIsNone) {
  for (const char *text :
       {"$", "$a |", "| 1", "$a * ", "$a b", "$a %", "$a ^ x"})
    EXPECT_FALSE(parseHole(text)) << text;
  EXPECT_FALSE(parseHoledText("a${b"));
  EXPECT_FALSE(parseHoledText("a${}"));
  EXPECT_FALSE(isHole("${a}b"));
}
