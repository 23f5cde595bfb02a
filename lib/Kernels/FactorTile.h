//===- FactorTile.h - Tiles of sums of products of two factors --*- C++ -*-===//
//
// Part of moe-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// A grouped product and a sum of outer products over rows differ in what runs
// along the depth, and in which way matrices lie in memory. Here both are
// factors with lines and places of the depth.
//
//===----------------------------------------------------------------------===//

#ifndef MOE_LIB_KERNELS_FACTORTILE_H
#define MOE_LIB_KERNELS_FACTORTILE_H

#include "TileProduct.h"

namespace moe {

/// A matrix of lines by places of the depth.
struct TileFactor {
  mlir::Value buffer;
  /// Where a value is, and the value itself.
  std::function<llvm::SmallVector<Val, 3>(Val line, Val place)> at;
  std::function<Val(Val line, Val place)> load;
  Val begin, end; // lines of the tile, of which there are none from `end` on
  bool isAcross;  // neighbours in memory are lines, not places of the depth
};

/// The sums over the depth of left times right, one per right factor.
struct FactorTile {
  TileFactor left;
  llvm::SmallVector<TileFactor, 2> rights;
  Val depthBegin, depthEnd;
  Val thread;         // of the block
  mlir::Value shared; // the block's memory, bytes
  std::function<void(Val line, Val out, llvm::ArrayRef<Val> sums)> finish;
};

/// A kernel with `body` for each tile of a product.
void emitFactorTiles(Lowering &l, const Product &product,
                     const TileShape &shape, int64_t sharedBytes,
                     llvm::function_ref<void(const FactorTile &)> body);
void emitFactorTiles(Lowering &l, const OuterProduct &product,
                     const TileShape &shape, int64_t sharedBytes,
                     llvm::function_ref<void(const FactorTile &)> body);

} // namespace moe

#endif // MOE_LIB_KERNELS_FACTORTILE_H
