//===- WarpSums.h - From registers of a warp to the result ------*- C++ -*-===//
//
// Part of moe-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Of the sums of wgmma a warp has 16 lines of the first operand. In them a
// thread has pairs of columns, two lines of each. Where outputs come in eights
// they go through the block's memory, so that a thread finishes eight outputs
// of a row at once and writes 16 bytes.
//
//===----------------------------------------------------------------------===//

#ifndef MOE_LIB_KERNELS_WARPSUMS_H
#define MOE_LIB_KERNELS_WARPSUMS_H

#include "Product.h"

namespace moe {

class WarpSums {
public:
  /// `columns` are those of the second operand; `swaps`: they are rows, and the
  /// lines outputs.
  WarpSums(Emitter &e, const Product &product, int64_t columns, bool swaps);

  static constexpr int64_t lines = 16;
  /// Of the block's memory, for a warp.
  int64_t bytes() const;

  /// Where a warp's part of the tile begins; rows from `rowEnd` on are no part
  /// of the result.
  struct Part {
    Val expert, row, rowEnd, out;
  };
  /// Hands the sums to the product's `finish`, structs of LLVM for each weight.
  /// Its bytes begin at `begin` of the block's memory. All threads of the warp
  /// take part.
  void finish(const Part &part, Val lane, mlir::Value memory, Val begin,
              llvm::ArrayRef<Val> sums) const;

private:
  Emitter &e;
  const Product &product;
  int64_t columns;
  bool swaps, isWide;
  int64_t atOnce, pitch; // columns of a chunk; values from row to row of it

  void finishValues(const Part &part, Val lane, llvm::ArrayRef<Val> sums) const;
  /// Columns from `first` on.
  struct Chunk {
    int64_t first, count;
  };
  void finishChunk(const Part &part, Val lane, Chunk chunk,
                   llvm::ArrayRef<mlir::Value> staged) const;
  void stage(Val lane, mlir::Value to, Chunk chunk, Val sums) const;
};

} // namespace moe

#endif // MOE_LIB_KERNELS_WARPSUMS_H
