//===- RankedSlots.h - Slots of an expert, counted by blocks ----*- C++ -*-===//
//
// Part of moe-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef MOE_LIB_KERNELS_RANKEDSLOTS_H
#define MOE_LIB_KERNELS_RANKEDSLOTS_H

#include "Lowering.h"

namespace moe {

/// Slots of a range: a block of a GPU has a thread for each.
inline constexpr int64_t slotsOfBlock = 256;

/// How slots are numbered: all of a token, or of all tokens the first ones.
enum class SlotOrder { byToken, byChoice };

/// A slot, how many of its expert are before it in its range, and whether none
/// is after it there.
struct RankedSlot {
  Val range, token, slot, expert, rank, isLast;
};

/// `body` for every slot of [tokens, slots] experts, in a kernel whose blocks
/// have ranges of them. All threads of a block have been in `before` when the
/// first of them is in `body`.
void emitRankedSlots(Lowering &l, mlir::Value indices, const Extent &tokens,
                     SlotOrder order,
                     llvm::function_ref<void(Val range, Val thread)> before,
                     llvm::function_ref<void(const RankedSlot &)> body);

} // namespace moe

#endif // MOE_LIB_KERNELS_RANKEDSLOTS_H
