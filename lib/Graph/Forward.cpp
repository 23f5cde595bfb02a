//===- Forward.cpp - The forward function of a spec -----------------------===//
//
// Part of moe-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "FunctionBuilder.h"

#include "mlir/Dialect/Tensor/IR/Tensor.h"

using namespace mlir;
using namespace moe;

namespace {

/// Builds the forward function in the order of docs/Spec.md.
class Forward {
public:
  Forward(const Spec &spec, ModuleOp module)
      : spec(spec), router(spec.router), b(module, "forward") {}

  void build();

private:
  static constexpr int64_t T = FunctionBuilder::dynamic;

  const Spec &spec;
  const RouterSpec &router;
  FunctionBuilder b;
  Value x, tokenIds, routerState, nextState, logits, bias, table, loads;
  Value indices, weights, rows, offsets, positions, counts;

  bool isTable() const { return router.strategy == Strategy::table; }
  bool isRecurrent() const {
    return router.projection.form == ProjectionForm::recurrent;
  }
  int64_t numLogits() const { return router.experts + router.nullExperts; }
  int64_t numSlots() const {
    return router.balancing == Balancing::expert_choice
               ? router.experts
               : router.topK + router.alwaysOn;
  }
  int64_t expertWidth() const {
    return spec.experts.latent ? spec.experts.latent : spec.hidden;
  }

  Type type(DType dtype);
  Value weight(StringRef name, ArrayRef<int64_t> shape);
  Value routerWeight(StringRef name, ArrayRef<int64_t> shape);
  Value matrix(StringRef name, ArrayRef<int64_t> shape,
               const QuantizationSpec &quantization);
  Value parameter(StringRef name, ArrayRef<int64_t> shape);
  Value project(Value input, StringRef weightName, int64_t width);
  Value half(Value joined, int64_t dim, GateUp form, int64_t index);
  Value half(DecodeOp joined, int64_t dim, GateUp form, int64_t index);
  RouterAttr routerAttr();

