//===- WgmmaProduct.h - Tiles of products of warpgroups ---------*- C++ -*-===//
//
// Part of moe-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef MOE_LIB_KERNELS_WGMMAPRODUCT_H
#define MOE_LIB_KERNELS_WGMMAPRODUCT_H

#include "Product.h"

namespace moe {

/// How tiles are cut, and what a block has for them.
struct WgmmaShape {
  /// For tiles of so many rows: 16, 64 or 128. Of blocks in clusters, each has
  /// such a tile.
  WgmmaShape(const Product &product, int64_t rowsAtMost, int64_t blocks = 1);

  int64_t blocks;        // of a cluster, which share the weights
  int64_t rows, outputs; // of a tile, outputs of each weight
  bool swaps;            // the weights are the first operand
  int64_t consumers;     // warpgroups that multiply
  bool alternates;       // each takes a tile of its own, in turns
  int64_t stages;        // of the block's memory

  /// Of each weight, what a block copies to all of its cluster.
  int64_t partOutputs() const { return outputs / blocks; }
  int64_t stageBytes(int64_t weights) const;
  /// On one multiprocessor.
  int64_t blocksAtOnce() const { return consumers == 1 ? 2 : 1; }
  /// Registers of a thread: what one warpgroup gives, the others get.
  unsigned registersToProduce() const { return 72; }
  unsigned registersToConsume() const { return 216; }
};

/// Whether the rows and the weights are as TMA and wgmma take them.
bool fitsWgmma(const Product &product);
/// With `wgmma` and TMA, for sm_90a.
void emitWgmmaProduct(Lowering &l, const Product &product);

} // namespace moe

#endif // MOE_LIB_KERNELS_WGMMAPRODUCT_H
