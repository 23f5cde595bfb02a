//===- TileWalk.h - Tiles of a product, taken in turns ----------*- C++ -*-===//
//
// Part of moe-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Blocks that stay take tile after tile. Each finds its next one from where it
// was, from `offsets` on the device.
//
//===----------------------------------------------------------------------===//

#ifndef MOE_LIB_KERNELS_TILEWALK_H
#define MOE_LIB_KERNELS_TILEWALK_H

#include "Product.h"

namespace moe {

/// A tile of so many rows and outputs; what is past the end of either is no
/// part of the result.
struct WalkedTile {
  Val expert, row, rowEnd, out;

  /// The row, or the last one where it is past that; the tile may have none.
  Val known(Emitter &e, Val r) const { return e.min(r, rowEnd - 1); }
};

struct TileWalk {
  const Product &product;
  int64_t rows, outputs; // of a tile

  /// How many tiles there are at most, on the host.
  Val mostTiles(Emitter &e) const;
  /// `body` for the tiles with the numbers `block`, `block + blocks` and so on.
  /// It gets what the one before it has returned.
  Emitter::Vals each(
      Emitter &e, Val block, Val blocks, llvm::ArrayRef<Val> initial,
      llvm::function_ref<Emitter::Vals(const WalkedTile &, llvm::ArrayRef<Val>)>
          body) const;

private:
  std::pair<Val, Val> rowsOf(Emitter &e, Val expert) const;
  Val tilesOf(Emitter &e, Val expert) const;
  int64_t across() const;
  WalkedTile tileOf(Emitter &e, Val expert, Val number) const;
};

} // namespace moe

#endif // MOE_LIB_KERNELS_TILEWALK_H
