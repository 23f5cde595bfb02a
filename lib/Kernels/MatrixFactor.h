//===- MatrixFactor.h - Factors as matrix instructions take them -*- C++ -*-==//
//
// Part of moe-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef MOE_LIB_KERNELS_MATRIXFACTOR_H
#define MOE_LIB_KERNELS_MATRIXFACTOR_H

#include "FactorTile.h"
#include "MmaTile.h"

namespace moe {

/// A factor of a tile in the block's memory, some steps of the depth at a time.
/// It lies there as it does in memory: along the depth or across it.
class MatrixFactor {
public:
  static constexpr int64_t lines = 64;

  MatrixFactor(Emitter &e, const FactorTile &tile, const TileFactor &factor,
               int64_t begin);

  /// Places of the depth in a step: 64 bytes of them.
  static int64_t depth(mlir::Type element) { return 2 * mmaDepth(element); }
  /// Whether copies of 16 bytes are all inside of a matrix or outside.
  static bool fits(mlir::Value buffer);
  static int64_t bytes(mlir::Type element, bool isAcross);

  /// Starts copies of the step that begins at a place of the depth. What is
  /// outside of the matrix becomes zero.
  void copyStep(Val begin, Val stage) const;
  /// What an instruction takes of 16 lines from one on, in the tile: of eight
  /// and of the others at the first half of its places, and the same at the
  /// second. `place` is the first in the step.
  llvm::SmallVector<mlir::Value> fragments(Val stage, Val line,
                                           int64_t place) const;

private:
  Emitter &e;
  const FactorTile &tile;
  const TileFactor &factor;
  mlir::Type element;
  Val lane;
  mlir::Value memory; // [stages, lines, depth], or [stages, depth, lines]

  struct Copy {
    llvm::SmallVector<Val, 3> source; // at the depth's begin
    Val row, column;                  // in the block's memory
    Val isInside;
  };
  llvm::SmallVector<Copy> copies;

  int64_t perCopy() const { return depth(element) / 4; }
  void planCopies();
  mlir::Value word(Val stage, Val place, Val line) const;
};

} // namespace moe

#endif // MOE_LIB_KERNELS_MATRIXFACTOR_H
