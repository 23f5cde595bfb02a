//===- Choice.h - What a layer runs -----------------------------*- C++ -*-===//
//
// Part of moe-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef MOE_LIB_RUNTIME_CHOICE_H
#define MOE_LIB_RUNTIME_CHOICE_H

#include "Device/CUDA/Kernels.h"
#include "LoadedPackage.h"

namespace moe::runtime {

struct Choice {
  size_t variant = 0;
  std::shared_ptr<cuda::Kernels> kernels; ///< null: runs on the CPU
};

/// The code of a package for `device`; for null, for the one that MOE_DEVICE
/// names, or the CPU if `cpu` is given, or else for a GPU if there is one that
/// it has kernels for, and else for the CPU.
Choice chooseCode(const LoadedPackage &package,
                  const moe_layer_options &options);

} // namespace moe::runtime

#endif // MOE_LIB_RUNTIME_CHOICE_H
