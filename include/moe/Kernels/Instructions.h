//===- Instructions.h - What kernels call by its name -----------*- C++ -*-===//
//
// Part of moe-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Intrinsics of LLVM that have no operation of NVVM: kernels are made with
// them, and whoever looks for them in kernels has their names from here.
//
//===----------------------------------------------------------------------===//

#ifndef MOE_KERNELS_INSTRUCTIONS_H
#define MOE_KERNELS_INSTRUCTIONS_H

#include "llvm/ADT/StringRef.h"

namespace moe {

/// mma.sync of e4m3, 16 rows by 8 outputs over 32 of the depth: sm_89.
inline constexpr llvm::StringLiteral kMmaOfE4m3 =
    "llvm.nvvm.mma.m16n8k32.row.col.f32.e4m3.e4m3.f32";

} // namespace moe

#endif // MOE_KERNELS_INSTRUCTIONS_H
