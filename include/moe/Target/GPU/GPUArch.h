//===- GPUArch.h - Architectures of GPUs ------------------------*- C++ -*-===//
//
// Part of moe-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef MOE_TARGET_GPU_GPUARCH_H
#define MOE_TARGET_GPU_GPUARCH_H

#include "llvm/Support/Error.h"

#include <cstdint>
#include <string>

namespace moe {

/// One architecture to make code for.
struct GPUArch {
  std::string name;   // as in sm_90a, or compute_80: PTX for it
  std::string sm;     // as in sm_80
  int64_t number = 0; // as in 80
  int64_t ptx = 0;    // the version of PTX that it needs, as in 80
  bool isPtx = false; // to be compiled by the driver, also for what is newer

  /// Whether it has products of warpgroups, and copies of boxes for them.
  bool hasWgmma() const { return sm == "sm_90a"; }
  /// Whether it has products of codes of 8 bits.
  bool hasFp8() const { return number >= 89; }

  /// An unknown one, or one that is too old, is an error that says what is
  /// known.
  static llvm::Expected<GPUArch> parse(llvm::StringRef name);
};

} // namespace moe

#endif // MOE_TARGET_GPU_GPUARCH_H
