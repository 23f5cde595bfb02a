//===- Pipelines.h - The order of passes ------------------------*- C++ -*-===//
//
// Part of moe-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// The only place that knows which pass comes after which.
//
//===----------------------------------------------------------------------===//

#ifndef MOE_PIPELINES_PIPELINES_H
#define MOE_PIPELINES_PIPELINES_H

#include "moe/Schedule/GpuClusters.h"
#include "moe/Schedule/Machine.h"

#include "mlir/Pass/PassManager.h"
#include "llvm/ADT/ArrayRef.h"

#include <optional>
#include <string>

namespace moe {

/// The points between spec and machine code at which a program can be looked
/// at. Each is the state after its passes.
enum class Phase {
  import,   // the moe dialect as the spec was written
  graph,    // simplified
  autodiff, // with the backward functions that were asked for
  sharding, // the program of one rank
  kernels,  // loops over buffers
  target    // the LLVM dialect
};

llvm::StringRef name(Phase phase);
std::optional<Phase> parsePhase(llvm::StringRef name);
/// In order.
llvm::ArrayRef<Phase> allPhases();

struct PipelineOptions {
  /// Plain loops in f64 instead of kernels for the machine.
  bool reference = false;
  /// Kernels for GPUs, and launches for the host.
  bool gpu = false;
  /// Of those, products of warpgroups, which sm_90a has: in place of others
  /// (`always`), or beside them for the runtime to choose.
  bool wgmma = false, alwaysWgmma = false;
  /// The same for products of codes of 8 bits, from sm_89 on.
  bool fp8 = false, alwaysFp8 = false;
  /// Where blocks of the former share weights.
  GpuClusters clusters = GpuClusters::whereTheyPay;
  Machine core;
  bool bf16Dot = false;
  /// Whether weights may be kept in an order of their own.
  bool pack = true;
  /// Blocks of products, as parseBlocks reads them; empty: those that fit.
  std::string blocks;
};

/// Adds the passes that lead from the phase before to `phase`.
void addPhase(mlir::OpPassManager &passes, Phase phase,
              const PipelineOptions &options);

} // namespace moe

#endif // MOE_PIPELINES_PIPELINES_H
