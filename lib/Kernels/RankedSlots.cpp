//===- RankedSlots.cpp - Slots of an expert, counted by blocks ------------===//
//
// Part of moe-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "RankedSlots.h"

using namespace mlir;
using namespace moe;

/// Each thread compares its expert with those of the whole block.
void moe::emitRankedSlots(Lowering &l, Value indices, const Extent &tokens,
                          SlotOrder order,
                          llvm::function_ref<void(Val, Val)> before,
                          llvm::function_ref<void(const RankedSlot &)> body) {
  Emitter &e = l.e;
  Type i32 = e.getI32Type();
  int64_t slots = cast<MemRefType>(indices.getType()).getDimSize(1);
  Extent all = tokens.times(slots);
  auto place = [&](Val number) -> std::pair<Val, Val> {
    if (order == SlotOrder::byToken)
      return {number / double(slots), number % double(slots)};
    return {number % l.size(tokens), number / l.size(tokens)};
  };
  e.launch(l.size(all.dividedBy(slotsOfBlock)), slotsOfBlock, 4 * slotsOfBlock,
           [&](Val range, Val thread, Value memory) {
             Value experts = e.shared(memory, 0, i32, {slotsOfBlock});
             Val number = range * double(slotsOfBlock) + thread;
             Val isInside = number < l.size(all);
             auto [token, slot] = place(number);
             Val expert = e.choose(
                 isInside,
                 [&, &t = token, &j = slot] { return e.load(indices, {t, j}); },
                 [&] { return e.constant(i32, -1); });
             e.store(expert, experts, {thread});
             before(range, thread);
             e.barrier();
             Val zero = e.constant(i32, 0), yes = e.constant(e.getI1Type(), 1);
             auto found = e.carry(
                 e.index(0), e.index(slotsOfBlock), {zero, yes},
                 [&](Val other, ArrayRef<Val> known) {
                   Val isSame = e.load(experts, {other}) == expert;
                   Val isBefore = isSame & (other < thread);
                   Val isAfter = isSame & (other > thread);
                   return Emitter::Vals{known[0] + e.extend(isBefore, i32),
                                        known[1] & (isAfter == 0)};
                 });
             e.when(isInside, [&, &t = token, &j = slot] {
               body({range, t, j, expert, found[0], found[1]});
             });
           });
}
