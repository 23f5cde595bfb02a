//===- WarpQuarter.h - What a warp has of a tile of matrices ----*- C++ -*-===//
//
// Part of moe-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Four warps share a tile, two by two; each has the sums of a quarter in
// registers. What they multiply is copied some steps of the depth ahead.
//
//===----------------------------------------------------------------------===//

#ifndef MOE_LIB_KERNELS_WARPQUARTER_H
#define MOE_LIB_KERNELS_WARPQUARTER_H

#include "MmaTile.h"

namespace moe {

class WarpQuarter {
public:
  /// Lines of either side of a quarter, and instructions that cover them.
  static constexpr int64_t lines = 32;
  static constexpr int64_t rowTiles = lines / mmaRows;
  static constexpr int64_t outputTiles = lines / mmaOutputs;

  /// Of a product with so many right factors, which share the left one.
  WarpQuarter(Emitter &e, Val thread, mlir::Type element, size_t rights);

  Val lane;
  /// The first row and the first output of which the thread has a sum, in the
  /// tile.
  Val row, out;

  Emitter::Vals zeros() const;
  /// Which of the sums is that of a right factor, a row and an output: `below`,
  /// or `next` to the first of an instruction.
  static int64_t sumAt(size_t right, int64_t rowTile, int64_t outputTile,
                       int64_t below, int64_t next);

  /// What instructions take of 16 lines of the tile from one on, at a place of
  /// the step; of a right factor both halves of the depth of eight, then of the
  /// others.
  using Fragments = llvm::SmallVector<mlir::Value>;
  using Left = llvm::function_ref<Fragments(Val line, int64_t place)>;
  using Right =
      llvm::function_ref<Fragments(size_t right, Val line, int64_t place)>;
  /// The sums with what a step of the depth adds.
  Emitter::Vals multiply(int64_t depth, Left left, Right right,
                         Emitter::Vals sums) const;

  /// `finish(row, output, sums)` of what lies before the ends, in a tile that
  /// begins at a row and an output.
  using Finish = llvm::function_ref<void(Val, Val, llvm::ArrayRef<Val>)>;
  void finish(Val beginRow, Val endRow, Val beginOut, Val endOut,
              llvm::ArrayRef<Val> sums, Finish finish) const;

private:
  Emitter &e;
  mlir::Type element;
  size_t rights;
  Val firstRow, firstOut; // of the warp, in the tile
};

/// Starts the copies of the first steps. `copy` does nothing for a step that
/// there is not.
void startSteps(Emitter &e, llvm::function_ref<void(Val number)> copy);
/// Waits for the copies of a step and starts those of a later one.
void awaitStep(Emitter &e, Val number,
               llvm::function_ref<void(Val number)> copy);

} // namespace moe

#endif // MOE_LIB_KERNELS_WARPQUARTER_H
