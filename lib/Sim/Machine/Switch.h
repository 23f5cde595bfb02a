//===- Switch.h - From one stack to another ---------------------*- C++ -*-===//
//
// Part of moe-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// A switch of ucontext is two system calls, for signal masks that nobody here
// changes: 316 ns where these few instructions take 16.
//
//===----------------------------------------------------------------------===//

#ifndef MOE_LIB_SIM_MACHINE_SWITCH_H
#define MOE_LIB_SIM_MACHINE_SWITCH_H

#include "Fiber.h"

/// Leaves the stack at hand in `save` and goes on where `load` was left.
extern "C" void moe_sim_switch(void **save, void *load);

namespace moe::sim {

/// A stack that looks as if it had been left right before `entry(argument)`.
void *firstFrame(Stack &stack, Fiber::Entry entry, void *argument);

} // namespace moe::sim

#endif // MOE_LIB_SIM_MACHINE_SWITCH_H
