//===- Machines.h - Machines to schedule for --------------------*- C++ -*-===//
//
// Part of moe-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef MOE_UNIT_SCHEDULE_MACHINES_H
#define MOE_UNIT_SCHEDULE_MACHINES_H

#include "moe/Schedule/Machine.h"

namespace moe {

inline Machine machineOf(const char *cpu, int64_t lanes, int64_t registers) {
  Machine machine;
  machine.lanes = lanes;
  machine.registers = registers;
  setCaches(machine, cpu);
  return machine;
}

} // namespace moe

#endif // MOE_UNIT_SCHEDULE_MACHINES_H
