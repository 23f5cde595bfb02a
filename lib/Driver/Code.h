//===- Code.h - The code of a package ---------------------------*- C++ -*-===//
//
// Part of moe-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
// One program for each CPU of --cpu and one for a device, and all of them in
// one module.
//
//===----------------------------------------------------------------------===//

#ifndef MOE_LIB_DRIVER_CODE_H
#define MOE_LIB_DRIVER_CODE_H

#include "moe/Driver/Driver.h"
#include "moe/Package/Package.h"
#include "moe/Target/CPU/CPU.h"

namespace moe {

/// What is compiled, as it is made for one CPU, or for the host of a device.
struct Program {
  CPUTarget target;
  TargetKind kind;
  mlir::OwningOpRef<mlir::ModuleOp> module;
  PackageKernels kernels; // none: the CPU does it all

  /// What tells it apart from the others of a package.
  llvm::StringRef label() const {
    return hasKernels(kind) ? name(kind) : target.name();
  }
};

/// Programs without a module yet; no CPU twice. Beside code for CPUs, the host
/// of a device is any.
llvm::Expected<std::vector<Program>>
createPrograms(llvm::ArrayRef<std::string> cpus,
               llvm::ArrayRef<TargetKind> targets);

std::vector<PackageVariant> describe(std::vector<Program> &programs);

/// Translates and optimises each program for its CPU, and puts them into one
/// module, in which every function says for which CPU it is.
llvm::Expected<std::unique_ptr<llvm::Module>>
translate(llvm::ArrayRef<Program> programs,
          llvm::ArrayRef<PackageVariant> variants,
          llvm::ArrayRef<Signature> signatures, llvm::LLVMContext &context);

/// Machine code; functions that do not say for which CPU they are run on all.
llvm::Expected<llvm::SmallString<0>> emit(llvm::Module &code, bool asAssembly);

} // namespace moe

#endif // MOE_LIB_DRIVER_CODE_H
