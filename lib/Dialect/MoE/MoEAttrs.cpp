//===- MoEAttrs.cpp - Attributes of the moe dialect -----------------------===//
//
// Part of moe-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Verify.h"

#include "mlir/IR/DialectImplementation.h"
#include "llvm/ADT/SmallString.h"
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
  // Few digits say most numbers; 17 say any.
  SmallString<32> text;
  for (unsigned precision = 1; precision <= 17; ++precision) {
    text.clear();
    value.toString(text, precision, /*FormatMaxPadding=*/8,
                   /*TruncateZero=*/false);
    double again;
    if (!StringRef(text).getAsDouble(again) &&
        APFloat(again).bitwiseIsEqual(value))
      break;
  }
  // The lexer reads "8" as an integer.
  printer << text;
  if (!StringRef(text).contains('.'))
    printer << ".0";
}

// [O3], [O5]
LogicalResult GroupsAttr::verify(function_ref<InFlightDiagnostic()> emitError,
                                 int64_t count, int64_t keep,
                                 GroupReduceKind reduce, GroupFillKind fill) {
  return success(succeeded(verifyRange(emitError, "count", count, 1)) &&
                 succeeded(verifyRange(emitError, "keep", keep, 1, count)));
}

// [O5], [O6]
static LogicalResult verifyGroups(function_ref<InFlightDiagnostic()> emitError,
                                  GroupsAttr groups, int64_t numChoices,
                                  int64_t topK, bool isLearned,
                                  BalancingKind balancing,
                                  ScoreOnKind scoreOn) {
  if (numChoices % groups.getCount() != 0)
    return emitError() << "expected a number of groups that divides "
                       << numChoices << ", found " << groups.getCount();
  int64_t size = numChoices / groups.getCount();
  if (size * groups.getKeep() < topK)
    return emitError() << "expected the kept groups to hold at least " << topK
                       << " experts, found " << size * groups.getKeep();
  if (groups.getReduce() == GroupReduceKind::sum_top2 && size < 2)
    return emitError() << "expected groups of at least 2 for sum_top2, found "
                       << size;
  if (!isLearned)
    return emitError() << "expected strategy learned or similarity with groups";
  if (scoreOn != ScoreOnKind::all)
    return emitError() << "expected score_on = all with groups, found "
                       << stringifyScoreOnKind(scoreOn);
  if (balancing == BalancingKind::expert_choice ||
      balancing == BalancingKind::round_robin)
    return emitError() << "expected no groups with balancing = "
                       << stringifyBalancingKind(balancing);
  return success();
}

LogicalResult RouterAttr::verify(
    function_ref<InFlightDiagnostic()> emitError, int64_t experts,
    int64_t top_k, int64_t null_experts, StrategyKind strategy,
    BalancingKind balancing, ScoreKind score, ScoreOnKind score_on,
    RenormalizeKind renormalize, APFloat eps, APFloat p, APFloat scale,
    APFloat threshold, int64_t always_on, APFloat lambda, APFloat factor,
    uint64_t seed, GroupsAttr groups) {
  // [O3]
  if (failed(verifyRange(emitError, "experts", experts, 1)) ||
      failed(verifyRange(emitError, "null_experts", null_experts, 0,
                         kMaxSize - experts)) ||
      failed(verifyRange(emitError, "always_on", always_on, 0, experts - 1)))
    return failure();
  int64_t choices = experts + null_experts - always_on;
  if (failed(verifyRange(emitError, "top_k", top_k, 1, choices)))
    return failure();

  // [O4]
  if (failed(verifyNumber(emitError, "eps", eps)) ||
      failed(verifyNumber(emitError, "p", p, Sign::Positive)) ||
      failed(verifyNumber(emitError, "scale", scale)) ||
      failed(
          verifyNumber(emitError, "threshold", threshold, Sign::NotNegative)) ||
      failed(verifyNumber(emitError, "lambda", lambda)) ||
      failed(verifyNumber(emitError, "factor", factor, Sign::NotNegative)))
    return failure();

  // [O7]: without scores there is nothing to weigh, bias or balance.
  bool isLearned =
      strategy == StrategyKind::learned || strategy == StrategyKind::similarity;
  if (!isLearned && (balancing != BalancingKind::token_choice ||
                     null_experts != 0 || always_on != 0))
    return emitError()
           << "expected default balancing, null_experts and always_on with "
              "strategy = "
           << stringifyStrategyKind(strategy);
  if (!isLearned && strategy != StrategyKind::table &&
      (score != ScoreKind::softmax || score_on != ScoreOnKind::all ||
       renormalize != RenormalizeKind::none))
    return emitError()
           << "expected default score, score_on and renormalize with "
              "strategy = "
           << stringifyStrategyKind(strategy);

  // [O23]
  if (strategy == StrategyKind::sparsemixer && top_k != 2)
    return emitError() << "expected top_k = 2 with strategy = sparsemixer, "
                          "found "
                       << top_k;

  // [O8]
  if (balancing == BalancingKind::expert_choice &&
      (score_on != ScoreOnKind::all || renormalize != RenormalizeKind::none ||
       null_experts != 0))
    return emitError() << "expected default score_on, renormalize and "
                          "null_experts with balancing = expert_choice";
  if (balancing == BalancingKind::round_robin && null_experts != 0)
    return emitError()
           << "expected no null_experts with balancing = round_robin, found "
           << null_experts;

  // [O24]
  if (always_on != 0 &&
      (balancing != BalancingKind::token_choice || null_experts != 0))
    return emitError() << "expected balancing = token_choice and no "
                          "null_experts with always_on";

  if (groups)
    return verifyGroups(emitError, groups, choices, top_k, isLearned, balancing,
                        score_on);
  return success();
}

