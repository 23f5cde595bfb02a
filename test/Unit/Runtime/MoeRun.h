//===- MoeRun.h - Calls moe-run ---------------------------------*- C++ -*-===//
//
// Part of moe-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
// The tool's main, called with arguments.
//
//===----------------------------------------------------------------------===//

#ifndef MOE_TEST_UNIT_RUNTIME_MOERUN_H
#define MOE_TEST_UNIT_RUNTIME_MOERUN_H

#include "Run/Run.h"
#include "Support.h"

#include <cstring>
#include <sstream>

namespace moe::test {

struct MoeRun : testing::Test {
  void TearDown() override { moe_set_threads(0); }

  /// Some letters stand for packages with that name in the folder.
  int run(std::vector<std::string> arguments) {
    std::vector<const char *> argv = {"moe-run"};
    for (std::string &argument : arguments) {
      if (argument.size() == 1 && std::strchr("npqsw", argument[0]))
        argument = folder / argument;
      argv.push_back(argument.c_str());
    }
    std::ostringstream outText, errText;
    int status =
        moe::run::runMain(int(argv.size()), argv.data(), outText, errText);
    out = outText.str();
    err = errText.str();
    return status;
  }
  nlohmann::json runJson(std::vector<std::string> arguments, int status = 0) {
    arguments.push_back("--json");
    EXPECT_EQ(status, run(arguments)) << err;
    return nlohmann::json::parse(out, nullptr, false);
  }
  void expectError(std::vector<std::string> arguments,
                   const std::string &message) {
    EXPECT_EQ(1, run(arguments));
    // One message, from moe-run itself or from a file that it names.
    EXPECT_NE(std::string::npos, err.find("error: ")) << err;
    EXPECT_EQ(err.find("error: "), err.rfind("error: ")) << err;
    EXPECT_NE(err.find(message), std::string::npos) << err;
    EXPECT_EQ("", out);
  }
  TemporaryFolder folder;
  std::string out, err;
};

} // namespace moe::test

#endif // MOE_TEST_UNIT_RUNTIME_MOERUN_H
