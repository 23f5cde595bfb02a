//===- ValidateExperts.cpp - What keys of experts say together ------------===//
//
// Part of moe-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Checker.h"
#include "Keys.h"
#include "Validate.h"

#include <algorithm>

using namespace moe;

/// Values that can share a scale in what is rounded here.
static constexpr int64_t mostOfBlock = int64_t(1) << 20;

namespace {

class ExpertsValidator : Checker {
public:
  ExpertsValidator(const Spec &spec, const Locations &locations,
                   Reporter &reporter)
      : Checker(spec, locations, reporter), experts(spec.experts),
        shared(spec.shared) {}

  void run() {
    checkExperts();
    checkQuantization(
        experts.quantization, "experts.quantization",
        {experts.latent ? "experts.latent" : "hidden", "experts.intermediate"});
    if (shared.intermediate != 0)
      checkQuantization(shared.quantization, "shared.quantization",
                        {"hidden", "shared.intermediate"});
  }

private:
  /// `widths` are what the matrices' inputs may be.
  void checkQuantization(const QuantizationSpec &quantization,
                         const std::string &path,
                         std::initializer_list<Path> widths) {
    const std::string kind = path + ".kind", block = path + ".block";
    // [S24]
    Pair only = defaultBlock(quantization.kind);
    if (only[1] != 0 && *quantization.block != only)
      valueNeeds(kind, block, pairText(only));
    bool isInt4 = quantization.kind == WeightKind::int4;
    if (isInt4 && (*quantization.block)[1] % 2 != 0)
      valueNeeds(kind, block, "even along the inputs");
    // [S25]
    if (quantization.zeroPoints && !isInt4)
      needs(path + ".zero_points", kind, "'int4'");
    // [S33]
    if (quantization.activations != Activations::none) {
      const std::string rows = path + ".activations";
      int64_t inputs = (*quantization.block)[1];
      if (quantization.kind != WeightKind::fp8_e4m3)
        valueNeeds(rows, kind, "'fp8_e4m3'");
      else if (inputs < 1 || inputs > mostOfBlock)
        valueNeeds(rows, block,
                   "of 1 to " + std::to_string(mostOfBlock) + " inputs");
    }
    // [S26]
    int64_t unit = isInt4 ? 2 : std::max<int64_t>(only[1], 1);
    for (Path width : widths)
      if (std::get<int64_t>(findKey(width)->get(spec)) % unit != 0)
        valueNeeds(kind, width, "a multiple of " + std::to_string(unit));
  }

  void checkExperts() {
    // [S34]
    if (spec.dtype.products == Factors::tf32) {
      if (spec.dtype.activation != DType::f32)
        valueNeeds("dtype.products", "dtype.activation", "'f32'");
      if (spec.dtype.weights != DType::f32)
        valueNeeds("dtype.products", "dtype.weights", "'f32'");
    }
    // [S27]
    if (shared.quantization.kind != WeightKind::none &&
        shared.intermediate == 0)
      valueNeeds("shared.quantization.kind", "shared.intermediate", "above 0");
    // [S13]
    if (shared.intermediate == 0) {
      if (shared.gate != SharedGate::none)
        valueNeeds("shared.gate", "shared.intermediate", "above 0");
      if (shared.scale != 1.0)
        valueNeeds("shared.scale", "shared.intermediate", "above 0");
    }
    // [S28]
    if (experts.latentNorm && experts.latent == 0)
      needs("experts.latent_norm", "experts.latent", "above 0");
    // [S29]
    if (experts.form != ExpertForm::glu) {
      if (experts.gateUp != GateUp::separate)
        valueNeeds("experts.gate_up", "experts.form", "'glu'");
      if (shared.gateUp != GateUp::separate)
        valueNeeds("shared.gate_up", "experts.form", "'glu'");
    }
    checkJoined(experts.gateUp, experts.quantization, experts.intermediate,
                "experts");
    checkJoined(shared.gateUp, shared.quantization, shared.intermediate,
                "shared");
  }

  /// [S30]: each half of the outputs has blocks like those of the whole.
  void checkJoined(GateUp form, const QuantizationSpec &quantization,
                   int64_t intermediate, const std::string &path) {
    int64_t outputs = (*quantization.block)[0];
    if (quantization.kind == WeightKind::none || outputs <= 1)
      return;
    const std::string key = path + ".gate_up";
    const std::string block = path + ".quantization.block";
    if (form == GateUp::concatenated && intermediate % outputs != 0)
      valueNeeds(key, block,
                 "of outputs that divide " + std::to_string(intermediate));
    if (form == GateUp::interleaved && outputs % 2 != 0)
      valueNeeds(key, block, "of 0, 1 or an even number of outputs");
  }

  const ExpertsSpec &experts;
  const SharedSpec &shared;
};

} // namespace

void moe::validateExperts(const Spec &spec, const Locations &locations,
                          Reporter &reporter) {
  ExpertsValidator(spec, locations, reporter).run();
}
