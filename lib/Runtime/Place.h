//===- Place.h - From rows of a tensor to a weight --------------*- C++ -*-===//
//
// Part of moe-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
// Converts, selects and turns what was read.
//
//===----------------------------------------------------------------------===//

#ifndef MOE_LIB_RUNTIME_PLACE_H
#define MOE_LIB_RUNTIME_PLACE_H

#include "Pieces.h"

namespace moe::runtime {

/// Rows [begin, end) of one unit of a tensor, `pitch` bytes from each other.
struct Rows {
  const char *data;
  int64_t begin, end;
  int64_t pitch;
};

/// Puts what `piece` takes of the rows where its unit is in the weight.
void placeRows(const Piece &piece, const Rows &rows, char *unit);

/// Fills a unit with the number at `number`.
void placeNumber(const Piece &piece, const char *number, char *unit);

/// Rows that are placed together: `begin` and `end` are multiples of it, unless
/// `end` is the last.
int64_t rowsTogether(const Piece &piece);

} // namespace moe::runtime

#endif // MOE_LIB_RUNTIME_PLACE_H
