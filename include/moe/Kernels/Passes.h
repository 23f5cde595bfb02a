//===- Passes.h - From moe operations to loops ------------------*- C++ -*-===//
//
// Part of moe-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef MOE_KERNELS_PASSES_H
#define MOE_KERNELS_PASSES_H

#include "moe/Schedule/GpuClusters.h"

#include "mlir/Pass/Pass.h"

#include <memory>

namespace moe {
#define GEN_PASS_DECL
#define GEN_PASS_REGISTRATION
#include "moe/Kernels/Passes.h.inc"
} // namespace moe

#endif // MOE_KERNELS_PASSES_H
