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

#include "Weight.h"

#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "llvm/ADT/StringMap.h"
#include "llvm/ADT/StringSet.h"

namespace moe {
#define GEN_PASS_DEF_PACKWEIGHTSPASS
#include "moe/Kernels/Passes.h.inc"
} // namespace moe

using namespace mlir;
using namespace moe;

namespace {

/// An argument of a function, and how it lies in strips.
struct Packed {
  BlockArgument argument;
  StripOrder order;

  StringRef name() const { return text(boundary::kName); }
  bool isWeight() const { return text(boundary::kRole) == "weight"; }
  void mark() const {
    Builder b(argument.getContext());
    func().setArgAttr(argument.getArgNumber(), boundary::kPacked,
                      b.getStringAttr(nameOf(order)));
  }

private:
  func::FuncOp func() const {
    return cast<func::FuncOp>(argument.getOwner()->getParentOp());
  }
  StringRef text(StringRef attr) const {
    auto value =
        func().getArgAttrOfType<StringAttr>(argument.getArgNumber(), attr);
    return value ? value.getValue() : "";
  }
};

/// What is packed all or not at all.
using Together = SmallVector<Packed, 4>;

struct PackWeights : moe::impl::PackWeightsPassBase<PackWeights> {
  using PackWeightsPassBase::PackWeightsPassBase;
  void runOnOperation() override;

private:
  SmallVector<Together> all;
  llvm::StringSet<> refused; // names of weights
  llvm::StringMap<StripOrder> orders;

  void add(ValueRange weights);
  void refuseOthers(func::FuncOp func);
};

} // namespace

/// The weights that a product multiplies together.
static OperandRange weightsOf(Operation *op) {
  if (auto product = dyn_cast<GroupedMatmulOp>(op);
      product && !product.getTransposed())
    return product.getWeights();
  if (auto both = dyn_cast<FeedForwardOp>(op))
    return both.getUps();
  return op->getOperands().take_front(0);
}

/// Whether a slice has every other output.
static bool isOfPairs(tensor::ExtractSliceOp slice) {
  int64_t rank = slice.getType().getRank();
  return rank >= 2 && rank == slice.getSourceType().getRank() &&
         slice.getStaticStride(rank - 2) == 2;
}

/// Whether a slice is of whole strips, of all of the depth.
static bool isOfStrips(tensor::ExtractSliceOp slice) {
  RankedTensorType from = slice.getSourceType(), to = slice.getType();
  if (from.getRank() != to.getRank() || to.getRank() < 2 ||
      !to.hasStaticShape() || to.getShape().back() != from.getShape().back())
    return false;
  int64_t outputs = to.getRank() - 2, size = to.getDimSize(outputs);
  bool inPairs = isOfPairs(slice);
  for (auto [dim, stride] : llvm::enumerate(slice.getStaticStrides()))
    if (stride != (inPairs && int64_t(dim) == outputs ? 2 : 1))
      return false;
  if (size % stripOutputs != 0)
    return false;
  if (inPairs)
    return isa<BlockArgument>(slice.getSource()) &&
           from.getDimSize(outputs) == 2 * size;
  return slice.getStaticOffset(outputs) % stripOutputs == 0;
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

/// Whether only products read it, as a weight.
static bool isOnlyWeight(Value value) {
  return llvm::all_of(value.getUses(), [](OpOperand &use) {
    if (auto slice = dyn_cast<tensor::ExtractSliceOp>(use.getOwner()))
      return isOfStrips(slice) && isOnlyWeight(slice);
    if (auto decode = dyn_cast<DecodeOp>(use.getOwner()))
      return llvm::all_of(decode.getValues().getUses(), isWeight);
    return isWeight(use);
  });
}

static bool fillsStrips(Value weight, int64_t bits) {
  auto type = cast<RankedTensorType>(weight.getType());
  ArrayRef<int64_t> shape = type.getShape();
  return type.hasStaticShape() && shape.size() >= 2 && shape.size() <= 3 &&
         fillsStrips(shape[shape.size() - 2], shape.back(), bits);
}

/// The arguments that a weight is made of, and whether they can be in strips.
static bool addParts(Value weight, Together &parts) {
  auto add = [&](Value value, StripOrder order) {
    bool inPairs = false;
    while (auto slice = value.getDefiningOp<tensor::ExtractSliceOp>()) {
      inPairs |= isOfPairs(slice);
      value = slice.getSource();
    }
    auto argument = dyn_cast<BlockArgument>(value);
    if (argument)
      parts.push_back({argument, inPairs ? paired(order) : order});
    return argument != nullptr;
  };
  auto decode = weight.getDefiningOp<DecodeOp>();
  if (!decode) {
    Type element = getElementTypeOrSelf(weight);
    return add(weight, StripOrder::words) &&
           (element.isF32() || element.isBF16()) &&
           fillsStrips(weight, element.getIntOrFloatBitWidth());
  }
  FormatAttr format = decode.getFormat();
  bool isInt8 = format.getKind() == WeightFormatKind::int8;
  bool hasData =
      add(decode.getData(), isInt8 ? StripOrder::words : StripOrder::nibbles);
  bool hasScales =
      add(decode.getScales(), isInt8 ? StripOrder::words : StripOrder::bytes);
  int64_t depth = cast<ShapedType>(weight.getType()).getShape().back();
  return hasData && hasScales && hasStrips(format, depth) &&
         fillsStrips(weight, 8 / format.getValuesPerByte());
}

void PackWeights::add(ValueRange weights) {
  bool areDecoded = weights.front().getDefiningOp<DecodeOp>() != nullptr;
  bool isRefused = areDecoded && !areDecodedAlike(weights);
  Together together;
  for (Value weight : weights)
    isRefused |= !addParts(weight, together);
  for (const Packed &packed : together) {
    StripOrder known =
        orders.try_emplace(packed.name(), packed.order).first->second;
    if (!packed.isWeight() || packed.name().empty() || known != packed.order ||
        !isOnlyWeight(packed.argument))
      isRefused = true;
  }
  if (isRefused)
    for (const Packed &packed : together)
      refused.insert(packed.name());
  all.push_back(together);
}

/// Weights that something else reads.
void PackWeights::refuseOthers(func::FuncOp func) {
  for (BlockArgument argument : func.getArguments())
    if (!isOnlyWeight(argument))
      refused.insert(Packed{argument, StripOrder::rows}.name());
}

void PackWeights::runOnOperation() {
  for (auto func : getOperation().getOps<func::FuncOp>()) {
    if (func.isExternal())
      continue;
    refuseOthers(func);
    func.walk([&](Operation *op) {
      if (OperandRange weights = weightsOf(op); !weights.empty())
        add(weights);
      if (auto both = dyn_cast<FeedForwardOp>(op))
        add(both.getDown());
    });
  }
  auto isRefused = [&](const Packed &packed) {
    return refused.contains(packed.name());
  };
  for (bool changed = true; changed;) {
    changed = false;
    for (const Together &together : all)
      if (llvm::any_of(together, isRefused))
        for (const Packed &packed : together)
          changed |= refused.insert(packed.name()).second;
  }
  for (const Together &together : all)
    for (const Packed &packed : together)
      if (!isRefused(packed))
        packed.mark();
}
