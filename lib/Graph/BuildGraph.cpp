//===- BuildGraph.cpp - From a Spec to the moe dialect --------------------===//
//
// Part of moe-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "FunctionBuilder.h"

#include "moe/Dialect/Coll/Coll.h"
#include "moe/Sharding/Parallel.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"

using namespace mlir;
using namespace moe;

// The dialect repeats these enums; a cast carries one to the other.
static_assert(int(StrategyKind::sparsemixer) == int(Strategy::sparsemixer));
static_assert(int(BalancingKind::load_aware) == int(Balancing::load_aware));
static_assert(int(ScoreKind::function) == int(Score::function));
static_assert(int(ScoreOnKind::selected) == int(ScoreOn::selected));
static_assert(int(RenormalizeKind::clamp) == int(Renormalize::clamp));
static_assert(int(GroupReduceKind::sum_top2) == int(GroupReduce::sum_top2));
static_assert(int(GroupFillKind::neg_inf) == int(GroupFill::neg_inf));
static_assert(int(PriorityKind::choice_order) == int(Priority::choice_order));
static_assert(int(WeightFormatKind::nvfp4) == int(WeightKind::nvfp4));
static_assert(int(GateKind::softmax2) == int(SharedGate::softmax2));

static constexpr int64_t dynamic = FunctionBuilder::dynamic;

static void buildStep(const Spec &spec, ModuleOp module) {
  FunctionBuilder b(module, "step");
  int64_t n = spec.router.experts + spec.router.nullExperts;
  Value bias =
      b.state("router.selection_bias", b.f32({n}), /*fromWeight=*/true);
  Value loads = b.state("loads", b.i64({n}));
  auto rebalance =
      RebalanceOp::create(b, TypeRange{bias.getType(), loads.getType()}, bias,
                          loads, b.getF64FloatAttr(spec.router.balanceRate));
  b.result("router.selection_bias", "state", rebalance.getNewBias());
  b.result("loads", "state", rebalance.getNewLoads());
  b.finish();
}

/// The format of `averaging.compression`, with the sizes of n values in it.
struct Format {
  QuantAttr attr;
  RankedTensorType data, scales;
  std::string dataSize, scaleSize;
  /// Bits of small floats are unsigned.
  bool unsignedData, unsignedScales;

  Format(FunctionBuilder &b, const AveragingSpec &spec) {
    // `none` has no format and [S14] no functions.
    auto kind =
        static_cast<QuantKind>(static_cast<int>(spec.compression) -
                               static_cast<int>(Compression::blockwise_int8));
    bool mx = kind == QuantKind::mxfp4;
    bool isPacked = mx || kind == QuantKind::int4;
    attr = QuantAttr::get(b.getContext(), kind, spec.block);
    data = b.tensor({dynamic}, b.getI8Type());
    scales = b.tensor({dynamic}, mx ? Type(b.getI8Type()) : b.getF32Type());
    dataSize = isPacked ? "ceil(n/2)" : "n";
    unsignedData = kind != QuantKind::int8;
    unsignedScales = mx;
    scaleSize = "ceil(n/" + std::to_string(spec.block) + ")";
  }
};

static void buildQuantize(const Spec &spec, ModuleOp module) {
  FunctionBuilder b(module, "quantize");
  Format format(b, spec.averaging);
  Value values = b.argument("values", "input", b.f32({dynamic}), {"n"});
  auto quantize = QuantizeOp::create(
      b, TypeRange{format.data, format.scales, b.i32({})}, values, format.attr);
  b.result("data", "output", quantize.getData(), {format.dataSize},
           format.unsignedData);
  b.result("scales", "output", quantize.getScales(), {format.scaleSize},
           format.unsignedScales);
  b.result("status", "plan", quantize.getStatus());
  b.finish();
}

