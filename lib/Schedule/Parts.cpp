//===- Parts.cpp - The steps of a forward of a layer ----------------------===//
//
// Part of moe-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "moe/Schedule/Cost.h"

#include "Formats.h"

#include <algorithm>

using namespace moe;

/// Operations on each value: an exponential and a division; of a score also
/// the comparisons that rank it.
static constexpr double activationOperations = 24, scoreOperations = 32;
/// Operations for each choice of a token: to rank it and to put it in place.
static constexpr double choiceOperations = 64;

/// Bytes of the scales and zeros of a matrix.
static double scaleBytes(const QuantizationSpec &quantization, int64_t outputs,
                         int64_t depth) {
  if (quantization.kind == WeightKind::none)
    return 0;
  auto [blockOutputs, blockInputs] = *quantization.block;
  int64_t each =
      scaleBytesOf(quantization.kind) + (quantization.zeroPoints ? 1 : 0);
  return double(blockCount(outputs, blockOutputs) *
                blockCount(depth, blockInputs) * each);
}

namespace {

/// Experts that are equally likely.
struct Experts {
  std::string prefix;
  int64_t count;
  double probability;
};

class Builder {
public:
  Builder(const Spec &spec, const Machine &machine, bool bf16Pairs,
          std::string_view blocks, bool packs)
      : spec(spec), machine(machine), bf16Pairs(bf16Pairs), blocks(blocks),
        packs(packs) {}

  std::vector<Part> parts;
  void build();

private:
  const Spec &spec;
  const Machine &machine;
  const bool bf16Pairs;
  const std::string_view blocks;
  const bool packs; // weights of experts, if they fill strips

  Product product(int64_t outputs, int64_t depth, int64_t weights, DType type,
                  const QuantizationSpec &quantization, bool bias,
                  bool inRows = false) const;
  void dense(const char *name, int64_t outputs, int64_t depth, DType type,
             bool inRows);
  void feedForward(const Experts &experts, int64_t width, int64_t inner,
                   const QuantizationSpec &quantization, bool bias);
  void router();
};

/// As moe-pack-weights has it.
static bool hasStrips(const QuantizationSpec &quantization, DType type,
                      int64_t depth) {
  switch (quantization.kind) {
  case WeightKind::none:
    return type != DType::f16;
  case WeightKind::int8: {
    auto [outputs, inputs] = *quantization.block;
    return outputs == 1 && (inputs == 0 || inputs >= depth);
  }
  default:
    return quantization.kind == WeightKind::mxfp4;
  }
}

Product Builder::product(int64_t outputs, int64_t depth, int64_t weights,
                         DType type, const QuantizationSpec &quantization,
                         bool bias, bool inRows) const {
  bool plain = quantization.kind == WeightKind::none;
  Product product;
  product.bf16 = bf16Pairs && spec.dtype.activation == DType::bf16 &&
                 (!plain || type == DType::bf16);
  ProductShape &shape = product.shape;
  shape.outputs = outputs;
  shape.depth = depth;
  shape.weights = weights;
  shape.xBytes = product.bf16 ? 2 : 4;
  shape.weightBits = bitsOf(quantization, type);
  shape.decoded = shape.weightBits != 8 * shape.xBytes;
  if (!plain)
    shape.block = (*quantization.block)[1];
  shape.packed = packs && !inRows && hasStrips(quantization, type, depth) &&
                 fillsStrips(outputs, depth, shape.weightBits);
  if (shape.packed)
    shape.block = 0;
  product.blocks = chooseBlocks(machine, shape, blocks);
  double bytes = double(outputs * depth * shape.weightBits) / 8 +
                 scaleBytes(quantization, outputs, depth) +
                 (bias ? double(outputs) * 4 : 0);
  product.weightBytes = bytes * double(weights);
  return product;
}

void Builder::dense(const char *name, int64_t outputs, int64_t depth,
                    DType type, bool inRows) {
  parts.push_back(
      {name, 1, 1, product(outputs, depth, 1, type, {}, false, inRows), 0});
}

void Builder::router() {
  const RouterSpec &router = spec.router;
  const ProjectionSpec &projection = router.projection;
  int64_t scores = router.experts + router.nullExperts, width = spec.hidden;
  if (router.hasLogits()) {
    DType type = spec.dtype.router;
    bool recurrent = projection.form == ProjectionForm::recurrent;
    int64_t hiddenLayers = recurrent ? 3 : projection.layers - 1;
    for (int64_t layer = 0; layer < hiddenLayers; ++layer) {
      dense("router, hidden", projection.hidden, width, type, true);
      width = projection.hidden;
    }
    dense("router", scores, width, type, true);
  }
  parts.push_back({"routing", 1, 1, std::nullopt,
                   double(scores) * scoreOperations +
                       double(router.topK) * choiceOperations});
}

void Builder::feedForward(const Experts &experts, int64_t width, int64_t inner,
                          const QuantizationSpec &quantization, bool bias) {
  if (experts.count == 0)
    return;
  auto add = [&](const char *name, const std::optional<Product> &product,
                 double rowOperations) {
    parts.push_back({experts.prefix + name, experts.count, experts.probability,
                     product, rowOperations});
  };
  int64_t weights = spec.experts.form == ExpertForm::glu ? 2 : 1;
  DType type = spec.dtype.weights;
  add(weights == 2 ? "gate, up" : "up",
      product(inner, width, weights, type, quantization, bias), 0);
  add("activation", std::nullopt, double(inner) * activationOperations);
  // Each row is weighted and added to that of its token.
  add("down", product(width, inner, 1, type, quantization, bias),
      double(width) * 2);
}

void Builder::build() {
  const RouterSpec &r = spec.router;
  const ExpertsSpec &experts = spec.experts;
  int64_t chosen = r.experts - r.alwaysOn;
  double probability =
      std::min(1.0, double(r.topK) / double(chosen + r.nullExperts));
  int64_t latent = experts.latent;
  int64_t width = latent ? latent : spec.hidden;
  router();
  if (latent)
    dense("latent, down", latent, spec.hidden, spec.dtype.weights, false);
  for (const Experts &some : {Experts{"", chosen, probability},
                              Experts{"always on, ", r.alwaysOn, 1}})
    feedForward(some, width, experts.intermediate, experts.quantization,
                experts.bias);
  if (latent)
    dense("latent, up", spec.hidden, latent, spec.dtype.weights, false);
  if (spec.shared.intermediate)
    feedForward({"shared, ", 1, 1}, spec.hidden, spec.shared.intermediate,
                spec.shared.quantization, false);
}

} // namespace

std::vector<Part> moe::partsOf(const Spec &spec, const Machine &machine,
                               bool bf16Pairs, std::string_view blocks,
                               bool packs) {
  Builder builder(spec, machine, bf16Pairs, blocks, packs);
  builder.build();
  return std::move(builder.parts);
}
