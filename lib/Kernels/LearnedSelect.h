//===- LearnedSelect.h - Experts and weights by logits ----------*- C++ -*-===//
//
// Part of moe-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef MOE_LIB_KERNELS_LEARNEDSELECT_H
#define MOE_LIB_KERNELS_LEARNEDSELECT_H

#include "TopK.h"

namespace moe {

/// Sections 3.2 to 3.6 and 3.8 of docs/Spec.md: what `select` does with logits.
class LearnedSelect {
public:
  LearnedSelect(Lowering &l, SelectOp op);

  void lower();

private:
  Lowering &l;
  Emitter &e;
  SelectOp op;
  RouterAttr router;
  Extent tokens;
  mlir::Value logits;
  const int64_t numLogits, numChoices, numSlots;
  const Row allLogits, allSlots;
  mlir::Value indices, weights;
  /// s and q of the spec. Tokens that come one after the other take turns in a
  /// row, unless all are looked at again.
  mlir::Value scores, keys;
  mlir::Value groupScores, relativeLoads;
  std::optional<TopK> experts, groups;
  /// The token at hand, and the row of what is between.
  Val t, place;

  bool isSparsemixer() const {
    return router.getStrategy() == StrategyKind::sparsemixer;
  }
  bool choosesLargest() const {
    return router.getStrategy() != StrategyKind::table &&
           router.getBalancing() != BalancingKind::round_robin;
  }
  Val scoreRow() const { return scores == logits ? t : place; }
  void selectToken();

  // The choice.
  mlir::Value relativeLoad();
  void keysOfToken();
  void maskGroups();
  void chooseLargest();
  void takeTurns();
  Val lookUp();
  void addAlwaysOn();
  void expertChoice();

  // The weights.
  void scoreToken();
  void weighChosen();
  void weighSparsely();
  void finishToken(Val hasExperts);
  Val norm(llvm::function_ref<Val(Val)> read);
  Val isFiniteToken();
  Val expertScale(Val weight, Val expert);
};

} // namespace moe

#endif // MOE_LIB_KERNELS_LEARNEDSELECT_H
