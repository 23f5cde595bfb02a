//===- RoutingOps.cpp - Who computes what, and how evenly -----------------===//
//
// Part of moe-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Numbers in brackets are constraints of docs/Spec.md. [O1], shapes, is what
// every use of Dims checks.
//
//===----------------------------------------------------------------------===//

#include "Verify.h"

using namespace mlir;
using namespace moe;

//===----------------------------------------------------------------------===//
// Router, select
//===----------------------------------------------------------------------===//

LogicalResult RouterOp::verify() {
  Dims dims(*this);
  if (failed(dims.check("x", getX(), {"T", "D"})) ||
      failed(dims.check("weight", getWeight(), {"N", "D"})) ||
      failed(dims.check("bias", getBias(), {"N"})) ||
      failed(dims.check("logits", getLogits(), {"T", "N"})))
    return failure();

  // [O4]
  auto error = [&] { return emitOpError(); };
  if (failed(verifyNumber(error, "softcap", getSoftcap(), Sign::NotNegative)) ||
      failed(
          verifyNumber(error, "temperature", getTemperature(), Sign::Positive)))
    return failure();

  // [O11]
  if (std::optional<Type> round = getRound();
      round && !isa<Float32Type, BFloat16Type, Float16Type>(*round))
    return emitOpError() << "expected 'round' to be f32, bf16 or f16, found "
                         << *round;
  return success();
}

LogicalResult AddScaledOp::verify() {
  Dims dims(*this);
  return success(succeeded(dims.check("x", getX(), {"T", "H"})) &&
                 succeeded(dims.check("y", getY(), {"T", "H"})) &&
                 succeeded(dims.check("scale", getScale(), {"H"})) &&
                 succeeded(dims.check("z", getZ(), {"T", "H"})));
}

/// [O13]: an operand is there where the strategy reads it, and nowhere else.
static LogicalResult verifyPresence(SelectOp op, StringRef name, Value value,
                                    bool isNeeded, bool isAllowed) {
  if (value ? isAllowed : !isNeeded)
    return success();
  RouterAttr router = op.getRouter();
  return op.emitOpError() << "expected " << (value ? "no '" : "'") << name
                          << "' with strategy = "
                          << stringifyStrategyKind(router.getStrategy())
                          << " and balancing = "
                          << stringifyBalancingKind(router.getBalancing());
}

LogicalResult SelectOp::verify() {
  RouterAttr router = getRouter();
  bool isLearned = router.isLearned(), hasLogits = router.hasLogits();
  Dims dims(*this);
  dims.set("E", router.getExperts());
  dims.set("N", router.getNumLogits());
  dims.set("N-S", router.getNumChoices());
  dims.set("K", router.getNumSlots());
  // Of what is only counted, any row will do.
  bool isCounted = !hasLogits && getInput().getType().getRank() == 1;
  if (failed(isCounted ? dims.check("input", getInput(), {"T"})
                       : dims.check("input", getInput(),
                                    {"T", hasLogits ? "N" : "D"})))
    return failure();

  // [O12]
  Type element = getInput().getType().getElementType();
  if (hasLogits && !element.isF32())
    return emitOpError() << "expected logits of f32, found " << element;

  // [O13]
  bool isTable = router.getStrategy() == StrategyKind::table;
  bool readsIds = isTable || router.getStrategy() == StrategyKind::hash;
  bool counts = router.getStrategy() == StrategyKind::random ||
                router.getBalancing() == BalancingKind::round_robin;
  bool readsLoads = router.getStrategy() == StrategyKind::load_based ||
                    router.getBalancing() == BalancingKind::load_aware;
  if (failed(verifyPresence(*this, "bias", getBias(), false, isLearned)) ||
      failed(
          verifyPresence(*this, "scale", getExpertScale(), false, hasLogits)) ||
      failed(verifyPresence(*this, "ids", getTokenIds(), readsIds,
                            readsIds || counts)) ||
      failed(verifyPresence(*this, "table", getTable(), isTable, isTable)) ||
      failed(
          verifyPresence(*this, "loads", getLoads(), readsLoads, readsLoads)))
    return failure();

  // [O14]
  bool isFunction = router.getScore() == ScoreKind::function;
  if (isFunction == getScore().empty())
    return emitOpError() << "expected " << (isFunction ? "a" : "no")
                         << " region 'score' with score = "
                         << stringifyScoreKind(router.getScore());

  StringRef choices = router.getAlwaysOn() ? "N-S" : "N";
  return success(succeeded(dims.check("bias", getBias(), {choices})) &&
                 succeeded(dims.check("scale", getExpertScale(), {"E"})) &&
                 succeeded(dims.check("ids", getTokenIds(), {"T"})) &&
                 succeeded(dims.check("table", getTable(), {"V", "K"})) &&
                 succeeded(dims.check("loads", getLoads(), {"N"})) &&
                 succeeded(dims.check("indices", getIndices(), {"T", "K"})) &&
                 succeeded(dims.check("weights", getWeights(), {"T", "K"})));
}

