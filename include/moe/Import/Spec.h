//===- Spec.h - A MoE layer as plain data -----------------------*- C++ -*-===//
//
// Part of moe-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// The resolved form of a model spec: every default filled in, every constraint
// of docs/Spec.md checked. Importers produce it, the graph builder consumes it.
// Plain structs with no MLIR, so that import can be tested and fuzzed alone.
//
//===----------------------------------------------------------------------===//

#ifndef MOE_IMPORT_SPEC_H
#define MOE_IMPORT_SPEC_H

#include "moe/Import/Expression.h"
#include "moe/Import/WeightSources.h"

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace moe {

enum class DType { f32, bf16, f16 };
/// What values of f32 may be rounded to before they are multiplied.
enum class Factors { f32, tf32 };

enum class Strategy {
  learned,
  hash,
  random,
  load_based,
  similarity,
  table,
  sparsemixer
};
enum class Balancing {
  token_choice,
  expert_choice,
  dynamic,
  round_robin,
  load_aware
};
/// `function` is an elementwise score; its formula is
/// `RouterSpec::scoreFunction`.
enum class Score { softmax, function };
enum class ScoreOn { all, selected };
enum class Renormalize { none, add, clamp };
enum class GroupReduce { max, sum_top2 };
enum class GroupFill { zero, neg_inf };
enum class NullKind { identity, skip };
enum class WeightOn { output, input };
enum class ExpertForm { glu, mlp };
/// How a gate and an up projection are stored: as two weights, or as one whose
/// rows are all of the gate and then all of the other, or alternate.
enum class GateUp { separate, concatenated, interleaved };
enum class SharedGate { none, sigmoid, softmax2 };
enum class Overflow { drop, pass_through };
enum class Scope { global, local };
enum class Priority { token_order, probability, choice_order };
enum class ProjectionForm { feed_forward, recurrent };
enum class ExpertsOn { ep, tp };
enum class Exchange { all_to_all, point_to_point, hierarchical, ring };
enum class ExchangedRows { exact, padded };
enum class Wire { none, bf16, fp8_e4m3, int8 };
enum class Compression {
  none,
  blockwise_int8,
  fp8_e4m3,
  fp8_e5m2,
  mxfp4,
  int4,
  fp16
};
enum class AverageOver { grid, dp };
enum class WeightKind { none, fp8_e4m3, int8, int4, mxfp4, nvfp4 };
/// What rows are multiplied as.
enum class Activations { none, fp8_e4m3 };
enum class LoadBalanceForm { hf, switch_transformer };

struct GroupsSpec {
  int64_t count = 1;
  int64_t keep = 1;
  GroupReduce reduce = GroupReduce::sum_top2;
  GroupFill fill = GroupFill::neg_inf;
};

struct ProjectionSpec {
  ProjectionForm form = ProjectionForm::feed_forward;
  int64_t layers = 1;
  /// Width of the hidden layers, and of the state of a recurrent router.
  int64_t hidden = 0;
  /// Activation of the hidden layers, a formula of `g`.
  Expression activation;
  double eps = 1e-6;    // of the norm of a recurrent router
  bool chained = false; // there is a state to go on from
  bool bias = false;
  /// Round logits to the activation type, as a router run in that type would.
  bool inputPrecision = false;
};

struct InputNormSpec {
  std::optional<double> eps; // not set: no norm
  double factor = 1.0;
};

struct RouterSpec {
  int64_t experts = 0;
  int64_t topK = 0;
  Strategy strategy = Strategy::learned;
  Score score = Score::softmax;
  Expression scoreFunction; // of `x`; set iff score == function
  ScoreOn scoreOn = ScoreOn::all;
  Renormalize renormalize = Renormalize::none;
  double renormalizeEps = 0.0;
  double renormalizeP = 1.0;
  InputNormSpec inputNorm;
  ProjectionSpec projection;
  double scale = 1.0;
  bool expertScale = false;
  double softcap = 0.0; // 0: none
  bool selectionBias = false;
  GroupsSpec groups; // count == 1: ungrouped
  double temperature = 1.0;
  double threshold = 0.01; // of `sparsemixer`
  int64_t vocabulary = 0;  // of `table`
  int64_t alwaysOn = 0;    // experts that are not chosen but given to all
  Balancing balancing = Balancing::token_choice;
  double balanceRate = 0.001; // u of `dynamic`
  double balanceLambda = 1.0; // of `load_aware`
  double balanceFactor = 1.0; // of `expert_choice`
  int64_t nullExperts = 0;
  NullKind nullKind = NullKind::identity;
  WeightOn weightOn = WeightOn::output;
  uint64_t seed = 0;
  bool hasLogits() const {
    return strategy != Strategy::hash && strategy != Strategy::random &&
           strategy != Strategy::load_based;
  }
};

/// How the projection matrices of an FFN are stored.
struct QuantizationSpec {
  WeightKind kind = WeightKind::none;
  /// Outputs and inputs that share a scale, 0: all of them. Left out: [1, 0],
  /// or what the kind says.
  std::optional<std::array<int64_t, 2>> block;
  bool zeroPoints = false;
  /// Rows are rounded, in blocks as long as the weights' are.
  Activations activations = Activations::none;
};

struct ExpertsSpec {
  int64_t intermediate = 0;
  ExpertForm form = ExpertForm::glu;
  Expression activation; // of `g` and, for glu, `u`
  bool bias = false;
  bool outputBias = false;
  GateUp gateUp = GateUp::separate;
  int64_t latent = 0;               // 0: none
  std::optional<double> inputNorm;  // its eps
  std::optional<double> latentNorm; // its eps
  QuantizationSpec quantization;
};

struct SharedSpec {
  int64_t intermediate = 0; // 0: none
  Expression activation;    // left out: that of the experts
  GateUp gateUp = GateUp::separate;
  SharedGate gate = SharedGate::none;
  double scale = 1.0;
  QuantizationSpec quantization;
};

struct CapacitySpec {
  /// At most one of the two is set; neither: dropless.
  std::optional<double> factor;
  std::optional<int64_t> tokens;
  Overflow overflow = Overflow::drop;
  Scope scope = Scope::global;
  Priority priority = Priority::token_order;
  bool limited() const { return factor || tokens; }
};

struct LossesSpec {
  double loadBalance = 0.0;
  LoadBalanceForm loadBalanceForm = LoadBalanceForm::hf;
  double importance = 0.0;
  double routerZ = 0.0;
};

struct DTypeSpec {
  DType activation = DType::f32;
  DType weights = DType::f32;
  DType router = DType::f32; // of the router's matrices
  Factors products = Factors::f32;
};

struct ParallelSpec {
  int64_t dp = 1, ep = 1, tp = 1;
  ExpertsOn expertsOn = ExpertsOn::ep;
  Exchange exchange = Exchange::all_to_all;
  ExchangedRows rows = ExchangedRows::exact;
  Wire wire = Wire::none;  // what rows are while they are exchanged
  int64_t wireBlock = 128; // values that share a scale
  int64_t chunks = 1;      // exchanges that rows are divided among
  bool sequenceParallel = false;
  bool fsdp = false;
  std::optional<int64_t> expertsPerDevice; // set by import unless placed
  /// The experts of each member of ep; empty: equal shares in order.
  std::vector<std::vector<int64_t>> placement;

  int64_t devices() const { return dp * ep * tp; }
};

struct AveragingSpec {
  int64_t groupSize = 4;
  /// Of the phases of a step; 0: the timeout of the world that runs it.
  int64_t matchTimeoutMs = 0;
  int64_t exchangeTimeoutMs = 0;
  Compression compression = Compression::blockwise_int8;
  int64_t block = 0; // left out: 64, or 32 for mxfp4
  AverageOver over = AverageOver::grid;
  bool errorFeedback = false;
};

/// What the package can be asked to do.
enum class Function {
  forward,
  step,
  quantize,
  dequantize,
  accumulate,
  average,
  average_group
};

struct WeightsSpec {
  int64_t layer = 0;
  /// Before each name in a file: alternatives. `{l}` stands for the layer.
  std::vector<std::string> prefix = {""};
  /// Weights that are not named here have their own names.
  std::vector<WeightSources> tensors;
  /// Patterns of names after the prefix that no weight needs to be made of.
  std::vector<std::string> ignore;
};

struct Spec {
  std::string name = "layer";
  int64_t hidden = 0;
  RouterSpec router;
  ExpertsSpec experts;
  SharedSpec shared;
  CapacitySpec capacity;
  LossesSpec losses;
  DTypeSpec dtype;
  ParallelSpec parallel;
  AveragingSpec averaging;
  std::vector<Function> functions = {Function::forward};
  WeightsSpec weights;
};

} // namespace moe

#endif // MOE_IMPORT_SPEC_H
