//===- TileProduct.h - Products in tiles, a block for each ------*- C++ -*-===//
//
// Part of moe-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// For a GPU. Which block has which rows is found on the device, from `offsets`:
// there are as many blocks as there may be tiles, and those without rows end at
// once. All sums of a tile are made at the same time, one per weight.
//
//===----------------------------------------------------------------------===//

#ifndef MOE_LIB_KERNELS_TILEPRODUCT_H
#define MOE_LIB_KERNELS_TILEPRODUCT_H

#include "Product.h"

namespace moe {

struct TileShape {
  int64_t rows, outputs, depth; // of a tile, and of what is read at once
  int64_t threads;
};

/// Rows of an expert and outputs from `out` on; what is past the end of either
/// is no part of the result.
struct ProductTile {
  Val expert, row, rowEnd, out;
  Val thread;         // of the block
  mlir::Value shared; // the block's memory, bytes
};

/// A kernel with `body` for each tile. All threads of a block are in it, or
/// none.
void emitTiles(Lowering &l, const Product &product, const TileShape &shape,
               int64_t sharedBytes,
               llvm::function_ref<void(const ProductTile &)> body);

/// With multiply-adds of f32 by each thread: any types, sizes and formats.
void emitFmaProduct(Lowering &l, const Product &product);
void emitFmaOuter(Lowering &l, const OuterProduct &product);

/// Whether rows can be codes of e4m3, so many with one scale.
bool takesCodes(const Product &product, int64_t block);

/// Whether matrix instructions can take the rows and the weights as they are.
bool fitsMma(const Product &product);
/// With `mma.sync` and copies that run ahead, for sm_80 and later.
void emitMmaProduct(Lowering &l, const Product &product);
/// The same of codes as they are, for sm_89 and later.
void emitFp8Product(Lowering &l, const Product &product);

/// The same for transposed weights, sums over rows, and f32 as tf32.
bool fitsMatrices(const Product &product);
bool fitsMatrices(const OuterProduct &product);
void emitMatrixProduct(Lowering &l, const Product &product);
void emitMatrixOuter(Lowering &l, const OuterProduct &product);

} // namespace moe

#endif // MOE_LIB_KERNELS_TILEPRODUCT_H
