//===- MoEOps.cpp - The operations of the moe dialect ---------------------===//
//
// Part of moe-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Verifiers and folds are in RoutingOps.cpp, ExpertOps.cpp, LayerOps.cpp,
// AveragingOps.cpp and PlacementOps.cpp.
//
//===----------------------------------------------------------------------===//

#include "moe/Dialect/MoE/MoE.h"

using namespace mlir;
using namespace moe;

#define GET_OP_CLASSES
#include "moe/Dialect/MoE/MoEOps.cpp.inc"
