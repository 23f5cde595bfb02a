//===- Options.h - The command line of moe-run ------------------*- C++ -*-===//
//
// Part of moe-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
// What the user asked for.
//
//===----------------------------------------------------------------------===//

#ifndef MOE_LIB_RUN_OPTIONS_H
#define MOE_LIB_RUN_OPTIONS_H

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace moe::run {

struct Options {
  std::string directory, against;
  std::string function = "forward";
  std::map<std::string, int64_t> sizes;      ///< --tokens, --size
  std::map<std::string, std::string> inputs; ///< --set, --token-ids
  std::string firstInput, firstOutput;       ///< --input, --output
  std::vector<std::pair<std::string, std::string>> outputs; ///< --get
  std::string weights, saveWeights, dumpPlan;
  std::string cpu;              ///< empty: the best
  std::string device;           ///< empty: the best
  std::optional<int64_t> layer; ///< --layer
  uint64_t seed = 0;
  int threads = 0;
  int ranks = 0;       ///< 0: not said
  int nodeRanks = 0;   ///< 0: all
  std::string engine;  ///< empty: not said
  std::string flight;  ///< empty: none
  int64_t timeout = 0; ///< in milliseconds; 0: the runtime's
  bool exact = false, bench = false, json = false, help = false;
  bool version = false;
  bool graph = false; ///< --graph
};

/// Throws RunError on what it does not understand.
Options parseOptions(int argc, const char *const *argv);

extern const char *const helpText;

} // namespace moe::run

#endif // MOE_LIB_RUN_OPTIONS_H