static void buildDequantize(const Spec &spec, ModuleOp module) {
  FunctionBuilder b(module, "dequantize");
  Format format(b, spec.averaging);
  Value data = b.argument("data", "input", format.data, {format.dataSize},
                          format.unsignedData);
  Value scales = b.argument("scales", "input", format.scales,
                            {format.scaleSize}, format.unsignedScales);
  b.result("values", "output",
           DequantizeOp::create(b, b.f32({dynamic}), data, scales, format.attr),
           {"n"});
  b.finish();
}

static void buildAccumulate(ModuleOp module) {
  FunctionBuilder b(module, "accumulate");
  Value sum = b.argument("sum", "input", b.f32({dynamic}), {"n"});
  Value values = b.argument("values", "input", b.f32({dynamic}), {"n"});
  b.result("result", "output",
           AccumulateOp::create(b, sum.getType(), sum, values), {"n"});
  b.finish();
}

static void buildAverage(ModuleOp module) {
  FunctionBuilder b(module, "average");
  Value sets =
      b.argument("sets", "input", b.f32({dynamic, dynamic}), {"m", "n"});
  auto average =
      AverageOp::create(b, TypeRange{b.f32({dynamic}), b.i32({})}, sets);
  b.result("mean", "output", average.getMean(), {"n"});
  b.result("status", "plan", average.getStatus());
  b.finish();
}

static Parallel parallelOf(const Spec &spec) {
  constexpr StringLiteral patterns[] = {"all_to_all", "point_to_point",
                                        "hierarchical", "ring"};
  const ParallelSpec &from = spec.parallel;
  Parallel to;
  to.dp = from.dp;
  to.ep = from.ep;
  to.tp = from.tp;
  to.expertsOnTp = from.expertsOn == ExpertsOn::tp;
  to.sequenceParallel = from.sequenceParallel;
  to.fsdp = from.fsdp;
  to.globalCapacity = spec.capacity.scope == Scope::global;
  to.exchange = patterns[static_cast<int>(from.exchange)].str();
  to.rows = from.rows == ExchangedRows::padded ? "padded" : "exact";
  constexpr StringLiteral wires[] = {"none", "bf16", "fp8_e4m3", "int8"};
  to.wire = wires[static_cast<int>(from.wire)].str();
  to.wireBlock = from.wireBlock;
  to.chunks = from.chunks;
  to.placement = from.placement;
  // Each rank has as many places as the one with the most experts.
  size_t places = 0;
  for (const std::vector<int64_t> &experts : to.placement)
    places = std::max(places, experts.size());
  for (std::vector<int64_t> &experts : to.placement)
    experts.resize(places, -1);
  return to;
}

OwningOpRef<ModuleOp> moe::buildGraph(const Spec &spec, MLIRContext &context,
                                      StringRef file) {
  context.loadDialect<arith::ArithDialect, func::FuncDialect, math::MathDialect,
                      tensor::TensorDialect, MoEDialect, coll::CollDialect>();
  auto location = NameLoc::get(StringAttr::get(&context, spec.name),
                               FileLineColLoc::get(&context, file, 1, 1));
  OwningOpRef<ModuleOp> module = ModuleOp::create(location);
  (*module)->setAttr(kPackageName, StringAttr::get(&context, spec.name));
  if (spec.parallel.devices() > 1 || !spec.parallel.placement.empty())
    (*module)->setAttr(Parallel::kName, parallelOf(spec).toAttr(&context));
  for (Function function : spec.functions) {
    switch (function) {
    case Function::forward:
      buildForward(spec, *module);
      break;
    case Function::step:
      buildStep(spec, *module);
      break;
    case Function::quantize:
      buildQuantize(spec, *module);
      break;
    case Function::dequantize:
      buildDequantize(spec, *module);
      break;
    case Function::accumulate:
      buildAccumulate(*module);
      break;
    case Function::average:
      buildAverage(*module);
      break;
    case Function::average_group:
      buildAverageGroup(spec, *module);
      break;
    }
  }
  return module;
}
