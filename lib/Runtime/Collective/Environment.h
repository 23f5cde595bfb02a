//===- Environment.h - What launchers say -----------------------*- C++ -*-===//
//
// Part of moe-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
// mpirun, torchrun and srun tell a process its rank in the environment.
//
//===----------------------------------------------------------------------===//

#ifndef MOE_LIB_RUNTIME_COLLECTIVE_ENVIRONMENT_H
#define MOE_LIB_RUNTIME_COLLECTIVE_ENVIRONMENT_H

#include <cstdint>
#include <optional>

namespace moe::runtime {

struct Launched {
  int32_t rank, size;
  const char *engine; ///< that programs under this launcher use
};

/// From the first pair of variables of which one is set: Open MPI's, PMI's,
/// torchrun's, Slurm's. Fails with MOE_INVALID_ARGUMENT where they make no
/// sense.
std::optional<Launched> readLauncher();

} // namespace moe::runtime

#endif // MOE_LIB_RUNTIME_COLLECTIVE_ENVIRONMENT_H
