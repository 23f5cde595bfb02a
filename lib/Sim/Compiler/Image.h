//===- Image.h - The table of kernels ---------------------------*- C++ -*-===//
//
// Part of moe-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef MOE_LIB_SIM_COMPILER_IMAGE_H
#define MOE_LIB_SIM_COMPILER_IMAGE_H

#include "Calls.h"

namespace moe::sim {

/// What the table says of a kernel; see moe_sim_kernel.
struct KernelEntry {
  std::string name;
  mlir::LLVM::LLVMFuncOp body;
  llvm::SmallVector<int64_t> parameterSizes;
  int64_t staticShared = 0;
  int64_t staticAlignment = 1;
  int64_t dynamicAlignment = 1;
  int64_t maxThreads = 0;
  int64_t cluster[3] = {0, 0, 0};
};

struct GlobalEntry {
  std::string name;
  mlir::LLVM::GlobalOp global;
  int64_t bytes;
};

/// A constant moe_sim_image of that name.
void makeImage(mlir::ModuleOp host, llvm::StringRef name, int64_t architecture,
               llvm::ArrayRef<KernelEntry> kernels,
               llvm::ArrayRef<GlobalEntry> globals, const Calls &calls);

} // namespace moe::sim

#endif // MOE_LIB_SIM_COMPILER_IMAGE_H
