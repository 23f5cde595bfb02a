//===- Choice.cpp - Choices that look at the tokens of all ranks ----------===//
//
// Part of moe-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
// What would choose otherwise for tokens that are apart: each rank chooses for
// the whole batch and keeps its own tokens, or knows where in it they are.
//
//===----------------------------------------------------------------------===//

#include "RankProgram.h"

using namespace mlir;
using namespace moe;

/// Rows of all ranks, put together once.
Value RankProgram::gatherTokens(Value rows, StringRef name) {
  Value &all = ofAllTokens[rows];
  if (all)
    return all;
  b.setInsertionPointAfterValue(rows);
  b.setLoc(rows.getLoc());
  return all = coll::AllGatherOp::create(b, rows.getType(), rows,
                                         b.getStringAttr("N"),
                                         axes(tokenAxes()), name);
}

/// The rows of this rank's tokens.
Value RankProgram::ownTokens(Value all) {
  Value own = TakeRowsOp::create(b, all.getType(), all, b.getStringAttr("P"),
                                 b.getStringAttr(rowsName()));
  ofAllTokens[own] = all;
  return own;
}

/// The numbers of this rank's tokens in the whole batch, or those of all.
Value RankProgram::numberTokens(bool all) {
  auto type = RankedTensorType::get({ShapedType::kDynamic}, b.getI64Type());
  return RowNumbersOp::create(b, type,
                              all ? StringAttr() : b.getStringAttr("P"),
                              b.getStringAttr(all ? "N" : rowsName()));
}

void RankProgram::chooseForAll(SelectOp select, Value input) {
  b.setInsertionPoint(select);
  auto whole = cast<SelectOp>(b.clone(*select));
  whole.getInputMutable().assign(input);
  SmallVector<Value> own;
  for (Value result : whole->getResults())
    own.push_back(ownTokens(result));
  select->replaceAllUsesWith(own);
  select.erase();
}

void RankProgram::choose(SelectOp select) {
  RouterAttr router = select.getRouter();
  b.setInsertionPoint(select);
  b.setLoc(select.getLoc());
  if (router.isExpertChoice())
    return chooseForAll(select, gatherTokens(select.getInput(), "logits"));
  if (router.getStrategy() == StrategyKind::load_based)
    return chooseForAll(select, numberTokens(/*all=*/true));
  if (router.getStrategy() == StrategyKind::random ||
      router.getBalancing() == BalancingKind::round_robin)
    select.getTokenIdsMutable().assign(numberTokens(/*all=*/false));
}

/// Who has a place among all tokens is found first; what is grouped are the
/// slots that do. Counts are before that.
void RankProgram::limit(GroupOp group) {
  CapacityAttr capacity = *group.getCapacity();
  SmallVector<Value, 1> weights;
  if (capacity.getPriority() == PriorityKind::probability)
    weights.push_back(gatherTokens(group.getWeights(), "weights"));
  Value indices = gatherTokens(group.getIndices(), "indices");
  b.setInsertionPoint(group);
  b.setLoc(group.getLoc());
  auto whole = cast<GroupOp>(b.clone(*group));
  whole.getIndicesMutable().assign(indices);
  whole.getWeightsMutable().assign(weights);
  Value kept =
      KeepPlacedOp::create(b, group.getIndices().getType(), group.getIndices(),
                           ownTokens(whole.getPositions()));
  group.removeCapacityAttr();
  auto grouped = cast<GroupOp>(b.clone(*group));
  grouped.getIndicesMutable().assign(kept);
  group.getRows().replaceAllUsesWith(grouped.getRows());
  group.getOffsets().replaceAllUsesWith(grouped.getOffsets());
  group.getPositions().replaceAllUsesWith(grouped.getPositions());
}

void RankProgram::chooseTogether() {
  if (tokenAxes().empty())
    return;
  for (SelectOp select : llvm::to_vector(func.getOps<SelectOp>()))
    choose(select);
  for (GroupOp group : llvm::to_vector(func.getOps<GroupOp>()))
    if (group.getCapacity() && parallel.globalCapacity)
      limit(group);
}
