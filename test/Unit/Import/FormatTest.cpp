//===- FormatTest.cpp - Diagnostics as text -------------------------------===//
//
// Part of moe-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "moe/Import/Import.h"

#include <gtest/gtest.h>

using namespace moe;

static std::string format(size_t line, size_t column, std::string_view text) {
  return formatDiagnostic({Diagnostic::Kind::error, line, column, "found it"},
                          "a.json", text);
}

TEST(Format, CaretStandsUnderTheColumn) {
  EXPECT_EQ(format(2, 3, "one\ntwo\nthree"),
            "a.json:2:3: error: found it\ntwo\n  ^\n");
  EXPECT_EQ(formatDiagnostic({Diagnostic::Kind::note, 1, 1, "here"}, "b", "x"),
            "b:1:1: note: here\nx\n^\n");
}

TEST(Format, EndOfTheLineAndOfTheText) {
  EXPECT_EQ(format(1, 4, "one\r\ntwo"),
            "a.json:1:4: error: found it\none\n   ^\n");
  EXPECT_EQ(format(2, 1, "one\n"), "a.json:2:1: error: found it\n\n^\n");
  EXPECT_EQ(format(1, 1, ""), "a.json:1:1: error: found it\n\n^\n");
}

TEST(Format, TabsStayTabs) {
  EXPECT_EQ(format(1, 3, "\t\tx"),
            "a.json:1:3: error: found it\n\t\tx\n\t\t^\n");
}

TEST(Format, ACharacterIsOneColumnOfTheCaret) {
  EXPECT_EQ(format(1, 5, "\xC3\xA9\xC3\xA9x"),
            "a.json:1:5: error: found it\n\xC3\xA9\xC3\xA9x\n  ^\n");
}

TEST(Format, NothingReachesTheTerminalThatItWouldObey) {
  EXPECT_EQ(format(1, 4, "a\x1B[\xFF\x80"),
            "a.json:1:4: error: found it\na [??\n   ^\n");
}

TEST(Format, LongLinesAreCut) {
  std::string text(1000, 'x');
  text[500] = 'y';
  std::string before(60, 'x'), after(39, 'x');
  EXPECT_EQ(format(1, 501, text), "a.json:1:501: error: found it\n..." +
                                      before + "y" + after + "...\n" +
                                      std::string(63, ' ') + "^\n");
}

TEST(Format, PositionsThatAreNotInTheText) {
  EXPECT_EQ(format(7, 9, "one"), "a.json:7:9: error: found it\n\n^\n");
  EXPECT_EQ(format(1, 9, "one"), "a.json:1:9: error: found it\none\n   ^\n");
}
