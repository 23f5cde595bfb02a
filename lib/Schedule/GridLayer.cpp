//===- GridLayer.cpp - A layer as a planner of grids sees it --------------===//
//
// Part of moe-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "moe/Schedule/GridLayer.h"

#include "Formats.h"

#include <algorithm>
#include <numeric>

using namespace moe;

using Of = GridWeight::Of;
using Split = GridWeight::Split;

namespace {

/// Fills a layer. Weights are those that lib/Graph gives a package.
class LayerBuilder {
public:
  LayerBuilder(const Spec &spec, GridLayer &layer) : spec(spec), layer(layer) {}
  void build();

private:
  const Spec &spec;
  GridLayer &layer;

  void add(Of of, const std::string &name, Split split,
           std::initializer_list<int64_t> shape, int64_t bits);
  void vector(Of of, const std::string &name, int64_t size) {
    add(of, name, Split::none, {size}, 32);
  }
  void dense(const std::string &name, int64_t outputs, int64_t inputs,
             bool bias);
  void plain(const std::string &name, int64_t outputs, int64_t inputs);
  void matrix(Of of, const std::string &name, Split split, int64_t outputs,
              int64_t inputs, const QuantizationSpec &quantization, bool bias);
  void feedForward(Of of, int64_t width, int64_t inner, GateUp gateUp,
                   const QuantizationSpec &quantization, bool bias);
  int64_t bytesSent(int64_t bytes) const;
  void sizes();
  void router();
  void experts();
  void shared();
};

} // namespace

/// A weight of [outputs, ...], one for each expert if it is theirs.
void LayerBuilder::add(Of of, const std::string &name, Split split,
                       std::initializer_list<int64_t> shape, int64_t bits) {
  bool ofExperts = of == Of::experts;
  int64_t count = ofExperts ? layer.experts : 1;
  GridWeight weight = {name, of, split};
  weight.inner = ofExperts ? layer.intermediate : layer.sharedIntermediate;
  weight.first = ofExperts || shape.size() == 0 ? count : *shape.begin();
  weight.isVector = shape.size() + (ofExperts ? 1 : 0) < 2;
  for (int64_t size : shape)
    count *= size;
  weight.bytes = count * bits / 8;
  layer.weights.push_back(std::move(weight));
}

/// A matrix of the router.
void LayerBuilder::dense(const std::string &name, int64_t outputs,
                         int64_t inputs, bool bias) {
  add(Of::router, name + ".weight", Split::none, {outputs, inputs},
      8 * bytesOf(spec.dtype.router));
  if (bias)
    vector(Of::router, name + ".bias", outputs);
  layer.routerOperations += 2 * double(outputs) * double(inputs);
}

/// A matrix that no axis splits.
void LayerBuilder::plain(const std::string &name, int64_t outputs,
                         int64_t inputs) {
  add(Of::other, name, Split::none, {outputs, inputs},
      8 * bytesOf(spec.dtype.weights));
  layer.tokenOperations += 2 * double(outputs) * double(inputs);
}

void LayerBuilder::matrix(Of of, const std::string &name, Split split,
                          int64_t outputs, int64_t inputs,
                          const QuantizationSpec &quantization, bool bias) {
  add(of, name + ".weight", split, {outputs, inputs},
      bitsOf(quantization, spec.dtype.weights));
  double &operations =
      of == Of::experts ? layer.rowOperations : layer.sharedOperations;
  operations += 2 * double(outputs) * double(inputs);
  if (bias)
    vector(of, name + ".bias", outputs);
  if (bias && split == Split::outputs)
    layer.weights.back().split = split;
  if (quantization.kind == WeightKind::none)
    return;
  // Scales are split where there are several of them.
  auto [blockOutputs, blockInputs] = *quantization.block;
  int64_t rows = blockCount(outputs, blockOutputs);
  int64_t columns = blockCount(inputs, blockInputs);
  int64_t block = split == Split::outputs ? blockOutputs : blockInputs;
  Split scaleSplit = block == 0 ? Split::none : split;
  add(of, name + ".scales", scaleSplit, {rows, columns},
      8 * scaleBytesOf(quantization.kind));
  if (quantization.zeroPoints)
    add(of, name + ".zeros", scaleSplit, {rows, columns}, 8);
  if (quantization.kind == WeightKind::nvfp4)
    add(of, name + ".global_scale", Split::none, {}, 32);
  // A byte holds two values of four bits, one after the other in the depth.
  bool pairs = bitsOf(quantization, spec.dtype.weights) < 8;
  int64_t whole = split == Split::inputs && pairs ? 2 : 1;
  int64_t &unit = of == Of::experts ? layer.unit : layer.sharedUnit;
  unit = std::lcm(unit, std::lcm(whole, std::max<int64_t>(1, block)));
}

void LayerBuilder::feedForward(Of of, int64_t width, int64_t inner,
                               GateUp gateUp,
                               const QuantizationSpec &quantization,
                               bool bias) {
  bool isShared = of == Of::shared;
  std::string prefix = isShared ? "shared." : "experts.";
  bool glu = spec.experts.form == ExpertForm::glu;
  if (gateUp != GateUp::separate) {
    matrix(of, prefix + "gate_up", Split::outputs, 2 * inner, width,
           quantization, bias);
  } else {
    if (glu)
      matrix(of, prefix + (isShared ? "gate_proj" : "gate"), Split::outputs,
             inner, width, quantization, bias);
    matrix(of, prefix + "up", Split::outputs, inner, width, quantization, bias);
  }
  matrix(of, prefix + "down", Split::inputs, width, inner, quantization, bias);
}

