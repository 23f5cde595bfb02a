//===- MoEAttrs.cpp - Attributes of the moe dialect -----------------------===//
//
// Part of moe-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "moe/Dialect/MoE/MoE.h"

#include "mlir/IR/DialectImplementation.h"
#include "llvm/ADT/TypeSwitch.h"

using namespace mlir;
using namespace moe;

#define GET_ATTRDEF_CLASSES
#include "moe/Dialect/MoE/MoEAttrs.cpp.inc"

void MoEDialect::registerAttributes() {
  addAttributes<
#define GET_ATTRDEF_LIST
#include "moe/Dialect/MoE/MoEAttrs.cpp.inc"
      >();
}

FailureOr<APFloat> moe::parseDouble(AsmParser &parser) {
  double value;
  if (parser.parseFloat(value))
    return failure();
  return APFloat(value);
}

void moe::printDouble(AsmPrinter &printer, const APFloat &value) {
  SmallString<32> text;
  value.toString(text, /*FormatPrecision=*/0, /*FormatMaxPadding=*/0,
                 /*TruncateZero=*/false);
  printer << text;
}

LogicalResult GroupsAttr::verify(function_ref<InFlightDiagnostic()> emitError,
                                 int64_t count, int64_t keep,
                                 GroupReduceKind reduce, GroupFillKind fill) {
  return success();
}

LogicalResult RouterAttr::verify(
    function_ref<InFlightDiagnostic()> emitError, int64_t experts,
    int64_t top_k, int64_t null_experts, StrategyKind strategy,
    BalancingKind balancing, ScoreKind score, ScoreOnKind score_on,
    RenormalizeKind renormalize, APFloat eps, APFloat scale, APFloat lambda,
    APFloat factor, uint64_t seed, GroupsAttr groups) {
  return success();
}

LogicalResult CapacityAttr::verify(function_ref<InFlightDiagnostic()> emitError,
                                   int64_t tokens, APFloat factor,
                                   PriorityKind priority) {
  return success();
}

LogicalResult QuantAttr::verify(function_ref<InFlightDiagnostic()> emitError,
                                QuantKind kind, int64_t block) {
  return success();
}
