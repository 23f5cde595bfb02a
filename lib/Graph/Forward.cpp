//===- Forward.cpp - The forward function of a spec -----------------------===//
//
// Part of moe-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Forward.h"

using namespace mlir;
using namespace moe;

Type ForwardBuilder::type(DType dtype) {
  switch (dtype) {
  case DType::f32:
    return getF32Type();
  case DType::bf16:
    return getBF16Type();
  case DType::f16:
    return getF16Type();
  }
  llvm_unreachable("every element type is one of the above");
}

Value ForwardBuilder::weight(StringRef name, ArrayRef<int64_t> shape) {
  return argument(name, "weight", tensor(shape, type(spec.dtype.weights)));
}

Value ForwardBuilder::parameter(StringRef name, ArrayRef<int64_t> shape) {
  return argument(name, "weight", f32(shape));
}

Value ForwardBuilder::norm(Value input, StringRef scale, double eps,
                           double factor) {
  int64_t width = cast<RankedTensorType>(input.getType()).getDimSize(1);
  return RMSNormOp::create(*this, f32({T, width}), input,
                           parameter(scale, {width}), getF64FloatAttr(eps),
                           getF64FloatAttr(factor));
}

static ForwardInputs buildInputs(ForwardBuilder &b) {
  const RouterSpec &router = b.router;
  ForwardInputs inputs;
  inputs.x = b.argument(
      "x", "input",
      b.tensor({T, b.spec.hidden}, b.type(b.spec.dtype.activation)), {"T"});
  if (router.strategy == Strategy::hash || router.strategy == Strategy::table)
    inputs.tokenIds = b.argument("token_ids", "input", b.i64({T}), {"T"});
  if (router.projection.chained)
    inputs.routerState = b.argument(
        "router_state", "input", b.f32({T, router.projection.hidden}), {"T"});
  return inputs;
}

static void buildLosses(ForwardBuilder &b, Routing routing) {
  auto loss = [&](StringRef name, LossKind kind, double coefficient) {
    if (coefficient == 0.0)
      return;
    Value value = LossOp::create(b, b.f32({}), routing.logits,
                                 routing.select.getIndices(),
                                 LossKindAttr::get(b.getContext(), kind),
                                 b.getF64FloatAttr(coefficient));
    b.result(("loss." + name).str(), "plan", value);
  };
  const LossesSpec &losses = b.spec.losses;
  loss("load_balance",
       losses.loadBalanceForm == LoadBalanceForm::hf
           ? LossKind::load_balance_hf
           : LossKind::load_balance_switch,
       losses.loadBalance);
  loss("importance", LossKind::importance, losses.importance);
  loss("router_z", LossKind::router_z, losses.routerZ);
}

/// What there is besides y, all of it small.
static void buildPlan(ForwardBuilder &b, Routing routing) {
  auto &[logits, nextState, loads, select, group] = routing;
  std::string slots = std::to_string(b.numSlots()) + "*T";
  if (nextState)
    b.result("router_state_next", "output", nextState, {"T"});
  b.result("indices", "plan", select.getIndices(), {"T"});
  b.result("weights", "plan", select.getWeights(), {"T"});
  b.result("rows", "plan", group.getRows(), {slots});
  b.result("offsets", "plan", group.getOffsets());
  b.result("positions", "plan", group.getPositions(), {"T"});
  b.result("counts", "plan", group.getCounts());
  b.result("imbalance", "plan",
           ImbalanceOp::create(b, b.f32({}), group.getCounts()));
  buildLosses(b, routing);
  bool isTable = b.router.strategy == Strategy::table;
  if (logits)
    b.result("status", "plan",
             CheckFiniteOp::create(b, b.i32({}), logits,
                                   isTable ? select.getIndices() : Value()));
  if (loads)
    b.result(
        "loads", "state",
        AccumulateOp::create(b, loads.getType(), loads, group.getCounts()));
}

void moe::buildForward(const Spec &spec, ModuleOp module) {
  ForwardBuilder b(spec, module);
  ForwardInputs inputs = buildInputs(b);
  Value clock = ClockOp::create(b, b.i64({1}), Value(), ValueRange{});
  Routing routing = buildRouting(b, inputs);
  clock = ClockOp::create(b, b.i64({2}), clock, routing.group.getRows());
  Value y = buildExperts(b, inputs.x, routing);
  clock = ClockOp::create(b, b.i64({3}), clock, y);

  b.result("y", "output", y, {"T"});
  buildPlan(b, routing);
  b.result("clock", "plan", clock);
  b.finish();
}
