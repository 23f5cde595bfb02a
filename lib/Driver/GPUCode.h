//===- GPUCode.h - Kernels of a package -------------------------*- C++ -*-===//
//
// Part of moe-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef MOE_LIB_DRIVER_GPUCODE_H
#define MOE_LIB_DRIVER_GPUCODE_H

#include "moe/Package/Package.h"
#include "moe/Target/GPU/GPU.h"

namespace moe {

/// Takes the kernels out of a lowered program and makes code of them for each
/// architecture.
llvm::Expected<PackageKernels> takeKernels(mlir::ModuleOp module,
                                           llvm::ArrayRef<GPUArch> archs);

/// Makes functions of the host of them, and a table for the simulator.
llvm::Expected<PackageKernels> simulateKernels(mlir::ModuleOp module,
                                               const GPUArch &arch);

/// What `--emit=ptx`, `cubin` or `fatbin` writes.
enum class GPUOutput { ptx, cubin, fatbin };
llvm::Expected<std::string> emitKernels(mlir::ModuleOp module,
                                        llvm::ArrayRef<GPUArch> archs,
                                        GPUOutput output);

} // namespace moe

#endif // MOE_LIB_DRIVER_GPUCODE_H
