//===- Passes.h - From loops to kernels and launches ------------*- C++ -*-===//
//
// Part of moe-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef MOE_TARGET_GPU_PASSES_H
#define MOE_TARGET_GPU_PASSES_H

#include "mlir/Pass/Pass.h"

#include <memory>

namespace moe {
#define GEN_PASS_DECL
#define GEN_PASS_REGISTRATION
#include "moe/Target/GPU/Passes.h.inc"
} // namespace moe

#endif // MOE_TARGET_GPU_PASSES_H
