//===- Tool.h - moe-sim -----------------------------------------*- C++ -*-===//
//
// Part of moe-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef MOE_SIM_TOOL_H
#define MOE_SIM_TOOL_H

namespace moe {

/// Runs one kernel of a file on the simulator.
int simMain(int argc, char **argv);

} // namespace moe

#endif // MOE_SIM_TOOL_H
