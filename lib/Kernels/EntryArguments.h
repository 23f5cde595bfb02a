//===- EntryArguments.h - What the entry of a function is given -*- C++ -*-===//
//
// Part of moe-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef MOE_LIB_KERNELS_ENTRYARGUMENTS_H
#define MOE_LIB_KERNELS_ENTRYARGUMENTS_H

#include "Lowering.h"

#include "mlir/Dialect/Func/IR/FuncOps.h"

namespace moe {

using EntryShape = llvm::SmallVector<Extent, 3>;

/// Of an argument or a result of the function, as its attributes say.
mlir::FailureOr<EntryShape> entryShape(mlir::func::FuncOp func,
                                       mlir::RankedTensorType type,
                                       mlir::DictionaryAttr attrs);

/// The names of the sizes that whoever calls the entry says.
mlir::FailureOr<llvm::SmallVector<std::string>>
entrySizes(mlir::func::FuncOp func);

/// Leaves on the entry what the manifest will say about it.
void describeEntry(mlir::func::FuncOp entry, mlir::func::FuncOp func,
                   llvm::ArrayRef<std::string> sizes, Lowering &l);

/// Of the exchange between ranks, or about it.
inline bool isOfColl(mlir::Operation &op) {
  return llvm::isa_and_nonnull<coll::CollDialect>(op.getDialect());
}

} // namespace moe

#endif // MOE_LIB_KERNELS_ENTRYARGUMENTS_H
