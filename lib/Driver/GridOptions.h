//===- GridOptions.h - The devices of a plan --------------------*- C++ -*-===//
//
// Part of moe-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef MOE_LIB_DRIVER_GRIDOPTIONS_H
#define MOE_LIB_DRIVER_GRIDOPTIONS_H

#include "moe/Driver/Driver.h"

namespace moe {

/// Options that describe devices; all go with --devices only.
llvm::ArrayRef<llvm::StringLiteral> gridOptionNames();
llvm::Error setGridOption(GridPlanOptions &options, llvm::StringRef name,
                          llvm::StringRef value);
/// What they say together, once all are read.
llvm::Error checkGridOptions(const GridPlanOptions &options);

/// Devices as given, and what is assumed of the rest, in words.
struct AssumedCluster {
  Cluster cluster;
  std::vector<std::string> assumed;
};
AssumedCluster clusterOf(const GridPlanOptions &options, const Spec &spec);

} // namespace moe

#endif // MOE_LIB_DRIVER_GRIDOPTIONS_H
