//===- TensorMap.h - Matrices that boxes are copied from --------*- C++ -*-===//
//
// Part of moe-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// The host describes matrices to TMA, and kernels get the description by value.
//
//===----------------------------------------------------------------------===//

#ifndef MOE_LIB_KERNELS_TENSORMAP_H
#define MOE_LIB_KERNELS_TENSORMAP_H

#include "Lowering.h"

namespace moe {

/// Whether TMA can copy from a buffer [rows, columns] or [matrices, rows,
/// columns]: sizes are known, and rows are compact and begin where 16 bytes do.
bool fitsTensorMap(mlir::Value buffer);

/// On the host: a description of it, for boxes of so many columns and rows.
mlir::Value emitTensorMap(Lowering &l, mlir::Value buffer, int64_t boxColumns,
                          int64_t boxRows);

} // namespace moe

#endif // MOE_LIB_KERNELS_TENSORMAP_H
