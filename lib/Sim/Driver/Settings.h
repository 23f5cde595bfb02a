//===- Settings.h - What the environment asks for ---------------*- C++ -*-===//
//
// Part of moe-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef MOE_LIB_SIM_DRIVER_SETTINGS_H
#define MOE_LIB_SIM_DRIVER_SETTINGS_H

#include <cstdint>
#include <string>

namespace moe::sim {

struct Settings {
  uint64_t seed = 1;          // MOE_SIM_SEED, of all choices left to chance
  unsigned preempt = 0;       // MOE_SIM_PREEMPT, see Launch
  unsigned architecture = 90; // MOE_SIM_ARCH, such as sm_80
  uint64_t memory = uint64_t(8) << 30; // MOE_SIM_MEMORY, bytes
  unsigned devices = 1;                // MOE_SIM_DEVICES
  unsigned multiprocessors = 132;      // MOE_SIM_MULTIPROCESSORS
};

/// Or what is wrong with them.
Settings readSettings(std::string &problem);

} // namespace moe::sim

#endif // MOE_LIB_SIM_DRIVER_SETTINGS_H