// [O4], [O9]
LogicalResult CapacityAttr::verify(function_ref<InFlightDiagnostic()> emitError,
                                   int64_t tokens, APFloat factor,
                                   PriorityKind priority) {
  if (failed(verifyRange(emitError, "tokens", tokens, 0)) ||
      failed(verifyNumber(emitError, "factor", factor, Sign::NotNegative)))
    return failure();
  if ((tokens != 0) == !factor.isZero())
    return emitError() << "expected one of 'tokens' and 'factor', found "
                       << (tokens != 0 ? "both" : "neither");
  return success();
}

int64_t FormatAttr::getValuesPerByte() const {
  switch (getKind()) {
  case WeightFormatKind::int4:
  case WeightFormatKind::mxfp4:
  case WeightFormatKind::nvfp4:
    return 2;
  default:
    return 1;
  }
}

bool FormatAttr::hasSmallScales() const {
  return getKind() == WeightFormatKind::mxfp4 ||
         getKind() == WeightFormatKind::nvfp4;
}

int64_t FormatAttr::getInputUnit() const {
  return hasSmallScales() ? getInputs() : getValuesPerByte();
}

// [O3], [O28]
LogicalResult FormatAttr::verify(function_ref<InFlightDiagnostic()> emitError,
                                 WeightFormatKind kind, int64_t outputs,
                                 int64_t inputs) {
  if (failed(verifyRange(emitError, "outputs", outputs, 0)) ||
      failed(verifyRange(emitError, "inputs", inputs, 0)))
    return failure();
  auto onlyInputs = [&](int64_t only) -> LogicalResult {
    if (outputs == 1 && inputs == only)
      return success();
    return emitError() << "expected outputs = 1 and inputs = " << only
                       << " with " << stringifyWeightFormatKind(kind)
                       << ", found " << outputs << " and " << inputs;
  };
  switch (kind) {
  case WeightFormatKind::none:
    return emitError() << "expected a kind other than none";
  case WeightFormatKind::fp8_e4m3:
  case WeightFormatKind::int8:
    return success();
  case WeightFormatKind::int4:
    if (inputs % 2 == 0)
      return success();
    return emitError()
           << "expected an even number of 'inputs' with int4, found " << inputs;
  case WeightFormatKind::mxfp4:
    return onlyInputs(32);
  case WeightFormatKind::nvfp4:
    return onlyInputs(16);
  }
  llvm_unreachable("every kind is one of the above");
}

// [O10]
LogicalResult QuantAttr::verify(function_ref<InFlightDiagnostic()> emitError,
                                QuantKind kind, int64_t block) {
  if (failed(verifyRange(emitError, "block", block, 1, int64_t(1) << 20)))
    return failure();
  if (kind == QuantKind::mxfp4 && block != 32)
    return emitError() << "expected blocks of 32 with mxfp4, found " << block;
  if (kind == QuantKind::int4 && block % 2 != 0)
    return emitError() << "expected blocks of an even size with int4, found "
                       << block;
  return success();
}

int64_t QuantAttr::getRowBytes(int64_t values) const {
  return values + 4 * llvm::divideCeil(values, getBlock());
}
