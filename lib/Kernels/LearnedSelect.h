//===- LearnedSelect.h - Experts and weights by logits ----------*- C++ -*-===//
//
// Part of moe-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef MOE_LIB_KERNELS_LEARNEDSELECT_H
#define MOE_LIB_KERNELS_LEARNEDSELECT_H

#include "Lowering.h"

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
  mlir::Value indices, weights;
  /// s and q of the spec, one row per token.
  mlir::Value scores, keys;
  mlir::Value groupScores, relativeLoads;

  bool isSparsemixer() const {
    return router.getStrategy() == StrategyKind::sparsemixer;
  }

  // The choice.
  mlir::Value relativeLoad();
  void keysOfToken(Val t);
  void maskGroups(Val t);
  void chooseLargest(Val t);
  void takeTurns(Val t);
  Val lookUp(Val t);
  void addAlwaysOn(Val t);
  void expertChoice();
  Emitter::Vals largest(Val count, int64_t picks,
                        llvm::function_ref<Val(Val)> key,
                        llvm::function_ref<void(Val, Val)> visit);

  // The weights.
  void scoreToken(Val t);
  void weighChosen(Val t);
  void weighSparsely(Val t);
  void finishToken(Val t, Val hasExperts);
  Val norm(Val count, llvm::function_ref<Val(Val)> read);
  Val isFiniteToken(Val t);
  Val expertScale(Val weight, Val expert);
};

} // namespace moe

#endif // MOE_LIB_KERNELS_LEARNEDSELECT_H
