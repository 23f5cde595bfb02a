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
#include "mlir/Dialect/Tensor/IR/Tensor.h"
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

/// Whether a slice is of whole strips, of all of the depth.
static bool isOfStrips(tensor::ExtractSliceOp slice) {
  RankedTensorType from = slice.getSourceType(), to = slice.getType();
  if (from.getRank() != to.getRank() || !hasStrips(to) ||
      !llvm::all_of(slice.getStaticStrides(), [](auto s) { return s == 1; }))
    return false;
  ArrayRef<int64_t> offsets = slice.getStaticOffsets();
  return offsets[offsets.size() - 2] % stripOutputs == 0 &&
         to.getShape().back() == from.getShape().back();
}

static bool isWeight(OpOperand &use) {
  if (auto slice = dyn_cast<tensor::ExtractSliceOp>(use.getOwner()))
    return isOfStrips(slice) && llvm::all_of(slice->getUses(), isWeight);
  OperandRange weights = weightsOf(use.getOwner());
  unsigned first = weights.getBeginOperandIndex();
  unsigned number = use.getOperandNumber();
  if (number >= first && number < first + weights.size())
    return true;
  auto both = dyn_cast<FeedForwardOp>(use.getOwner());
  return both && &use == &both.getDownMutable();
}

/// Of the weight that a value is, or a slice of; empty if it is none.
static StringRef nameOf(Value value) {
  while (auto slice = value.getDefiningOp<tensor::ExtractSliceOp>())
    value = slice.getSource();
  auto argument = dyn_cast<BlockArgument>(value);
  if (!argument)
    return "";
  auto func = cast<func::FuncOp>(argument.getOwner()->getParentOp());
  Candidate candidate{func, argument.getArgNumber()};
  return candidate.isWeight() ? candidate.name() : "";
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
    StringRef name = nameOf(value);
    return name.empty() || refused.contains(name);
  };
  for (bool changed = true; changed;) {
    changed = false;
    getOperation().walk([&](Operation *op) {
      OperandRange weights = weightsOf(op);
      if (llvm::any_of(weights, isRefused))
        for (Value weight : weights)
          changed |= refused.insert(nameOf(weight)).second;
    });
  }
  for (Candidate &candidate : candidates)
    if (!refused.contains(candidate.name()) && !candidate.name().empty())
      candidate.func.setArgAttr(candidate.number, boundary::kPacked,
                                UnitAttr::get(&getContext()));
}
