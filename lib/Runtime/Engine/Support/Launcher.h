//===- Launcher.h - Which rank the launcher has made this -------*- C++ -*-===//
//
// Part of moe-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef MOE_LIB_RUNTIME_ENGINE_SUPPORT_LAUNCHER_H
#define MOE_LIB_RUNTIME_ENGINE_SUPPORT_LAUNCHER_H

#include "Failure.h"

namespace moe::engine {

struct Launched {
  int32_t rank, size;
  int32_t local; /* number among the ranks of this machine, or the rank */
};

/// Of torchrun, mpirun or srun, unless the options say it.
Launched findLaunched(const moe_engine_options &options);

} // namespace moe::engine

#endif // MOE_LIB_RUNTIME_ENGINE_SUPPORT_LAUNCHER_H
