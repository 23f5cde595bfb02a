//===- BlockCodes.h - Values of blockwise formats as codes ------*- C++ -*-===//
//
// Part of moe-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Section 7 of docs/Spec.md. Values are f32, codes i32, or vectors of them.
//
//===----------------------------------------------------------------------===//

#ifndef MOE_LIB_KERNELS_BLOCKCODES_H
#define MOE_LIB_KERNELS_BLOCKCODES_H

#include "Emitter.h"

#include "moe/Dialect/MoE/MoE.h"

namespace moe {

/// 2^exponent for an exponent of a normal f32.
Val powerOfTwo(Val exponent);

/// floor(log2(value)) of a positive value; below the normal range, -127 is
/// low enough for every use here.
Val floorLog2(Val value);

/// The largest value that has a code.
double largestValue(QuantKind kind);

/// The code nearest to a finite `value`, ties to even, saturating.
Val toCode(Val value, QuantKind kind);

/// The value of a code; bits above those of the format mean nothing, except of
/// int8, whose code is signed.
Val fromCode(Val code, QuantKind kind);

} // namespace moe

#endif // MOE_LIB_KERNELS_BLOCKCODES_H
