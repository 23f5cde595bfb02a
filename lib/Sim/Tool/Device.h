//===- Device.h - One launch through the driver -----------------*- C++ -*-===//
//
// Part of moe-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef MOE_LIB_SIM_TOOL_DEVICE_H
#define MOE_LIB_SIM_TOOL_DEVICE_H

#include "Arguments.h"

namespace moe::sim {

struct Dimensions {
  unsigned x = 1, y = 1, z = 1;
};

struct Launch {
  std::string kernel; // empty for the only one
  Dimensions grid, block, cluster;
  unsigned shared = 0;
  std::vector<Argument> arguments;
};

/// Loads the image, launches, and brings the buffers back.
llvm::Error runOnDevice(const void *image, Launch &launch);

} // namespace moe::sim

#endif // MOE_LIB_SIM_TOOL_DEVICE_H
