//===- RowCodes.h - Rows in formats of blocks along them --------*- C++ -*-===//
//
// Part of moe-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// "Rows that are exchanged" in section 7 of docs/Spec.md. Formats are defined
// in f32 arithmetic, so the reference computes them in f32 too.
//
//===----------------------------------------------------------------------===//

#ifndef MOE_LIB_KERNELS_ROWCODES_H
#define MOE_LIB_KERNELS_ROWCODES_H

#include "BlockCodes.h"
#include "Product.h"
#include "Row.h"

namespace moe {

/// A block of a row, whose values are read as f32.
class BlockOfRow {
public:
  BlockOfRow(const Row &row, QuantKind kind,
             llvm::function_ref<Val(RowPart)> read);

  /// NaN or infinity if a value is.
  Val scale;
  /// i32; of values that the scale is no use for, 0.
  Val codes(RowPart part) const;

private:
  const Row &row;
  QuantKind kind;
  llvm::function_ref<Val(RowPart)> read;
  Val isUseful;
};

/// Rounds what the product multiplies, once for all outputs: the rows of x, of
/// which there are so many, or where not all of those are there the rows that
/// the product takes. They become codes where the product takes those, else
/// the values that they stand for.
void roundRows(Lowering &l, Product &product, QuantAttr format,
               const Extent &rows, bool areAllThere);

} // namespace moe

#endif // MOE_LIB_KERNELS_ROWCODES_H
