//===- Parts.cpp - Products are split, and their parts added up -----------===//
//
// Part of moe-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "RankProgram.h"

using namespace mlir;
using namespace moe;

/// Gives each rank its experts.
LogicalResult RankProgram::splitExperts(GroupedMatmulOp op) {
  std::optional<Axis> axis = expertAxis();
  if (!op.getOffsets() || !axis)
    return success();
  Split split{0, *axis, parallel.size(*axis), 1, parallel.placement};
  for (OperandRange values : {op.getWeights(), op.getBiases()})
    for (Value value : llvm::to_vector(values))
      if (failed(weights.split(value, split)))
        return failure();
  return success();
}

/// Splits the weight of a product along outputs (`dim` 2 from the end) or
/// inputs (1 from the end) over tp.
LogicalResult RankProgram::splitProduct(GroupedMatmulOp op, int64_t dim) {
  int64_t depth = op.getXs().getType().getDimSize(1); // already of one member
  if (QuantAttr format = op.getFormatAttr();
      dim == 1 && format && depth % format.getBlock() != 0)
    return op.emitOpError("found rows of ")
           << depth << " values for each member of " << name(Axis::tp)
           << ", expected a multiple of " << format.getBlock()
           << ", which share a scale";
  int64_t ofWeight = op.getTransposed() ? 3 - dim : dim;
  for (Value weight : llvm::to_vector(op.getWeights())) {
    int64_t rank = cast<RankedTensorType>(weight.getType()).getRank();
    if (failed(weights.split(weight, {rank - ofWeight, Axis::tp, parallel.tp})))
      return failure();
  }
  if (dim == 1) {
    for (Value bias : op.getBiases())
      weights.onlyFirst(bias, Axis::tp);
    parts[op.getYs()] = op.getYs().getType();
    return success();
  }
  for (Value bias : llvm::to_vector(op.getBiases())) {
    int64_t rank = cast<RankedTensorType>(bias.getType()).getRank();
    if (failed(weights.split(bias, {rank - 1, Axis::tp, parallel.tp})))
      return failure();
  }
  RankedTensorType type = op.getYs().getType();
  op.getYs().setType(
      type.clone({type.getDimSize(0), type.getDimSize(1) / parallel.tp}));
  return success();
}

/// Experts have their first products split by outputs and the last by inputs,
/// and so has the shared expert where its size allows it.
LogicalResult RankProgram::splitProducts() {
  for (GroupedOuterOp op : func.getOps<GroupedOuterOp>())
    return op.emitOpError(
        "has sums over rows, which cannot be divided among ranks");
  SmallVector<GroupedMatmulOp> products(func.getOps<GroupedMatmulOp>());
  for (GroupedMatmulOp op : products)
    if (failed(splitExperts(op)))
      return failure();
  if (parallel.tp == 1)
    return success();
  SmallVector<ActivateOp> activations(func.getOps<ActivateOp>());
  for (ActivateOp activate : activations) {
    SmallVector<GroupedMatmulOp> ups;
    for (Value input : activate.getInputs())
      ups.push_back(input.getDefiningOp<GroupedMatmulOp>());
    auto down = activate->hasOneUse()
                    ? dyn_cast<GroupedMatmulOp>(*activate->user_begin())
                    : GroupedMatmulOp();
    // The router's activations are between other operations.
    if (!down || llvm::is_contained(ups, GroupedMatmulOp()))
      continue;
    if (down.getOffsets() && parallel.expertsOnTp)
      continue;
    RankedTensorType type = activate.getResult().getType();
    if (!down.getOffsets() && type.getDimSize(1) % parallel.tp != 0)
      continue;
    for (GroupedMatmulOp up : ups)
      if (failed(splitProduct(up, /*dim=*/2)))
        return failure();
    activate.getResult().setType(
        type.clone({type.getDimSize(0), type.getDimSize(1) / parallel.tp}));
    if (failed(splitProduct(down, /*dim=*/1)))
      return failure();
  }
  return success();
}

/// A value of another element type.
Value RankProgram::round(Value value, Type type) {
  if (value.getType() == type)
    return value;
  return MixOp::create(b, type, value, Value(), Value(), Value(),
                       GateKind::none, APFloat(1.0));
}

