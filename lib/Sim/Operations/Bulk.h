//===- Bulk.h - Copies by a unit of their own -------------------*- C++ -*-===//
//
// Part of moe-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef MOE_LIB_SIM_OPERATIONS_BULK_H
#define MOE_LIB_SIM_OPERATIONS_BULK_H

#include "../Machine/Check.h"

#include <vector>

namespace moe::sim {

/// Some bytes of shared memory, and those of global memory that they belong to;
/// null where a box reaches over the edge of a tensor.
struct Piece {
  char *shared;
  char *global;
  uint32_t bytes;
};
using Pieces = std::vector<Piece>;

/// Into shared memory of the blocks of the mask, each of which has an mbarrier
/// at the place of this one. `fill` is for bytes without a source.
void bulkLoad(Thread &thread, Pieces pieces, void *mbarrier, uint32_t blocks,
              uint32_t fill, unsigned site);

/// Into global memory, as part of the thread's open group.
void bulkStore(Thread &thread, Pieces pieces, unsigned site);

} // namespace moe::sim

#endif // MOE_LIB_SIM_OPERATIONS_BULK_H
