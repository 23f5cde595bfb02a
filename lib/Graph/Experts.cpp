//===- Experts.cpp - The experts of the forward function ------------------===//
//
// Part of moe-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Forward.h"

#include "mlir/Dialect/Tensor/IR/Tensor.h"

using namespace mlir;
using namespace moe;

/// NAME.weight, or its values where they are stored in few bits.
static Value matrix(ForwardBuilder &b, StringRef name, ArrayRef<int64_t> shape,
                    const QuantizationSpec &quantization) {
  if (quantization.kind == WeightKind::none)
    return b.weight((name + ".weight").str(), shape);
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

/// A product as the spec wants it.
static Value multiply(ForwardBuilder &b, int64_t out, Value input,
                      QuantAttr rows, Value weight, ValueRange bias = {},
                      Value offsets = {}) {
  auto product = GroupedMatmulOp::create(b, b.f32({T, out}), input, rows,
                                         weight, bias, offsets, Value());
  product.setTf32(b.spec.dtype.products == Factors::tf32);
  return product;
}

/// A dense product with a weight `[width, columns of input]`.
static Value project(ForwardBuilder &b, Value input, StringRef weightName,
                     int64_t width) {
  int64_t columns = cast<RankedTensorType>(input.getType()).getDimSize(1);
  Value w = b.weight(weightName, {width, columns});
  return multiply(b, width, input, QuantAttr(), w);
}

static Value half(ForwardBuilder &b, DecodeOp joined, int64_t dim, GateUp form,
                  int64_t index);

/// The gate's (0) or the other (1) half of the rows of a joined weight, which
/// are counted along `dim`.
static Value half(ForwardBuilder &b, Value joined, int64_t dim, GateUp form,
                  int64_t index) {
  if (auto decode = joined.getDefiningOp<DecodeOp>())
    return half(b, decode, dim, form, index);
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
static Value half(ForwardBuilder &b, DecodeOp joined, int64_t dim, GateUp form,
                  int64_t index) {
  FormatAttr format = joined.getFormat();
  int64_t outputs = format.getOutputs();
  // [S30]: a block is all of the rows, in one half, or has rows of both by
  // turns.
  bool shared = outputs == 0 || (form == GateUp::interleaved && outputs > 1);
  if (shared)
    format = FormatAttr::get(b.getContext(), format.getKind(), outputs / 2,
                             format.getInputs());
  auto blocks = [&](Value value) {
    return !value || shared ? value : half(b, value, dim, form, index);
  };
  auto type = cast<RankedTensorType>(joined.getType());
  SmallVector<int64_t> shape(type.getShape());
  shape[dim] /= 2;
  Value data = half(b, joined.getData(), dim, form, index);
  Value scales = blocks(joined.getScales());
  return DecodeOp::create(b, b.f32(shape), data, scales,
                          blocks(joined.getZeros()), joined.getGlobalScale(),
                          format);
}

/// up/gate, activation, down; of the routed experts with `offsets`, else of the
/// shared one.
static Value buildFFN(ForwardBuilder &b, Value input, Value offsets) {
  struct Projection {
    Value weight;
    SmallVector<Value, 1> bias;
    QuantAttr rows;
  };
  const ExpertsSpec &experts = b.spec.experts;
  const SharedSpec &shared = b.spec.shared;
  bool grouped = static_cast<bool>(offsets);
  int64_t inner = grouped ? experts.intermediate : shared.intermediate;
  int64_t width = cast<RankedTensorType>(input.getType()).getDimSize(1);
  auto projection = [&](StringRef role, int64_t out, int64_t in) {
    std::string name = ((grouped ? "experts." : "shared.") + role).str();
    // The shared expert's gate projection is not its gate.
    if (name == "shared.gate")
      name = "shared.gate_proj";
    SmallVector<int64_t> shape = {out, in}, biasShape = {out};
    if (grouped) {
      shape.insert(shape.begin(), b.router.experts);
      biasShape.insert(biasShape.begin(), b.router.experts);
    }
    const QuantizationSpec &quantization =
        grouped ? experts.quantization : shared.quantization;
    Projection result{matrix(b, name, shape, quantization), {}, {}};
    if (quantization.activations == Activations::fp8_e4m3)
      result.rows = QuantAttr::get(b.getContext(), QuantKind::fp8_e4m3,
                                   (*quantization.block)[1]);
    if (grouped && experts.bias)
      result.bias.push_back(b.parameter(name + ".bias", biasShape));
    return result;
  };
  auto apply = [&](Value input, const Projection &projection, int64_t out) {
    return multiply(b, out, input, projection.rows, projection.weight,
                    projection.bias, offsets);
  };

  GateUp gateUp = grouped ? experts.gateUp : shared.gateUp;
  SmallVector<Value> innerValues;
  if (gateUp != GateUp::separate) {
    Projection joined = projection("gate_up", 2 * inner, width);
    for (int64_t index : {0, 1}) {
      int64_t dim = grouped ? 1 : 0;
      Projection one{
          half(b, joined.weight, dim, gateUp, index), {}, joined.rows};
      for (Value bias : joined.bias)
        one.bias.push_back(half(b, bias, dim, gateUp, index));
      innerValues.push_back(apply(input, one, inner));
    }
    if (joined.weight.use_empty())
      joined.weight.getDefiningOp()->erase();
  } else {
    if (experts.form == ExpertForm::glu)
      innerValues.push_back(
          apply(input, projection("gate", inner, width), inner));
    innerValues.push_back(apply(input, projection("up", inner, width), inner));
  }
  auto activate = ActivateOp::create(b, b.f32({T, inner}), innerValues);
  b.formula(activate.getBody(),
            grouped ? experts.activation : shared.activation,
            innerValues.size());
  return apply(activate.getResult(), projection("down", width, inner), width);
}

/// Dispatch, experts and combination; `last` if nothing follows.
static Value buildRouted(ForwardBuilder &b, Value x, Routing routing,
                         bool last) {
  const RouterSpec &router = b.router;
  const ExpertsSpec &experts = b.spec.experts;
  Value z = x;
  if (experts.inputNorm)
    z = b.norm(z, "experts.input_scale", *experts.inputNorm);
  if (experts.latent)
    z = project(b, z, "latent.down.weight", experts.latent);
  auto type = cast<RankedTensorType>(z.getType());
  int64_t width = type.getDimSize(1);
  Value indices = routing.select.getIndices();
  Value weights = routing.select.getWeights();
  bool onInput = router.weightOn == WeightOn::input;
  Value xs = DispatchOp::create(
      b,
      b.tensor({T, width},
               onInput ? Type(b.getF32Type()) : type.getElementType()),
      z, routing.group.getRows(), onInput ? weights : Value(),
      b.getI64IntegerAttr(b.numSlots()));
  Value ys = buildFFN(b, xs, routing.group.getOffsets());

  bool identity = router.nullExperts && router.nullKind == NullKind::identity;
  bool passThrough = b.spec.capacity.limited() &&
                     b.spec.capacity.overflow == Overflow::pass_through;
  bool direct = last && !experts.latent && !experts.outputBias;
  Type out = direct ? b.type(b.spec.dtype.activation) : b.getF32Type();
  auto unit = [&](bool flag) { return flag ? b.getUnitAttr() : UnitAttr(); };
  Value y = CombineOp::create(b, b.tensor({T, width}, out), ys,
                              routing.group.getPositions(), indices, weights,
                              identity || passThrough ? z : Value(), Value(),
                              b.getI64IntegerAttr(router.experts),
                              unit(onInput), unit(identity), unit(passThrough));
  if (experts.latentNorm)
    y = b.norm(y, "latent.norm.weight", *experts.latentNorm);
  if (experts.latent)
    y = project(b, y, "latent.up.weight", b.spec.hidden);
  return y;
}

/// The logits of the shared expert's gate.
static Value buildGate(ForwardBuilder &b, Value x) {
  int64_t width = b.spec.shared.gate == SharedGate::softmax2 ? 2 : 1;
  Value w = b.weight("shared.gate.weight", {width, b.spec.hidden});
  Value bias = width == 2 ? b.parameter("shared.gate.bias", {width}) : Value();
  return RouterOp::create(b, b.f32({T, width}), x, w, bias,
                          b.getF64FloatAttr(0.0), b.getF64FloatAttr(1.0),
                          UnitAttr(), TypeAttr());
}

Value moe::buildExperts(ForwardBuilder &b, Value x, Routing routing) {
  const SharedSpec &shared = b.spec.shared;
  bool hasShared = shared.intermediate > 0;
  Value routed = buildRouted(b, x, routing, /*last=*/!hasShared);
  Type out = b.type(b.spec.dtype.activation);
  Value outputBias, sharedValue, gate;
  if (b.spec.experts.outputBias)
    outputBias = b.parameter("experts.output_bias", {b.spec.hidden});
  if (!hasShared && !outputBias && getElementTypeOrSelf(routed) == out)
    return routed;
  if (hasShared)
    sharedValue = buildFFN(b, x, /*offsets=*/Value());
  if (shared.gate != SharedGate::none)
    gate = buildGate(b, x);
  return MixOp::create(
      b, b.tensor({T, b.spec.hidden}, out), routed, sharedValue, outputBias,
      gate, static_cast<GateKind>(shared.gate), APFloat(shared.scale));
}
