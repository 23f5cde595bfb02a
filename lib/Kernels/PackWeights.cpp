//===- PackWeights.cpp - Weights whose outputs lie in strips --------------===//
//
// Part of moe-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "moe/Dialect/MoE/MoE.h"
#include "moe/Graph/Graph.h"
#include "moe/Kernels/Passes.h"
#include "moe/Schedule/Blocks.h"

#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "llvm/ADT/StringSet.h"

namespace moe {
#define GEN_PASS_DEF_PACKWEIGHTSPASS
#include "moe/Kernels/Passes.h.inc"
} // namespace moe

using namespace mlir;
using namespace moe;

namespace {

struct PackWeights : moe::impl::PackWeightsPassBase<PackWeights> {
  using PackWeightsPassBase::PackWeightsPassBase;
  void runOnOperation() override;

private:
  llvm::StringSet<> refused; // names of weights
};

/// A weight of a function.
struct Candidate {
  func::FuncOp func;
  unsigned number;

  BlockArgument value() { return func.getArgument(number); }
  StringRef name() {
    auto name = func.getArgAttrOfType<StringAttr>(number, boundary::kName);
    return name ? name.getValue() : "";
  }
  bool isWeight() {
    auto role = func.getArgAttrOfType<StringAttr>(number, boundary::kRole);
    return role && role.getValue() == "weight";
  }
};

} // namespace

static bool hasStrips(Type type) {
  auto tensor = dyn_cast<RankedTensorType>(type);
  if (!tensor || !tensor.hasStaticShape() || tensor.getRank() < 2 ||
      tensor.getRank() > 3)
    return false;
  Type element = tensor.getElementType();
  if (!element.isF32() && !element.isBF16())
    return false;
  ArrayRef<int64_t> shape = tensor.getShape();
  return fillsStrips(shape[shape.size() - 2], shape.back(),
                     element.getIntOrFloatBitWidth());
}

/// The weights that a product multiplies together.
static OperandRange weightsOf(Operation *op) {
  if (auto product = dyn_cast<GroupedMatmulOp>(op);
      product && !product.getTransposed())
    return product.getWeights();
  if (auto both = dyn_cast<FeedForwardOp>(op))
    return both.getUps();
  return op->getOperands().take_front(0);
}

static bool isWeight(OpOperand &use) {
  OperandRange weights = weightsOf(use.getOwner());
  unsigned first = weights.getBeginOperandIndex();
  unsigned number = use.getOperandNumber();
  if (number >= first && number < first + weights.size())
    return true;
  auto both = dyn_cast<FeedForwardOp>(use.getOwner());
  return both && &use == &both.getDownMutable();
}

void PackWeights::runOnOperation() {
  SmallVector<Candidate> candidates;
  for (auto func : getOperation().getOps<func::FuncOp>())
    if (!func.isExternal())
      for (unsigned i = 0; i < func.getNumArguments(); ++i)
        if (Candidate candidate{func, i}; candidate.isWeight())
          candidates.push_back(candidate);
  for (Candidate &candidate : candidates)
    if (!hasStrips(candidate.value().getType()) ||
        !llvm::all_of(candidate.value().getUses(), isWeight))
      refused.insert(candidate.name());
  // Those of one product are packed all or none.
  auto isRefused = [&](Value value) {
    auto argument = dyn_cast<BlockArgument>(value);
    return !argument ||
           refused.contains(
               Candidate{cast<func::FuncOp>(argument.getOwner()->getParentOp()),
                         argument.getArgNumber()}
                   .name());
  };
  for (bool changed = true; changed;) {
    changed = false;
    for (Candidate &candidate : candidates)
      for (OpOperand &use : candidate.value().getUses())
        if (llvm::any_of(weightsOf(use.getOwner()), isRefused) &&
            llvm::is_contained(weightsOf(use.getOwner()), use.get()))
          changed |= refused.insert(candidate.name()).second;
  }
  for (Candidate &candidate : candidates)
    if (!refused.contains(candidate.name()) && !candidate.name().empty())
      candidate.func.setArgAttr(candidate.number, boundary::kPacked,
                                UnitAttr::get(&getContext()));
}
