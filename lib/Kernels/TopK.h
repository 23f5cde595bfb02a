//===- TopK.h - The few largest values of a row ---------------------------===//
//
// Part of moe-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef MOE_LIB_KERNELS_TOPK_H
#define MOE_LIB_KERNELS_TOPK_H

#include "Row.h"

namespace moe {

/// The largest of a row's keys, none of which is NaN, in descending order; of
/// equal keys the lower index comes first.
class TopK {
public:
  /// `rows`: how many may be worked on at the same time.
  TopK(Lowering &l, const Extent &rows, int64_t count);

  /// Takes `picks` keys of `keys[row]`, and calls `visit(j, index)` for each.
  void pick(mlir::Value keys, Val row, int64_t picks,
            llvm::function_ref<void(Val, Val)> visit);
  /// Whether `pick`, which came before, took the key at `index`.
  Val isPicked(Val row, Val index);

private:
  Lowering &l;
  Emitter &e;
  const Row all;
  /// Of every row, integers that order as key and index do together.
  mlir::Value packed;
  mlir::Value keys;
  Emitter::Vals last;

  void pickPlainly(Val row, int64_t picks,
                   llvm::function_ref<void(Val, Val)> visit);
  void pack(Val row);
};

} // namespace moe

#endif // MOE_LIB_KERNELS_TOPK_H