  Value routerLayer(Value input, StringRef name, int64_t width, bool bias,
                    bool last = false);
  Value activateHidden(Value hidden);
  Value buildRecurrence(Value input);
  void buildLogits();
  void buildRouting();
  Value buildFFN(Value input, StringRef prefix, bool grouped);
  Value buildExperts(bool last);
  Value buildShared(Value routed);
  void buildLosses();
};

Type Forward::type(DType dtype) {
  switch (dtype) {
  case DType::f32:
    return b.getF32Type();
  case DType::bf16:
    return b.getBF16Type();
  case DType::f16:
    return b.getF16Type();
  }
  llvm_unreachable("every element type is one of the above");
}

/// A projection matrix, in the type that the spec gives to weights.
Value Forward::weight(StringRef name, ArrayRef<int64_t> shape) {
  return b.argument(name, "weight", b.tensor(shape, type(spec.dtype.weights)));
}

/// A matrix of the router, which has a type of its own.
Value Forward::routerWeight(StringRef name, ArrayRef<int64_t> shape) {
  return b.argument(name, "weight", b.tensor(shape, type(spec.dtype.router)));
}

/// NAME.weight, or its values where they are stored in few bits.
Value Forward::matrix(StringRef name, ArrayRef<int64_t> shape,
                      const QuantizationSpec &quantization) {
  if (quantization.kind == WeightKind::none)
    return weight((name + ".weight").str(), shape);
  auto [outputs, inputs] = *quantization.block;
  auto format = FormatAttr::get(
      b.getContext(), static_cast<WeightFormatKind>(quantization.kind), outputs,
      inputs);
  int64_t fanIn = shape.back();
  auto part = [&](StringRef suffix, ArrayRef<int64_t> shape, Type type,
                  bool isUnsigned) {
    return b.encoded((name + suffix).str(), b.tensor(shape, type), fanIn,
                     isUnsigned);
  };
  auto blocks = [](int64_t size, int64_t block) {
    return block == 0 ? 1 : llvm::divideCeil(size, block);
  };
  SmallVector<int64_t> data(shape), scale(shape);
  data.back() /= format.getValuesPerByte();
  scale.end()[-2] = blocks(shape.end()[-2], outputs);
  scale.back() = blocks(fanIn, inputs);

  Type i8 = b.getI8Type(), f32 = b.getF32Type();
  bool small = format.hasSmallScales();
  Value values =
      part(".weight", data, i8, quantization.kind != WeightKind::int8);
  Value scales = part(".scales", scale, small ? i8 : f32, small);
  Value zeros, global;
  if (quantization.zeroPoints)
    zeros = part(".zeros", scale, i8, /*isUnsigned=*/true);
  if (quantization.kind == WeightKind::nvfp4)
    global = part(".global_scale", shape.drop_back(2), f32, false);
  return DecodeOp::create(b, b.f32(shape), values, scales, zeros, global,
                          format);
}

/// A bias or scale, always f32.
Value Forward::parameter(StringRef name, ArrayRef<int64_t> shape) {
  return b.argument(name, "weight", b.f32(shape));
}

/// A dense product with a weight `[width, columns of input]`.
Value Forward::project(Value input, StringRef weightName, int64_t width) {
  int64_t columns = cast<RankedTensorType>(input.getType()).getDimSize(1);
  Value w = weight(weightName, {width, columns});
  return GroupedMatmulOp::create(b, b.f32({T, width}), input, w, ValueRange{},
                                 Value(), Value());
}

RouterAttr Forward::routerAttr() {
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
Value Forward::routerLayer(Value input, StringRef name, int64_t width,
                           bool bias, bool last) {
  int64_t columns = cast<RankedTensorType>(input.getType()).getDimSize(1);
  Value w = routerWeight((name + ".weight").str(), {width, columns});
  Value added = bias ? parameter((name + ".bias").str(), {width}) : Value();
  TypeAttr round;
  if (last && router.projection.inputPrecision)
    round = TypeAttr::get(type(spec.dtype.activation));
  return RouterOp::create(
      b, b.f32({T, width}), input, w, added,
      b.getF64FloatAttr(last ? router.softcap : 0.0),
      b.getF64FloatAttr(router.temperature),
      router.strategy == Strategy::similarity ? b.getUnitAttr() : UnitAttr(),
      round);
}

Value Forward::activateHidden(Value hidden) {
  auto activate = ActivateOp::create(b, hidden.getType(), hidden);
  b.formula(activate.getBody(), router.projection.activation, 1);
  return activate.getResult();
}

/// The new state, and of it what the last layer sees.
Value Forward::buildRecurrence(Value input) {
  int64_t width = router.projection.hidden;
  nextState = routerLayer(input, "router.state.down", width, /*bias=*/true);
  if (routerState)
    nextState =
        AddScaledOp::create(b, nextState.getType(), nextState, routerState,
                            parameter("router.state.scale", {width}));
  Value hidden = RMSNormOp::create(b, nextState.getType(), nextState,
                                   parameter("router.norm.weight", {width}),
                                   b.getF64FloatAttr(router.projection.eps),
                                   b.getF64FloatAttr(1.0));
  for (StringRef name : {"router.hidden", "router.hidden2"})
    hidden = activateHidden(routerLayer(hidden, name, width, /*bias=*/true));
  return hidden;
}

void Forward::buildLogits() {
  const ProjectionSpec &projection = router.projection;
  Value input = x;
  if (router.inputNorm.eps)
    input = RMSNormOp::create(b, b.f32({T, spec.hidden}), input,
                              parameter("router.input_scale", {spec.hidden}),
                              b.getF64FloatAttr(*router.inputNorm.eps),
                              b.getF64FloatAttr(router.inputNorm.factor));
  if (isRecurrent())
    input = buildRecurrence(input);
  else if (projection.layers == 2)
    input = activateHidden(routerLayer(input, "router.hidden",
                                       projection.hidden, projection.bias));
  logits =
      routerLayer(input, "router", numLogits(), projection.bias, /*last=*/true);
}

void Forward::buildRouting() {
  int64_t n = numLogits(), k = numSlots();
  bool isDynamic = router.balancing == Balancing::dynamic;
  if (router.hasLogits())
    buildLogits();
  if (isDynamic)
    bias = b.state("router.selection_bias", b.f32({n}), /*fromWeight=*/true);
  else if (router.selectionBias)
    bias = parameter("router.selection_bias", {n - router.alwaysOn});
  Value expertScale;
  if (router.expertScale)
    expertScale = parameter("router.expert_scale", {router.experts});
  if (isTable())
    table = b.argument("router.table", "weight", b.i32({router.vocabulary, k}));
  if (isDynamic || router.balancing == Balancing::load_aware ||
      router.strategy == Strategy::load_based)
    loads = b.state("loads", b.i64({n}));

  auto select = SelectOp::create(b, TypeRange{b.i32({T, k}), b.f32({T, k})},
                                 router.hasLogits() ? logits : x, bias,
                                 expertScale, tokenIds, table,
                                 isDynamic ? Value() : loads, routerAttr());
  if (router.score == Score::function && router.hasLogits())
    b.formula(select.getScore(), router.scoreFunction, 1);
  indices = select.getIndices();
  weights = select.getWeights();

  CapacityAttr capacity;
  if (spec.capacity.limited())
    capacity =
        CapacityAttr::get(b.getContext(), spec.capacity.tokens.value_or(0),
                          APFloat(spec.capacity.factor.value_or(0.0)),
                          static_cast<PriorityKind>(spec.capacity.priority));
  auto group =
      GroupOp::create(b,
                      TypeRange{b.i32({T}), b.i32({router.experts + 1}),
                                b.i32({T, k}), b.i32({n})},
                      indices, weights, b.getI64IntegerAttr(router.experts),
                      b.getI64IntegerAttr(router.nullExperts), capacity);
  rows = group.getRows();
  offsets = group.getOffsets();
  positions = group.getPositions();
  counts = group.getCounts();
}

/// The gate's (0) or the other (1) half of the rows of a joined weight, which
/// are counted along `dim`.
Value Forward::half(Value joined, int64_t dim, GateUp form, int64_t index) {
  if (auto decode = joined.getDefiningOp<DecodeOp>())
    return half(decode, dim, form, index);
  auto type = cast<RankedTensorType>(joined.getType());
  SmallVector<OpFoldResult> offsets(type.getRank(), b.getIndexAttr(0));
  SmallVector<OpFoldResult> strides(type.getRank(), b.getIndexAttr(1));
  SmallVector<OpFoldResult> sizes =
      getAsIndexOpFoldResult(b.getContext(), type.getShape());
  int64_t rows = type.getDimSize(dim) / 2;
  bool alternate = form == GateUp::interleaved;
  offsets[dim] = b.getIndexAttr(alternate ? index : index * rows);
  sizes[dim] = b.getIndexAttr(rows);
  strides[dim] = b.getIndexAttr(alternate ? 2 : 1);
  return tensor::ExtractSliceOp::create(b, joined, offsets, sizes, strides);
}

/// The values of half of the data.
Value Forward::half(DecodeOp joined, int64_t dim, GateUp form, int64_t index) {
  FormatAttr format = joined.getFormat();
  int64_t outputs = format.getOutputs();
  // [S33]: a block is all of the rows, in one half, or has rows of both by
  // turns.
  bool shared = outputs == 0 || (form == GateUp::interleaved && outputs > 1);
  if (shared)
    format = FormatAttr::get(b.getContext(), format.getKind(), outputs / 2,
                             format.getInputs());
  auto blocks = [&](Value value) {
    return !value || shared ? value : half(value, dim, form, index);
  };
  auto type = cast<RankedTensorType>(joined.getType());
  SmallVector<int64_t> shape(type.getShape());
  shape[dim] /= 2;
  return DecodeOp::create(b, b.f32(shape),
                          half(joined.getData(), dim, form, index),
                          blocks(joined.getScales()), blocks(joined.getZeros()),
                          joined.getGlobalScale(), format);
}

/// up/gate, activation, down; `grouped` over the experts of `rows`.
Value Forward::buildFFN(Value input, StringRef prefix, bool grouped) {
  struct Projection {
    Value weight;
    SmallVector<Value, 1> bias;
  };
  int64_t inner =
      grouped ? spec.experts.intermediate : spec.shared.intermediate;
  int64_t width = cast<RankedTensorType>(input.getType()).getDimSize(1);
  auto projection = [&](StringRef role, int64_t out, int64_t in) {
    std::string name = (prefix + "." + role).str();
    // The shared expert's gate projection is not its gate.
    if (name == "shared.gate")
      name = "shared.gate_proj";
    SmallVector<int64_t> shape = {out, in}, biasShape = {out};
    if (grouped) {
      shape.insert(shape.begin(), router.experts);
      biasShape.insert(biasShape.begin(), router.experts);
    }
    const QuantizationSpec &quantization =
        grouped ? spec.experts.quantization : spec.shared.quantization;
    Projection result{matrix(name, shape, quantization), {}};
    if (grouped && spec.experts.bias)
      result.bias.push_back(parameter(name + ".bias", biasShape));
    return result;
  };
  auto apply = [&](Value input, const Projection &projection, int64_t out) {
    return GroupedMatmulOp::create(b, b.f32({T, out}), input, projection.weight,
                                   projection.bias, grouped ? offsets : Value(),
                                   Value())
        .getYs();
  };

  GateUp gateUp = grouped ? spec.experts.gateUp : spec.shared.gateUp;
  SmallVector<Value> innerValues;
  if (gateUp != GateUp::separate) {
    Projection joined = projection("gate_up", 2 * inner, width);
    for (int64_t index : {0, 1}) {
      int64_t dim = grouped ? 1 : 0;
      Projection one{half(joined.weight, dim, gateUp, index), {}};
      for (Value bias : joined.bias)
        one.bias.push_back(half(bias, dim, gateUp, index));
      innerValues.push_back(apply(input, one, inner));
    }
    if (joined.weight.use_empty())
      joined.weight.getDefiningOp()->erase();
  } else {
    if (spec.experts.form == ExpertForm::glu)
      innerValues.push_back(
          apply(input, projection("gate", inner, width), inner));
    innerValues.push_back(apply(input, projection("up", inner, width), inner));
  }
  auto activate = ActivateOp::create(b, b.f32({T, inner}), innerValues);
  b.formula(activate.getBody(),
            grouped ? spec.experts.activation : spec.shared.activation,
            innerValues.size());
  return apply(activate.getResult(), projection("down", width, inner), width);
}

/// Dispatch, experts and combination; `last` if nothing follows.
Value Forward::buildExperts(bool last) {
  Value z = x;
  if (spec.experts.inputNorm)
    z = RMSNormOp::create(b, b.f32({T, spec.hidden}), z,
                          parameter("experts.input_scale", {spec.hidden}),
                          b.getF64FloatAttr(*spec.experts.inputNorm),
                          b.getF64FloatAttr(1.0));
  if (spec.experts.latent)
    z = project(z, "latent.down.weight", spec.experts.latent);
  int64_t width = expertWidth();
  bool onInput = router.weightOn == WeightOn::input;
  Type rowType = onInput ? Type(b.getF32Type())
                         : cast<RankedTensorType>(z.getType()).getElementType();
  Value xs = DispatchOp::create(b, b.tensor({T, width}, rowType), z, rows,
                                onInput ? weights : Value(),
                                b.getI64IntegerAttr(numSlots()));
  Value ys = buildFFN(xs, "experts", true);

  bool identity = router.nullExperts && router.nullKind == NullKind::identity;
  bool passThrough = spec.capacity.limited() &&
                     spec.capacity.overflow == Overflow::pass_through;
  bool direct = last && !spec.experts.latent && !spec.experts.outputBias;
  Type out = direct ? type(spec.dtype.activation) : b.getF32Type();
  auto unit = [&](bool flag) { return flag ? b.getUnitAttr() : UnitAttr(); };
  Value y =
      CombineOp::create(b, b.tensor({T, width}, out), ys, positions, indices,
                        weights, identity || passThrough ? z : Value(),
                        b.getI64IntegerAttr(router.experts), unit(onInput),
                        unit(identity), unit(passThrough));
  if (spec.experts.latentNorm)
    y = RMSNormOp::create(
        b, y.getType(), y, parameter("latent.norm.weight", {width}),
        b.getF64FloatAttr(*spec.experts.latentNorm), b.getF64FloatAttr(1.0));
  if (spec.experts.latent)
    y = project(y, "latent.up.weight", spec.hidden);
  return y;
}

Value Forward::buildShared(Value routed) {
  bool hasShared = spec.shared.intermediate > 0;
  Type out = type(spec.dtype.activation);
  Value outputBias;
  if (spec.experts.outputBias)
    outputBias = parameter("experts.output_bias", {spec.hidden});
  if (!hasShared && !outputBias &&
      cast<RankedTensorType>(routed.getType()).getElementType() == out)
    return routed;
  Value shared, gate;
  if (hasShared)
    shared = buildFFN(x, "shared", false);
  if (spec.shared.gate != SharedGate::none) {
    int64_t width = spec.shared.gate == SharedGate::softmax2 ? 2 : 1;
    Value w = weight("shared.gate.weight", {width, spec.hidden});
    Value bias = width == 2 ? parameter("shared.gate.bias", {width}) : Value();
    gate = RouterOp::create(b, b.f32({T, width}), x, w, bias,
                            b.getF64FloatAttr(0.0), b.getF64FloatAttr(1.0),
                            UnitAttr(), TypeAttr());
  }
  return MixOp::create(
      b, b.tensor({T, spec.hidden}, out), routed, shared, outputBias, gate,
      static_cast<GateKind>(spec.shared.gate), APFloat(spec.shared.scale));
}

void Forward::buildLosses() {
  auto loss = [&](StringRef name, LossKind kind, double coefficient) {
    if (coefficient == 0.0)
      return;
    Value value = LossOp::create(b, b.f32({}), logits, indices,
                                 LossKindAttr::get(b.getContext(), kind),
                                 b.getF64FloatAttr(coefficient));
    b.result(("loss." + name).str(), "plan", value);
  };
  loss("load_balance",
       spec.losses.loadBalanceForm == LoadBalanceForm::hf
           ? LossKind::load_balance_hf
           : LossKind::load_balance_switch,
       spec.losses.loadBalance);
  loss("importance", LossKind::importance, spec.losses.importance);
  loss("router_z", LossKind::router_z, spec.losses.routerZ);
}

void Forward::build() {
  x = b.argument("x", "input",
                 b.tensor({T, spec.hidden}, type(spec.dtype.activation)),
                 {"T"});
  if (router.strategy == Strategy::hash || isTable())
    tokenIds = b.argument("token_ids", "input", b.i64({T}), {"T"});
  if (router.projection.chained)
    routerState = b.argument("router_state", "input",
                             b.f32({T, router.projection.hidden}), {"T"});
  Value clock = ClockOp::create(b, b.i64({1}), Value(), ValueRange{});
  buildRouting();
  clock = ClockOp::create(b, b.i64({2}), clock, rows);
  Value y = buildShared(buildExperts(spec.shared.intermediate == 0));
  clock = ClockOp::create(b, b.i64({3}), clock, y);

  std::string slots = std::to_string(numSlots()) + "*T";
  b.result("y", "output", y, {"T"});
  if (nextState)
    b.result("router_state_next", "output", nextState, {"T"});
  b.result("indices", "plan", indices, {"T"});
  b.result("weights", "plan", weights, {"T"});
  b.result("rows", "plan", rows, {slots});
  b.result("offsets", "plan", offsets);
  b.result("positions", "plan", positions, {"T"});
  b.result("counts", "plan", counts);
  b.result("imbalance", "plan", ImbalanceOp::create(b, b.f32({}), counts));
  buildLosses();
  if (logits)
    b.result("status", "plan",
             CheckFiniteOp::create(b, b.i32({}), logits,
                                   isTable() ? indices : Value()));
  if (loads)
    b.result("loads", "state",
             AccumulateOp::create(b, loads.getType(), loads, counts));
  b.result("clock", "plan", clock);
  b.finish();
}

} // namespace

void moe::buildForward(const Spec &spec, ModuleOp module) {
  Forward(spec, module).build();
}
