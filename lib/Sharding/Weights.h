//===- Weights.h - Weights become slices ------------------------*- C++ -*-===//
//
// Part of moe-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef MOE_LIB_SHARDING_WEIGHTS_H
#define MOE_LIB_SHARDING_WEIGHTS_H

#include "moe/Dialect/MoE/MoE.h"
#include "moe/Sharding/Parallel.h"

#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "llvm/ADT/MapVector.h"

namespace moe {

/// What each member of `axis` has of the dimension `dim`.
struct Split {
  int64_t dim;
  Axis axis;
  int64_t members;
  /// The dimension is so many blocks one after the other, each of which is
  /// split.
  int64_t parts = 1;
  /// Of dimension 0: the entries of each member, -1 for none. Empty: equal
  /// shares.
  std::vector<std::vector<int64_t>> experts = {};

  bool operator==(const Split &other) const {
    return dim == other.dim && axis == other.axis && parts == other.parts;
  }
  /// How much of `size` a member has.
  int64_t share(int64_t size) const {
    return experts.empty() ? size / members
                           : static_cast<int64_t>(experts.front().size());
  }
};

/// Splits weights where products read them, back to the arguments that they
/// come from: types change in place, and arguments get to know what of the
/// whole they are.
class Weights {
public:
  explicit Weights(mlir::func::FuncOp func) : func(func) {}

  mlir::LogicalResult split(mlir::Value value, Split split);
  /// Only the first member of `axis` has the values; the others have zeros.
  void onlyFirst(mlir::Value argument, Axis axis);
  /// Keeps shares of what lies along the first dimension of argument `number`,
  /// if members divide it. True if they do.
  bool keepShare(unsigned number, int64_t members);
  /// Writes types and attributes of the function.
  void finish();

private:
  struct Slice {
    mlir::RankedTensorType whole;
    llvm::SmallVector<Split, 3> splits;
    std::optional<Axis> onlyFirst;
  };
  mlir::func::FuncOp func;
  llvm::MapVector<mlir::BlockArgument, Slice> slices;

  mlir::LogicalResult splitArgument(mlir::BlockArgument argument, Split split);
  mlir::LogicalResult splitSlice(mlir::tensor::ExtractSliceOp op, Split split);
  mlir::LogicalResult splitDecoded(DecodeOp op, Split split);
  mlir::DictionaryAttr describe(const Slice &slice);
};

} // namespace moe

#endif // MOE_LIB_SHARDING_WEIGHTS_H
