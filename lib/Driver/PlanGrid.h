//===- PlanGrid.h - A plan for many devices, to be printed ------*- C++ -*-===//
//
// Part of moe-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef MOE_LIB_DRIVER_PLANGRID_H
#define MOE_LIB_DRIVER_PLANGRID_H

#include "GridOptions.h"

namespace moe {

struct DevicePlan {
  const Spec &spec;
  GridLayer layer;
  AssumedCluster devices;
  int64_t tokens;
  GridPlan plan;

  /// The candidates that are printed.
  llvm::ArrayRef<Candidate> best() const {
    return llvm::ArrayRef(plan.candidates).take_front(10);
  }
};

/// `dp 1, ep 2, tp 3, fsdp`.
std::string describe(const RankGrid &grid);
/// Why so many candidates are none: a line.
std::string explain(const DevicePlan &plan, const Exclusion &exclusion);
std::string_view name(GridStep step);

std::string printText(const DevicePlan &plan);
std::string printJson(const DevicePlan &plan);

} // namespace moe

#endif // MOE_LIB_DRIVER_PLANGRID_H
