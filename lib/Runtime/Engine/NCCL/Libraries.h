//===- Libraries.h - NCCL and the CUDA driver, loaded -----------*- C++ -*-===//
//
// Part of moe-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef MOE_LIB_RUNTIME_ENGINE_NCCL_LIBRARIES_H
#define MOE_LIB_RUNTIME_ENGINE_NCCL_LIBRARIES_H

#include "../Support/Failure.h"
#include "Abi.h"

namespace moe::engine::nccl {

/// Stay loaded for the life of the process.
struct Libraries {
  Nccl nccl = {};
  Cuda cuda = {};
  int version = 0;
};

/// From the files that MOE_NCCL and MOE_CUDA name, or else from where the
/// system looks. Fails with MOE_UNAVAILABLE.
Libraries loadLibraries();

/// As in "2.28.9".
std::string versionName(int version);

/// Fails unless `result` is success or `InProgress`.
void check(const Nccl &nccl, int result, const char *call, Comm comm = nullptr);
void check(const Cuda &cuda, int result, const char *call);

} // namespace moe::engine::nccl

#endif // MOE_LIB_RUNTIME_ENGINE_NCCL_LIBRARIES_H
