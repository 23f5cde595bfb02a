//===- GPU.h - Code for NVIDIA GPUs -----------------------------*- C++ -*-===//
//
// Part of moe-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef MOE_TARGET_GPU_GPU_H
#define MOE_TARGET_GPU_GPU_H

#include "moe/Target/GPU/GPUArch.h"

#include "mlir/Dialect/GPU/IR/GPUDialect.h"
#include "mlir/Pass/PassManager.h"
#include "llvm/Support/Error.h"

#include <string>
#include <vector>

namespace moe {

/// The only `gpu.module` of a lowered program.
mlir::gpu::GPUModuleOp findKernels(mlir::ModuleOp module);
/// Names of its kernels, in the order of their numbers.
std::vector<std::string> kernelNames(mlir::gpu::GPUModuleOp kernels);

/// Whether an operation multiplies matrices by warpgroups; names of kernels
/// that do end so.
bool usesWgmma(mlir::Operation *op);
inline constexpr llvm::StringLiteral kWgmmaSuffix = "_wgmma";
/// The same of codes of 8 bits, by warps.
bool usesFp8(mlir::Operation *op);
inline constexpr llvm::StringLiteral kFp8Suffix = "_fp8";
/// Takes those away that the architecture has no instructions for.
void dropKernels(mlir::gpu::GPUModuleOp kernels, const GPUArch &arch);

/// Text of PTX for kernels at the NVVM level.
llvm::Expected<std::string> emitPtx(mlir::gpu::GPUModuleOp kernels,
                                    const GPUArch &arch);
/// Machine code, by `ptxas`.
llvm::Expected<std::string> assemble(llvm::StringRef ptx, const GPUArch &arch);

/// One image of a fat binary.
struct GPUImage {
  GPUArch arch;
  std::string bytes;
};
/// All of them in one file, by `fatbinary`.
llvm::Expected<std::string> joinImages(llvm::ArrayRef<GPUImage> images);

/// What the passes below find through interfaces of dialects.
void registerGPULowering(mlir::DialectRegistry &registry);
/// Loops over buffers to launches of kernels at the NVVM level, and calls for
/// the host.
void addGPULoweringPasses(mlir::OpPassManager &passes);

} // namespace moe

#endif // MOE_TARGET_GPU_GPU_H
