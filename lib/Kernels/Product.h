//===- Product.h - Rows times weights, and sums over rows -----------------===//
//
// Part of moe-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef MOE_LIB_KERNELS_PRODUCT_H
#define MOE_LIB_KERNELS_PRODUCT_H

#include "Weight.h"

#include <functional>

namespace moe {

/// For each row r and output o, the sums over c of x[row(r), c] * w[o, c], one
/// per weight, handed to `finish`: numbers, or vectors for the outputs from o
/// on of which `valid` count. Grouped products take w from the expert whose
/// part of `offsets` holds r. Each sum is made in the same order whatever rows
/// and outputs surround it. Transposed weights are w[c, o].
struct Product {
  mlir::Value x;
  std::function<Val(Val row)> row;
  llvm::SmallVector<Weight, 2> weights; // of one shape, and of one block
  mlir::Value offsets;                  // null: dense
  Val rows;                             // dense: how many
  std::function<void(Val expert, Val row, Val out, int64_t valid,
                     llvm::ArrayRef<Val> sums)>
      finish;
  bool transposed = false;
  bool tf32 = false; // whether f32 may be rounded before it is multiplied
  /// Where x are codes of e4m3, what they are to be multiplied by, each with as
  /// much of the depth as the scales of the weights have.
  mlir::Value rowScales = {};

  bool isGrouped() const { return weights.front().shape().size() == 3; }
  int64_t experts() const;
  int64_t outputs() const;
  int64_t depth() const;
  llvm::SmallVector<Val, 3> at(Val expert, Val out, Val c) const;
};

void emitReferenceProduct(Lowering &l, const Product &product);
void emitVectorProduct(Lowering &l, const Product &product);
/// The same with transposed weights, whose outputs are vectors.
void emitAcrossProduct(Lowering &l, const Product &product);
void emitTileProduct(Lowering &l, const Product &product);

inline void emitProduct(Lowering &l, const Product &product) {
  if (l.reference)
    emitReferenceProduct(l, product);
  else if (l.gpu)
    emitTileProduct(l, product);
  else if (product.transposed)
    emitAcrossProduct(l, product);
  else
    emitVectorProduct(l, product);
}

/// For each expert e, and each a and b: the sum over its rows r of
/// x[r, a] * y[r, b], to sums[e, a, b].
struct OuterProduct {
  mlir::Value x, y, offsets, sums;
  bool tf32 = false;

  int64_t experts() const { return shape().front(); }
  int64_t lefts() const { return shape()[1]; }
  int64_t rights() const { return shape().back(); }

private:
  llvm::ArrayRef<int64_t> shape() const {
    return mlir::cast<mlir::MemRefType>(sums.getType()).getShape();
  }
};

void emitReferenceOuter(Lowering &l, const OuterProduct &product);
void emitVectorOuter(Lowering &l, const OuterProduct &product);
void emitTileOuter(Lowering &l, const OuterProduct &product);

inline void emitOuter(Lowering &l, const OuterProduct &product) {
  if (l.reference)
    emitReferenceOuter(l, product);
  else if (l.gpu)
    emitTileOuter(l, product);
  else
    emitVectorOuter(l, product);
}

} // namespace moe

#endif // MOE_LIB_KERNELS_PRODUCT_H
