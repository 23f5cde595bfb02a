//===- DeviceCollectives.h - What kernels do around exchanges ---*- C++ -*-===//
//
// Part of moe-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// The runtime moves memory of a device and computes nothing there: sums of what
// members send are kernels, and so is what makes padded rows of ragged ones.
//
//===----------------------------------------------------------------------===//

#ifndef MOE_LIB_KERNELS_DEVICECOLLECTIVES_H
#define MOE_LIB_KERNELS_DEVICECOLLECTIVES_H

#include "Lowering.h"

namespace moe {

/// The first `rows` rows of `sum` out of those of all members, one member after
/// another: in the order of members, in f32 where they are narrower, rounded
/// once.
void emitSumOfParts(Lowering &l, coll::ReduceKind reduce, int64_t members,
                    mlir::Value parts, mlir::Value sum, Val rows);

/// Rows that lie by member and place, as `counts` says, and the same in blocks
/// of equal size, one for each member.
class PaddedRows {
public:
  /// Of the places [first, end) of each member; with `isWhole`, rows of the
  /// others lie between them.
  struct Places {
    int64_t members, first, end;
    bool isWhole;
  };
  PaddedRows(Lowering &l, mlir::Value rows, mlir::Value counts,
             const Places &places);

  /// The blocks, zeros where there are no rows.
  void pack(mlir::Value blocks, Val bound);
  void unpack(mlir::Value blocks, Val bound);

private:
  /// `body(member, row of the block, row, whether there is one)` of all values.
  void forEach(mlir::Value blocks, Val bound,
               llvm::function_ref<void(llvm::ArrayRef<Val> inBlocks,
                                       llvm::ArrayRef<Val> inRows, Val isRow)>
                   body);

  Lowering &l;
  Emitter &e;
  mlir::Value rows, begins; // of members: the first row, and how many
  const int64_t members;
};

} // namespace moe

#endif // MOE_LIB_KERNELS_DEVICECOLLECTIVES_H
