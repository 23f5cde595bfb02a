//===- Routing.cpp - The router of the forward function -------------------===//
//
// Part of moe-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Forward.h"

using namespace mlir;
using namespace moe;

static RouterAttr routerAttr(ForwardBuilder &b) {
  const RouterSpec &router = b.router;
  GroupsAttr groups;
  if (router.groups.count > 1)
    groups =
        GroupsAttr::get(b.getContext(), router.groups.count, router.groups.keep,
                        static_cast<GroupReduceKind>(router.groups.reduce),
                        static_cast<GroupFillKind>(router.groups.fill));
  return RouterAttr::get(
      b.getContext(), router.experts, router.topK, router.nullExperts,
      static_cast<StrategyKind>(router.strategy),
      static_cast<BalancingKind>(router.balancing),
      static_cast<ScoreKind>(router.score),
      static_cast<ScoreOnKind>(router.scoreOn),
      static_cast<RenormalizeKind>(router.renormalize),
      APFloat(router.renormalizeEps), APFloat(router.renormalizeP),
      APFloat(router.scale), APFloat(router.threshold), router.alwaysOn,
      APFloat(router.balanceLambda), APFloat(router.balanceFactor), router.seed,
      groups);
}

/// A product with `NAME.weight` and perhaps `NAME.bias`. Only the last layer's
/// values are logits.
static Value buildLayer(ForwardBuilder &b, Value input, StringRef name,
                        int64_t width, bool bias, bool last = false) {
  const RouterSpec &router = b.router;
  int64_t columns = cast<RankedTensorType>(input.getType()).getDimSize(1);
  Value weight =
      b.argument((name + ".weight").str(), "weight",
                 b.tensor({width, columns}, b.type(b.spec.dtype.router)));
  Value added = bias ? b.parameter((name + ".bias").str(), {width}) : Value();
  TypeAttr round;
  if (last && router.projection.inputPrecision)
    round = TypeAttr::get(b.type(b.spec.dtype.activation));
  return RouterOp::create(
      b, b.f32({T, width}), input, weight, added,
      b.getF64FloatAttr(last ? router.softcap : 0.0),
      b.getF64FloatAttr(router.temperature),
      router.strategy == Strategy::similarity ? b.getUnitAttr() : UnitAttr(),
      round);
}

static Value activate(ForwardBuilder &b, Value hidden) {
  auto activate = ActivateOp::create(b, hidden.getType(), hidden);
  b.formula(activate.getBody(), b.router.projection.activation, 1);
  return activate.getResult();
}

/// The state that the next layer's router gets.
static Value buildState(ForwardBuilder &b, Value input, Value earlier) {
  int64_t width = b.router.projection.hidden;
  Value state = buildLayer(b, input, "router.state.down", width, /*bias=*/true);
  if (!earlier)
    return state;
  return AddScaledOp::create(b, state.getType(), state, earlier,
                             b.parameter("router.state.scale", {width}));
}

static void buildLogits(ForwardBuilder &b, const ForwardInputs &inputs,
                        Routing &routing) {
  const ProjectionSpec &projection = b.router.projection;
  const InputNormSpec &inputNorm = b.router.inputNorm;
  Value input = inputs.x;
  auto hiddenLayer = [&](StringRef name, bool bias) {
    input = activate(b, buildLayer(b, input, name, projection.hidden, bias));
  };
  if (inputNorm.eps)
    input =
        b.norm(input, "router.input_scale", *inputNorm.eps, inputNorm.factor);
  if (projection.form == ProjectionForm::recurrent) {
    routing.nextState = buildState(b, input, inputs.routerState);
    input = b.norm(routing.nextState, "router.norm.weight", projection.eps);
    hiddenLayer("router.hidden", /*bias=*/true);
    hiddenLayer("router.hidden2", /*bias=*/true);
  } else if (projection.layers == 2) {
    hiddenLayer("router.hidden", projection.bias);
  }
  routing.logits =
      buildLayer(b, input, "router", b.router.experts + b.router.nullExperts,
                 projection.bias, /*last=*/true);
}

static void buildSelect(ForwardBuilder &b, const ForwardInputs &inputs,
                        Routing &routing) {
  const RouterSpec &router = b.router;
  int64_t n = router.experts + router.nullExperts, k = b.numSlots();
  bool isDynamic = router.balancing == Balancing::dynamic;
  Value bias, expertScale, table;
  if (isDynamic)
    bias = b.state("router.selection_bias", b.f32({n}), /*fromWeight=*/true);
  else if (router.selectionBias)
    bias = b.parameter("router.selection_bias", {n - router.alwaysOn});
  if (router.expertScale)
    expertScale = b.parameter("router.expert_scale", {router.experts});
  if (router.strategy == Strategy::table)
    table = b.argument("router.table", "weight", b.i32({router.vocabulary, k}));
  if (isDynamic || router.balancing == Balancing::load_aware ||
      router.strategy == Strategy::load_based)
    routing.loads = b.state("loads", b.i64({n}));

  routing.select =
      SelectOp::create(b, TypeRange{b.i32({T, k}), b.f32({T, k})},
                       router.hasLogits() ? routing.logits : inputs.x, bias,
                       expertScale, inputs.tokenIds, table,
                       isDynamic ? Value() : routing.loads, routerAttr(b));
  if (router.score == Score::function && router.hasLogits())
    b.formula(routing.select.getScore(), router.scoreFunction, 1);
}

static GroupOp buildGroup(ForwardBuilder &b, SelectOp select) {
  const RouterSpec &router = b.router;
  const CapacitySpec &limit = b.spec.capacity;
  int64_t n = router.experts + router.nullExperts;
  CapacityAttr capacity;
  if (limit.limited())
    capacity = CapacityAttr::get(b.getContext(), limit.tokens.value_or(0),
                                 APFloat(limit.factor.value_or(0.0)),
                                 static_cast<PriorityKind>(limit.priority));
  return GroupOp::create(b,
                         TypeRange{b.i32({T}), b.i32({router.experts + 1}),
                                   b.i32({T, b.numSlots()}), b.i32({n})},
                         select.getIndices(), select.getWeights(),
                         b.getI64IntegerAttr(router.experts),
                         b.getI64IntegerAttr(router.nullExperts), capacity);
}

Routing moe::buildRouting(ForwardBuilder &b, const ForwardInputs &inputs) {
  Routing routing;
  if (b.router.hasLogits())
    buildLogits(b, inputs, routing);
  buildSelect(b, inputs, routing);
  routing.group = buildGroup(b, routing.select);
  return routing;
}
