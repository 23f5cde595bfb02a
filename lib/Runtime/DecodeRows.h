//===- DecodeRows.h - Values of quantised weights ---------------*- C++ -*-===//
//
// Part of moe-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
// docs/Spec.md has the kinds and what they mean.
//
//===----------------------------------------------------------------------===//

#ifndef MOE_LIB_RUNTIME_DECODEROWS_H
#define MOE_LIB_RUNTIME_DECODEROWS_H

#include "Pieces.h"

namespace moe::runtime {

/// The arrays of one unit; of its weights perhaps only some rows.
struct QuantisedUnit {
  const char *weights, *scales, *zeros, *globalScale;
  int64_t firstRow = 0; ///< that `weights` has
};

/// Computes what is taken of outputs [begin, end) of a unit. The first that is
/// taken goes to `to`.
void decodeRows(const DecodedPiece &piece, const QuantisedUnit &unit,
                int64_t begin, int64_t end, char *to);

} // namespace moe::runtime

#endif // MOE_LIB_RUNTIME_DECODEROWS_H
