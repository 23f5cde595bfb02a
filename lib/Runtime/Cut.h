//===- Cut.h - What a rank takes of a weight's pieces -----------*- C++ -*-===//
//
// Part of moe-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
// From what makes the whole weight to what makes a slice of it.
//
//===----------------------------------------------------------------------===//

#ifndef MOE_LIB_RUNTIME_CUT_H
#define MOE_LIB_RUNTIME_CUT_H

#include "Match.h"

namespace moe::runtime {

/// `whole` is the weight that the pieces make.
WeightPieces cut(const WeightPieces &pieces, const Target &whole,
                 const Slice &slice);

} // namespace moe::runtime

#endif // MOE_LIB_RUNTIME_CUT_H
