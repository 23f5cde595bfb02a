//===- CPU.h - Machine code for CPUs ----------------------------*- C++ -*-===//
//
// Part of moe-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef MOE_TARGET_CPU_CPU_H
#define MOE_TARGET_CPU_CPU_H

#include "moe/Schedule/Machine.h"

#include "mlir/IR/BuiltinOps.h"
#include "mlir/Pass/PassManager.h"
#include "llvm/ADT/SmallVector.h"
#include "llvm/Support/Error.h"

#include <memory>
#include <string>
#include <vector>

namespace llvm {
class LLVMContext;
class Module;
class TargetMachine;
} // namespace llvm

namespace moe {

/// One CPU to make code for.
class CPUTarget {
public:
  /// `name` is `native` or a CPU that LLVM knows; an unknown one is an error
  /// that says which was probably meant.
  static llvm::Expected<CPUTarget> create(llvm::StringRef name);

  CPUTarget(CPUTarget &&);
  CPUTarget &operator=(CPUTarget &&);
  ~CPUTarget();

  llvm::StringRef name() const { return cpu; }
  std::string triple() const;
  /// Features that code for this CPU may use, beyond what every x86-64 has.
  std::vector<std::string> requiredFeatures() const;
  /// f32 lanes of its widest vectors.
  int64_t vectorWidth() const;
  /// How many of them there are.
  int64_t registers() const;
  /// Whether it adds products of pairs of bf16 to f32, in vectors of 512 bits.
  bool hasBF16Dot() const;
  /// What schedules are made for; of `native`, the one that this runs on.
  Machine core() const;

  /// Translates a module of the LLVM dialect, lets `prepare` change it, and
  /// optimises it. Its functions are marked as code for this CPU.
  llvm::Expected<std::unique_ptr<llvm::Module>>
  translate(mlir::ModuleOp module, llvm::LLVMContext &context,
            llvm::function_ref<void(llvm::Module &)> prepare) const;
  enum class Output { assembly, object };
  /// Code for this CPU, but for functions that are marked for another.
  llvm::Expected<llvm::SmallString<0>> emit(llvm::Module &module,
                                            Output output) const;

private:
  CPUTarget() = default;
  std::string cpu;
  bool native = false;
  std::unique_ptr<llvm::TargetMachine> machine;
};

/// Loops over buffers to the LLVM dialect, with upstream passes.
void addCPULoweringPasses(mlir::OpPassManager &passes);

} // namespace moe

#endif // MOE_TARGET_CPU_CPU_H
