//===- BadInput.h - Inputs that are refused ---------------------*- C++ -*-===//
//
// Part of moe-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Tables of texts and exactly what is said about each: line, column, words.
//
//===----------------------------------------------------------------------===//

#ifndef MOE_TEST_UNIT_IMPORT_BADINPUT_H
#define MOE_TEST_UNIT_IMPORT_BADINPUT_H

#include "moe/Import/Import.h"

#include <gtest/gtest.h>

#include <ostream>
#include <string>
#include <vector>

namespace moe {

inline bool operator==(const Diagnostic &a, const Diagnostic &b) {
  return a.kind == b.kind && a.line == b.line && a.column == b.column &&
         a.message == b.message;
}

inline void PrintTo(const Diagnostic &diagnostic, std::ostream *out) {
  *out << formatDiagnostic(diagnostic, "", "");
}

namespace test {

using Kind = Diagnostic::Kind;

struct BadInput {
  const char *name;
  std::string text;
  std::vector<Diagnostic> expected;
};

/// A good spec of three lines; what is added to it starts a line of its own.
inline std::string specWith(const std::string &router,
                            const std::string &experts,
                            const std::string &rest) {
  auto added = [](const char *before, const std::string &text) {
    return text.empty() ? text : before + text;
  };
  return "{\"hidden\": 64,\n \"router\": {\"experts\": 8, \"top_k\": 2" +
         added(",\n  ", router) + "},\n \"experts\": {\"intermediate\": 96" +
         added(",\n  ", experts) + "}" + added(",\n ", rest) + "}";
}
inline std::string router(const std::string &text) {
  return specWith(text, "", "");
}
inline std::string experts(const std::string &text) {
  return specWith("", text, "");
}
inline std::string rest(const std::string &text) {
  return specWith("", "", text);
}

inline void checkBadInput(const BadInput &input) {
  ImportResult result = importSpec(input.text);
  EXPECT_FALSE(result.spec);
  EXPECT_EQ(result.diagnostics, input.expected) << input.text;
}

} // namespace test
} // namespace moe

/// One test per row of a table, named after it.
#define MOE_BAD_INPUTS(SUITE, TABLE)                                           \
  class SUITE : public testing::TestWithParam<BadInput> {};                    \
  TEST_P(SUITE, IsRefused) { checkBadInput(GetParam()); }                      \
  INSTANTIATE_TEST_SUITE_P(Import, SUITE, testing::ValuesIn(TABLE),            \
                           [](const testing::TestParamInfo<BadInput> &info) {  \
                             return std::string(info.param.name);              \
                           })

#endif // MOE_TEST_UNIT_IMPORT_BADINPUT_H
