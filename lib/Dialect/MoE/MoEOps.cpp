//===- MoEOps.cpp - Verification and folding of moe operations ------------===//
//
// Part of moe-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "moe/Dialect/MoE/MoE.h"

using namespace mlir;
using namespace moe;

#define GET_OP_CLASSES
#include "moe/Dialect/MoE/MoEOps.cpp.inc"

LogicalResult RouterOp::verify() { return success(); }

LogicalResult SelectOp::verify() { return success(); }

LogicalResult CheckFiniteOp::verify() { return success(); }

LogicalResult GroupOp::verify() { return success(); }

LogicalResult DispatchOp::verify() { return success(); }

LogicalResult GroupedMatmulOp::verify() { return success(); }

LogicalResult ActivateOp::verify() { return success(); }

LogicalResult CombineOp::verify() { return success(); }

LogicalResult MixOp::verify() { return success(); }

LogicalResult LossOp::verify() { return success(); }

LogicalResult ImbalanceOp::verify() { return success(); }

LogicalResult RebalanceOp::verify() { return success(); }

LogicalResult QuantizeOp::verify() { return success(); }

LogicalResult DequantizeOp::verify() { return success(); }

LogicalResult AccumulateOp::verify() { return success(); }

LogicalResult AverageOp::verify() { return success(); }
