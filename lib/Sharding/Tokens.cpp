//===- Tokens.cpp - Tokens that other ranks have --------------------------===//
//
// Part of moe-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "RankProgram.h"

#include "moe/Graph/Graph.h"

using namespace mlir;
using namespace moe;

SmallVector<Axis> RankProgram::tokenAxes() const {
  SmallVector<Axis> result;
  for (Axis axis : {Axis::dp, Axis::ep})
    if (parallel.size(axis) > 1)
      result.push_back(axis);
  return result;
}

static StringRef roleOf(DictionaryAttr attrs) {
  auto role = attrs ? attrs.getAs<StringAttr>(boundary::kRole) : StringAttr();
  return role ? role.getValue() : StringRef();
}

/// Whether one of the sizes is so many times T.
static bool countsTokens(DictionaryAttr attrs) {
  auto sizes = attrs ? attrs.getAs<ArrayAttr>(boundary::kSizes) : ArrayAttr();
  return sizes && llvm::any_of(sizes, [](Attribute size) {
           auto text = dyn_cast<StringAttr>(size);
           return text &&
                  (text.getValue() == "T" || text.getValue().ends_with("*T"));
         });
}

bool RankProgram::hasTokens() {
  for (unsigned i = 0; i < func.getNumArguments(); ++i)
    if (countsTokens(func.getArgAttrDict(i)))
      return true;
  return false;
}

bool RankProgram::isOutputOfTokens(DictionaryAttr attrs) {
  return roleOf(attrs) == "output" && countsTokens(attrs);
}

/// With sequence parallelism, the tokens of the ranks that share one product.
void RankProgram::gatherSequence() {
  if (rowsName() == "T")
    return;
  b.setInsertionPointToStart(&func.getBody().front());
  for (BlockArgument argument : func.getArguments()) {
    unsigned number = argument.getArgNumber();
    if (!countsTokens(func.getArgAttrDict(number)) || argument.use_empty())
      continue;
    Value all = coll::AllGatherOp::create(b, argument.getType(), argument,
                                          b.getStringAttr("S"), axes(Axis::tp),
                                          "tokens of the sequence");
    argument.replaceAllUsesExcept(all, all.getDefiningOp());
  }
  // What is known of tokens besides results is of all that were gathered.
  for (unsigned i = 0; i < func.getNumResults(); ++i) {
    DictionaryAttr attrs = func.getResultAttrDict(i);
    if (!countsTokens(attrs) || isOutputOfTokens(attrs))
      continue;
    SmallVector<Attribute> sizes;
    for (Attribute size : attrs.getAs<ArrayAttr>(boundary::kSizes)) {
      StringRef text = cast<StringAttr>(size).getValue();
      bool tokens = text.consume_back("T");
      sizes.push_back(b.getStringAttr(text + (tokens ? "S" : "")));
    }
    func.setResultAttr(i, boundary::kSizes, b.getArrayAttr(sizes));
  }
}

/// Counts of all ranks, and logits of all tokens for losses.
void RankProgram::seeAllTokens() {
  SmallVector<Axis> split = tokenAxes();
  if (split.empty())
    return;
  ArrayAttr over = axes(split);
  llvm::DenseMap<Value, Value> totals;
  auto total = [&](Value counts) {
    Value &all = totals[counts];
    if (all)
      return all;
    b.setInsertionPointAfterValue(counts);
    b.setLoc(counts.getLoc());
    return all = coll::AllReduceOp::create(b, counts.getType(),
                                           coll::ReduceKind::sum, counts, over,
                                           "counts of all tokens");
  };
  for (Operation &op : llvm::make_early_inc_range(func.getBody().front())) {
    if (auto loss = dyn_cast<LossOp>(op)) {
      loss.getLogitsMutable().assign(gatherTokens(loss.getLogits(), "logits"));
      loss.getIndicesMutable().assign(
          gatherTokens(loss.getIndices(), "indices"));
    } else if (auto imbalance = dyn_cast<ImbalanceOp>(op)) {
      imbalance.getCountsMutable().assign(total(imbalance.getCounts()));
    } else if (auto accumulate = dyn_cast<AccumulateOp>(op)) {
      accumulate.getValuesMutable().assign(total(accumulate.getValues()));
    }
  }
}

/// Weights that are kept in shares over dp are put together before use.
void RankProgram::gatherWeights() {
  if (!parallel.fsdp || parallel.dp == 1)
    return;
  b.setInsertionPointToStart(&func.getBody().front());
  for (BlockArgument argument : func.getArguments()) {
    Type whole = argument.getType();
    if (roleOf(func.getArgAttrDict(argument.getArgNumber())) != "weight" ||
        !weights.keepShare(argument.getArgNumber(), parallel.dp))
      continue;
    Value all = coll::AllGatherOp::create(b, whole, argument, StringAttr(),
                                          axes(Axis::dp), "shares of a weight");
    argument.replaceAllUsesExcept(all, all.getDefiningOp());
  }
}

/// Sizes that are sums over ranks, as far as the program names them.
void RankProgram::nameSizes() {
  SmallVector<Axis> split = tokenAxes();
  SmallVector<NamedAttribute> sums;
  bool gathered = rowsName() != "T";
  auto sum = [&](StringRef name, SmallVector<Axis> over,
                 ArrayRef<Axis> before = {}) {
    bool named = gathered && name == "S";
    func.walk([&](Operation *op) {
      for (StringRef key : {"rows", "bound", "first"})
        if (auto text = op->getAttrOfType<StringAttr>(key))
          named |= text.getValue() == name ||
                   text.getValue().ends_with(("*" + name).str());
    });
    if (!named)
      return;
    if (gathered && name != "S")
      over.push_back(Axis::tp);
    NamedAttrList entry;
    entry.append("of", b.getStringAttr("T"));
    entry.append("axes", axes(over));
    if (!before.empty())
      entry.append("before", axes(before));
    sums.push_back(b.getNamedAttr(name, entry.getDictionary(b.getContext())));
  };
  sum("S", {Axis::tp});
  sum("R", {Axis::ep});
  sum("N", split);
  sum("P", split, split);
  if (gathered)
    split.push_back(Axis::tp);
  if (!sums.empty())
    func->setAttr(shardAttr::kSums, b.getDictionaryAttr(sums));
  if (!split.empty())
    func->setAttr(shardAttr::kTokensOver, axes(split));
}
