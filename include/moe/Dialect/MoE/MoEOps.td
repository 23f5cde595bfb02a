//===- MoEOps.td - Operations of the moe dialect -----------*- tablegen -*-===//
//
// Part of moe-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef MOE_DIALECT_MOE_OPS
#define MOE_DIALECT_MOE_OPS

include "moe/Dialect/MoE/RoutingOps.td"
include "moe/Dialect/MoE/PlacementOps.td"
include "moe/Dialect/MoE/ExpertOps.td"
include "moe/Dialect/MoE/BalanceOps.td"
include "moe/Dialect/MoE/AveragingOps.td"

#endif // MOE_DIALECT_MOE_OPS
