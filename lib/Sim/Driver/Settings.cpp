//===- Settings.cpp - What the environment asks for -----------------------===//
//
// Part of moe-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Settings.h"

#include <cerrno>
#include <cstdlib>
#include <cstring>

using namespace moe::sim;

template <typename T>
static void readNumber(const char *name, T least, T most, T &value,
                       std::string &problem) {
  const char *words = std::getenv(name);
  if (!words || !*words)
    return;
  char *end;
  errno = 0;
  unsigned long long number = std::strtoull(words, &end, 10);
  if (*end || errno || *words == '-' || number < least || number > most) {
    problem = std::string(name) + " is '" + words +
              "', expected a number from " + std::to_string(least) + " to " +
              std::to_string(most);
    return;
  }
  value = T(number);
}

Settings moe::sim::readSettings(std::string &problem) {
  Settings settings;
  readNumber<uint64_t>("MOE_SIM_SEED", 0, UINT64_MAX, settings.seed, problem);
  readNumber<unsigned>("MOE_SIM_PREEMPT", 0, 1 << 30, settings.preempt,
                       problem);
  readNumber<uint64_t>("MOE_SIM_MEMORY", 0, uint64_t(1) << 46, settings.memory,
                       problem);
  readNumber<unsigned>("MOE_SIM_DEVICES", 0, 64, settings.devices, problem);
  readNumber<unsigned>("MOE_SIM_MULTIPROCESSORS", 1, 1024,
                       settings.multiprocessors, problem);
  const char *architecture = std::getenv("MOE_SIM_ARCH");
  if (!architecture || !*architecture)
    return settings;
  for (unsigned known : {80u, 86u, 89u, 90u}) {
    std::string name = "sm_" + std::to_string(known);
    if (architecture == name || (known == 90 && architecture == name + "a")) {
      settings.architecture = known;
      return settings;
    }
  }
  problem = std::string("MOE_SIM_ARCH is '") + architecture +
            "', expected sm_80, sm_86, sm_89, sm_90 or sm_90a";
  return settings;
}
