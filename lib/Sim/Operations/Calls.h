//===- Calls.h - What kernels call ------------------------------*- C++ -*-===//
//
// Part of moe-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

//
// The functions behind operations that no processor of a host has. Names and
// operands are known to lib/Sim/Compiler, and nobody else. The last operand of
// most is the number of a place in the source.
//
//===----------------------------------------------------------------------===//

#ifndef MOE_LIB_SIM_OPERATIONS_CALLS_H
#define MOE_LIB_SIM_OPERATIONS_CALLS_H

#include "../Machine/Cluster.h"
#include "Abi.h"

#include <cstdint>

#define MOE_SIM_CALL extern "C" __attribute__((visibility("default")))
namespace moe::sim {

/// The body of a call that can fail. A kernel's frames cannot be unwound, so
/// that what is thrown ends here, and the kernel with it.
template <typename Body> auto guarded(Body &&body) {
  try {
    return body();
  } catch (const Stopped &) {
    self().done = true;
  }
  abandon();
}

} // namespace moe::sim

#endif // MOE_LIB_SIM_OPERATIONS_CALLS_H
