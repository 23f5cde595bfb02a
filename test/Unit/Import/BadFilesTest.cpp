//===- BadFilesTest.cpp - Files and all that is said about them -----------===//
//
// Part of moe-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Each test/Import/bad/NAME.json has a NAME.txt beside it: what a user reads.
//
//===----------------------------------------------------------------------===//

#include "moe/Import/Import.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <sstream>

using namespace moe;

static std::string contents(const std::filesystem::path &path) {
  std::ifstream file(path, std::ios::binary);
  std::stringstream text;
  text << file.rdbuf();
  return text.str();
}

TEST(BadFiles, SayWhatIsWrong) {
  size_t count = 0;
  std::filesystem::path folder = MOE_TEST_SOURCE_DIR "/test/Import/bad";
  for (const auto &entry : std::filesystem::directory_iterator(folder)) {
    std::filesystem::path path = entry.path();
    if (path.extension() != ".json")
      continue;
    std::string text = contents(path), said;
    ImportResult result = importSpec(text);
    EXPECT_FALSE(result.spec) << path;
    for (const Diagnostic &diagnostic : result.diagnostics)
      said += formatDiagnostic(diagnostic, path.filename().string(), text);
    EXPECT_EQ(said, contents(path.replace_extension(".txt"))) << path;
    ++count;
  }
  EXPECT_GE(count, 6u);
}