LogicalResult SelectOp::verifyRegions() {
  if (getScore().empty())
    return success();
  return verifyElementwise(*this, "score", getScore(), 1);
}

LogicalResult CheckFiniteOp::verify() {
  // [O25]
  if (getIndices() && getIndices().getType().getRank() == 2 &&
      getIndices().getType().getDimSize(1) == 0)
    return emitOpError() << "expected 'indices' of at least 1 column, found 0";
  Dims dims(*this);
  return success(succeeded(dims.check("values", getValues(), {"T", "N"})) &&
                 succeeded(dims.check("indices", getIndices(), {"T", "K"})) &&
                 succeeded(dims.check("status", getStatus(), {})));
}

//===----------------------------------------------------------------------===//
// Group
//===----------------------------------------------------------------------===//

LogicalResult GroupOp::verify() {
  // [O3]
  auto error = [&] { return emitOpError(); };
  int64_t experts = getExperts();
  if (failed(verifyRange(error, "experts", experts, 1)) ||
      failed(verifyRange(error, "null_experts", getNullExperts(), 0,
                         kMaxSize - experts)))
    return failure();
  // [O35]
  bool readsWeights = getCapacity() &&
                      getCapacity()->getPriority() == PriorityKind::probability;
  if (readsWeights && !getWeights())
    return emitOpError()
           << "expected 'weights' with a capacity of priority = probability";

  Dims dims(*this);
  dims.set("E+1", experts + 1);
  dims.set("N", experts + static_cast<int64_t>(getNullExperts()));
  if (failed(dims.check("indices", getIndices(), {"T", "K"})) ||
      failed(dims.check("weights", getWeights(), {"T", "K"})) ||
      failed(dims.check("positions", getPositions(), {"T", "K"})))
    return failure();
  // Room for every slot, whatever the data and the capacity.
  dims.set("T*K", product(dims.get("T"), dims.get("K")));
  return success(succeeded(dims.check("rows", getRows(), {"T*K"})) &&
                 succeeded(dims.check("offsets", getOffsets(), {"E+1"})) &&
                 succeeded(dims.check("counts", getCounts(), {"N"})));
}

//===----------------------------------------------------------------------===//
// Losses, statistics and balance
//===----------------------------------------------------------------------===//

LogicalResult LossOp::verify() {
  // [O4]
  if (failed(verifyNumber([&] { return emitOpError(); }, "coefficient",
                          getCoefficient(), Sign::NotNegative)))
    return failure();
  Dims dims(*this);
  return success(succeeded(dims.check("logits", getLogits(), {"T", "N"})) &&
                 succeeded(dims.check("indices", getIndices(), {"T", "K"})) &&
                 succeeded(dims.check("loss", getLoss(), {})));
}

LogicalResult ImbalanceOp::verify() {
  Dims dims(*this);
  return success(succeeded(dims.check("counts", getCounts(), {"N"})) &&
                 succeeded(dims.check("imbalance", getImbalance(), {})));
}

LogicalResult RebalanceOp::verify() {
  // [O4]
  if (failed(verifyNumber([&] { return emitOpError(); }, "rate", getRate())))
    return failure();
  Dims dims(*this);
  return success(succeeded(dims.check("bias", getBias(), {"N"})) &&
                 succeeded(dims.check("loads", getLoads(), {"N"})) &&
                 succeeded(dims.check("new_bias", getNewBias(), {"N"})) &&
                 succeeded(dims.check("new_loads", getNewLoads(), {"N"})));
}

LogicalResult ClockOp::verify() {
  int64_t earlier = 0;
  if (getEarlier()) {
    auto type = cast<RankedTensorType>(getEarlier().getType());
    if (type.getRank() != 1 || type.isDynamicDim(0))
      return emitOpError() << "expected 'earlier' of a static shape [n], found "
                           << type;
    earlier = type.getDimSize(0);
  }
  return Dims(*this).check("times", getTimes(), {std::to_string(earlier + 1)});
}