/// Of a row whose values have `bytes` each where they are made.
int64_t LayerBuilder::bytesSent(int64_t bytes) const {
  const ParallelSpec &parallel = spec.parallel;
  switch (parallel.wire) {
  case Wire::none:
    return layer.width * bytes;
  case Wire::bf16:
    return layer.width * 2;
  case Wire::fp8_e4m3:
  case Wire::int8:
    break;
  }
  return layer.width + 4 * ((layer.width - 1) / parallel.wireBlock + 1);
}

void LayerBuilder::sizes() {
  const RouterSpec &r = spec.router;
  layer.name = spec.name;
  layer.hidden = spec.hidden;
  layer.width = spec.experts.latent ? spec.experts.latent : spec.hidden;
  layer.experts = r.experts;
  layer.nullExperts = r.nullExperts;
  bool byExpert = r.balancing == Balancing::expert_choice;
  layer.slots = byExpert ? r.experts : r.topK + r.alwaysOn;
  int64_t chosen = r.experts - r.alwaysOn;
  double choices = double(r.topK) * (byExpert ? r.balanceFactor : 1);
  layer.probability = std::min(1.0, choices / double(chosen + r.nullExperts));
  layer.rowsPerToken = layer.probability * double(chosen) + double(r.alwaysOn);
  layer.intermediate = spec.experts.intermediate;
  layer.sharedIntermediate = spec.shared.intermediate;
  layer.activationBytes = bytesOf(spec.dtype.activation);
  // Rows that are weighted before the experts, and those that a norm or a
  // projection made, are f32.
  bool isF32 = r.weightOn == WeightOn::input || spec.experts.latent ||
               spec.experts.inputNorm;
  layer.rowBytes = isF32 ? 4 : layer.activationBytes;
  layer.sentRowBytes = bytesSent(layer.rowBytes);
  layer.sentResultBytes = bytesSent(4);
  layer.chunks = spec.parallel.chunks;
  layer.latent = spec.experts.latent > 0;
  layer.capacity = spec.capacity;
  layer.choosesByLogits = byExpert;
  layer.choosesForAll = byExpert || r.strategy == Strategy::load_based;
  const LossesSpec &losses = spec.losses;
  layer.hasLosses =
      losses.loadBalance != 0 || losses.importance != 0 || losses.routerZ != 0;
  layer.inputs = layer.outputs = {layer.hidden * layer.activationBytes};
  if (r.strategy == Strategy::hash || r.strategy == Strategy::table)
    layer.inputs.push_back(8);
  if (r.projection.chained)
    layer.inputs.push_back(4 * r.projection.hidden);
  if (r.hasLogits() && r.projection.form == ProjectionForm::recurrent)
    layer.outputs.push_back(4 * r.projection.hidden);
}

void LayerBuilder::router() {
  const RouterSpec &r = spec.router;
  const ProjectionSpec &projection = r.projection;
  int64_t scores = r.experts + r.nullExperts, width = spec.hidden;
  if (r.hasLogits()) {
    if (r.inputNorm.eps)
      vector(Of::router, "router.input_scale", spec.hidden);
    if (projection.form == ProjectionForm::recurrent) {
      width = projection.hidden;
      dense("router.state.down", width, spec.hidden, /*bias=*/true);
      if (projection.chained)
        vector(Of::router, "router.state.scale", width);
      vector(Of::router, "router.norm.weight", width);
      dense("router.hidden", width, width, /*bias=*/true);
      dense("router.hidden2", width, width, /*bias=*/true);
    } else if (projection.layers == 2) {
      dense("router.hidden", projection.hidden, width, projection.bias);
      width = projection.hidden;
    }
    dense("router", scores, width, projection.bias);
  }
  if (r.selectionBias && r.balancing != Balancing::dynamic)
    vector(Of::router, "router.selection_bias", scores - r.alwaysOn);
  if (r.expertScale)
    vector(Of::router, "router.expert_scale", r.experts);
  if (r.strategy == Strategy::table)
    add(Of::router, "router.table", Split::none, {r.vocabulary, layer.slots},
        32);
}

void LayerBuilder::experts() {
  const ExpertsSpec &experts = spec.experts;
  if (experts.inputNorm)
    vector(Of::other, "experts.input_scale", spec.hidden);
  if (experts.latent)
    plain("latent.down.weight", experts.latent, spec.hidden);
  feedForward(Of::experts, layer.width, experts.intermediate, experts.gateUp,
              experts.quantization, experts.bias);
  if (experts.latentNorm)
    vector(Of::other, "latent.norm.weight", experts.latent);
  if (experts.latent)
    plain("latent.up.weight", spec.hidden, experts.latent);
  if (experts.outputBias)
    vector(Of::other, "experts.output_bias", spec.hidden);
}

void LayerBuilder::shared() {
  const SharedSpec &shared = spec.shared;
  if (!shared.intermediate)
    return;
  feedForward(Of::shared, spec.hidden, shared.intermediate, shared.gateUp,
              shared.quantization, /*bias=*/false);
  if (shared.gate == SharedGate::none)
    return;
  bool two = shared.gate == SharedGate::softmax2;
  plain("shared.gate.weight", two ? 2 : 1, spec.hidden);
  if (two)
    vector(Of::other, "shared.gate.bias", 2);
}

void LayerBuilder::build() {
  sizes();
  router();
  experts();
  shared();
}

int64_t GridLayer::weightBytes() const {
  int64_t bytes = 0;
  for (const GridWeight &weight : weights)
    bytes += weight.bytes;
  return bytes;
}

GridLayer moe::gridLayerOf(const Spec &spec) {
  GridLayer layer;
  LayerBuilder(spec, layer).build();
  return layer;
}