Value RankProgram::sum(Value part) {
  Value &total = sums[part];
  if (total)
    return total;
  b.setInsertionPointAfterValue(part);
  b.setLoc(part.getLoc());
  total = coll::AllReduceOp::create(b, part.getType(), coll::ReduceKind::sum,
                                    part, axes(Axis::tp), "parts of sums");
  return total = round(total, parts[part]);
}

/// Makes the result of a linear operation a part. It stays f32: what is rounded
/// is the sum.
static void markPart(llvm::MapVector<Value, Type> &parts, Value result) {
  auto type = cast<RankedTensorType>(result.getType());
  parts[result] = type;
  result.setType(type.clone(Float32Type::get(type.getContext())));
}

/// Whether the operation is linear in its operands that are parts, all others
/// being factors or parts too. Its result is a part then.
bool RankProgram::passOn(Operation *op) {
  if (isa<PackRowsOp, UnpackRowsOp, coll::AllToAllVOp>(op)) {
    // Parts are packed one by one: the sum has the errors of all.
    Value result = op->getResult(0);
    parts[result] = result.getType();
    return true;
  }
  if (auto combine = dyn_cast<CombineOp>(op)) {
    if (combine.getX() && parts.contains(combine.getX()))
      return false;
    if (combine.getX()) {
      b.setInsertionPoint(combine);
      b.setLoc(combine.getLoc());
      combine.getMemberMutable().assign(coll::IndexOp::create(
          b, RankedTensorType::get({}, b.getI32Type()), axes(Axis::tp)));
    }
    markPart(parts, combine.getY());
    return true;
  }
  if (auto mix = dyn_cast<MixOp>(op))
    return passOn(mix);
  return false;
}

bool RankProgram::passOn(MixOp op) {
  if (!parts.contains(op.getRouted()) ||
      (op.getShared() && !parts.contains(op.getShared())))
    return false;
  if (op.getLogits() && parts.contains(op.getLogits()))
    return false;
  if (op.getBias())
    weights.onlyFirst(op.getBias(), Axis::tp);
  markPart(parts, op.getY());
  return true;
}

void RankProgram::addParts() {
  Block &block = func.getBody().front();
  // keepLocal has marked results before their order was known.
  for (auto &[value, type] : parts) {
    auto found = cast<RankedTensorType>(value.getType());
    value.setType(found.clone(b.getF32Type()));
  }
  for (Operation &op : llvm::make_early_inc_range(block)) {
    if (isa<ClockOp, func::ReturnOp>(op))
      continue;
    bool hasPart = llvm::any_of(
        op.getOperands(), [&](Value value) { return parts.contains(value); });
    if (!hasPart || passOn(&op))
      continue;
    for (OpOperand &operand : op.getOpOperands())
      if (parts.contains(operand.get()))
        operand.set(sum(operand.get()));
  }
  for (OpOperand &operand : block.getTerminator()->getOpOperands())
    finishResult(operand);
  // Times are taken when sums are there, too.
  for (ClockOp clock : func.getOps<ClockOp>())
    for (OpOperand &operand : clock->getOpOperands())
      if (Value total = sums.lookup(operand.get()))
        operand.set(total);
}

/// The result of all ranks of tp, of which each keeps its own rows where the
/// tokens of the sequence were gathered.
void RankProgram::finishResult(OpOperand &operand) {
  Value value = operand.get();
  bool isPart = parts.contains(value);
  DictionaryAttr attrs = func.getResultAttrDict(operand.getOperandNumber());
  bool ownRows = rowsName() != "T" && isOutputOfTokens(attrs);
  if (isPart && !ownRows)
    operand.set(sum(value));
  if (!ownRows)
    return;
  b.setInsertionPoint(operand.getOwner());
  b.setLoc(value.getLoc());
  // Where all have the same, the largest is that.
  Value mine = coll::ReduceScatterOp::create(
      b, value.getType(),
      isPart ? coll::ReduceKind::sum : coll::ReduceKind::max, value,
      b.getStringAttr("T"), axes(Axis::tp), "rows of the sequence");
  operand.set(isPart ? round(mine, parts[value]) : mine);
}
