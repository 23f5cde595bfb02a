//===- SharedLayout.h - Where variables of a block are ----------*- C++ -*-===//
//
// Part of moe-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef MOE_LIB_SIM_COMPILER_SHAREDLAYOUT_H
#define MOE_LIB_SIM_COMPILER_SHAREDLAYOUT_H

#include "mlir/Dialect/GPU/IR/GPUDialect.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"

namespace moe::sim {

bool isKernel(mlir::LLVM::LLVMFuncOp function);
/// Whether it is in the memory that a block shares.
bool isShared(mlir::LLVM::GlobalOp global);

struct SharedLayout {
  /// Of variables in static shared memory; dynamic ones are not in it.
  llvm::DenseMap<mlir::Operation *, int64_t> offsetOf;
  /// Bytes, by kernel.
  llvm::DenseMap<mlir::Operation *, int64_t> bytesOf;
  int64_t staticAlignment = 16, dynamicAlignment = 16;
};

/// A variable that only one kernel uses shares its place with those of others.
SharedLayout layOutShared(mlir::gpu::GPUModuleOp device);

} // namespace moe::sim

#endif // MOE_LIB_SIM_COMPILER_SHAREDLAYOUT_H
