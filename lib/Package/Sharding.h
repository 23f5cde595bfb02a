//===- Sharding.h - What a package says about other ranks -------*- C++ -*-===//
//
// Part of moe-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef MOE_LIB_PACKAGE_SHARDING_H
#define MOE_LIB_PACKAGE_SHARDING_H

#include "moe/Package/Package.h"

#include "mlir/Dialect/Func/IR/FuncOps.h"

namespace moe {

/// Reads `moe.collectives`, `moe.sums` and `moe.tokens_over` of an entry whose
/// sizes have been read.
mlir::LogicalResult readExchanges(mlir::func::FuncOp func,
                                  Signature &signature);

/// Reads `moe.shard` of a weight whose shape has been read.
mlir::LogicalResult readShard(mlir::func::FuncOp func, mlir::Attribute attr,
                              Argument &argument);

/// The manifest's name of an element type; empty if it has none.
std::string typeName(mlir::Type type);

} // namespace moe

#endif // MOE_LIB_PACKAGE_SHARDING_H
