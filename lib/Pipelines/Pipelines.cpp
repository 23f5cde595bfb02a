//===- Pipelines.cpp - The order of passes --------------------------------===//
//
// Part of moe-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "moe/Pipelines/Pipelines.h"

#include "moe/Kernels/Passes.h"
#include "moe/Sharding/Passes.h"
#include "moe/Target/CPU/CPU.h"
#include "moe/Target/GPU/GPU.h"

#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Transforms/Passes.h"

using namespace mlir;
using namespace moe;

static constexpr std::pair<Phase, llvm::StringLiteral> phases[] = {
    {Phase::import, "import"},     {Phase::graph, "graph"},
    {Phase::autodiff, "autodiff"}, {Phase::sharding, "sharding"},
    {Phase::kernels, "kernels"},   {Phase::target, "target"}};

StringRef moe::name(Phase phase) {
  return phases[static_cast<size_t>(phase)].second;
}

std::optional<Phase> moe::parsePhase(StringRef name) {
  for (auto &[phase, text] : phases)
    if (text == name)
      return phase;
  return std::nullopt;
}

ArrayRef<Phase> moe::allPhases() {
  static constexpr Phase all[] = {Phase::import,   Phase::graph,
                                  Phase::autodiff, Phase::sharding,
                                  Phase::kernels,  Phase::target};
  return all;
}

static void simplify(OpPassManager &passes) {
  passes.addPass(createCanonicalizerPass());
  passes.addPass(createCSEPass());
}

/// Blocks of codes in so many places, or half of them, fit matrix instructions.
static constexpr int64_t mmaStep = 32;

static FusePassOptions fusion(const PipelineOptions &options) {
  FusePassOptions fusion;
  fusion.separate = options.gpu;
  if (options.gpu)
    fusion.bf16Step = mmaStep;
  else if (options.bf16Dot)
    fusion.bf16Step = 2 * options.core.lanes;
  return fusion;
}

void moe::addPhase(OpPassManager &passes, Phase phase,
                   const PipelineOptions &options) {
  switch (phase) {
  case Phase::import:
    return;
  case Phase::graph:
    return simplify(passes);
  case Phase::autodiff:
    // A forward program does not need it.
    return;
  case Phase::sharding:
    passes.addPass(createShardPass());
    passes.addPass(createOverlapPass());
    return simplify(passes);
  case Phase::kernels: {
    if (options.pack && !options.reference && !options.gpu)
      passes.addPass(createPackWeightsPass());
    if (!options.reference)
      passes.addNestedPass<func::FuncOp>(createFusePass(fusion(options)));
    LowerToLoopsPassOptions lower;
    lower.reference = options.reference;
    lower.gpu = options.gpu;
    lower.wgmma = options.wgmma;
    lower.alwaysWgmma = options.alwaysWgmma;
    lower.fp8 = options.fp8;
    lower.alwaysFp8 = options.alwaysFp8;
    lower.clusters = options.clusters;
    lower.vectorWidth = options.core.lanes;
    lower.registers = options.core.registers;
    lower.bf16Dot = options.bf16Dot;
    lower.l1 = options.core.l1;
    lower.l2 = options.core.l2;
    lower.blocks = options.blocks;
    passes.addPass(createLowerToLoopsPass(lower));
    if (!options.reference)
      passes.addPass(createApproximateMathPass());
    return simplify(passes);
  }
  case Phase::target:
    if (options.gpu)
      addGPULoweringPasses(passes);
    return addCPULoweringPasses(passes);
  }
}
