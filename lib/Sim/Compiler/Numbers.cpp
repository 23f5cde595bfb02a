//===- Numbers.cpp - Halves, on hosts that may have none ------------------===//
//
// Part of moe-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

//
// A host's compiler calls a library for what its processor lacks of f16 and
// bf16, and not every library has that. Here conversions are explicit: a
// function of the simulator for f16, integers for bf16; arithmetic is done in
// f32 and rounded, which is what a GPU's own instructions give.
//
//===----------------------------------------------------------------------===//

#include "../Operations/Abi.h"
#include "Calls.h"

#include "mlir/Dialect/LLVMIR/NVVMDialect.h"
#include "llvm/ADT/TypeSwitch.h"

using namespace mlir;
using namespace moe::sim;

static bool isHalf(Type type) {
  Type element = getElementTypeOrSelf(type);
  return element.isF16() || element.isBF16();
}

static Type withElement(Type type, Type element) {
  auto vector = dyn_cast<VectorType>(type);
  return vector ? Type(VectorType::get(vector.getShape(), element)) : element;
}

/// Does for each element what is done for one value.
template <typename Body>
static Value forElements(Value value, Type result, Calls &calls, Body &&body) {
  auto vector = dyn_cast<VectorType>(value.getType());
  if (!vector)
    return body(value);
  auto &b = calls.builder();
  Value all = LLVM::UndefOp::create(b, result);
  for (int64_t i = 0; i < vector.getNumElements(); ++i) {
    Value at = calls.constant(i);
    Value each = LLVM::ExtractElementOp::create(b, value, at);
    all = LLVM::InsertElementOp::create(b, all, body(each), at);
  }
  return all;
}

static Value widen(Value value, Calls &calls) {
  auto &b = calls.builder();
  Type f32 = b.getF32Type();
  Type result = withElement(value.getType(), f32);
  return forElements(value, result, calls, [&](Value each) -> Value {
    bool isF16 = each.getType().isF16();
    Value bits = calls.bits(each, 32);
    if (isF16)
      return calls.call("moe_sim_half_to_float", f32, {bits});
    Value high = LLVM::ShlOp::create(b, bits, calls.constant(16));
    return LLVM::BitcastOp::create(b, f32, high);
  });
}

/// Rounded to nearest even; a NaN stays one.
static Value narrowBFloat(Value value, Calls &calls) {
  auto &b = calls.builder();
  Value bits = LLVM::BitcastOp::create(b, calls.i32(), value);
  Value high = LLVM::LShrOp::create(b, bits, calls.constant(16));
  Value odd = LLVM::AndOp::create(b, high, calls.constant(1));
  Value up = LLVM::AddOp::create(b, odd, calls.constant(0x7fff));
  Value rounded = LLVM::LShrOp::create(b, LLVM::AddOp::create(b, bits, up),
                                       calls.constant(16));
  Value isNan = LLVM::FCmpOp::create(b, LLVM::FCmpPredicate::uno, value, value);
  return LLVM::SelectOp::create(b, isNan, calls.constant(0x7fff), rounded);
}

static Value narrow(Value value, Type type, Calls &calls) {
  auto &b = calls.builder();
  Type element = getElementTypeOrSelf(type);
  return forElements(value, type, calls, [&](Value each) -> Value {
    if (each.getType().isF64())
      each = LLVM::FPTruncOp::create(b, b.getF32Type(), each);
    Value bits = element.isF16()
                     ? calls.call("moe_sim_float_to_half", calls.i32(), {each})
                     : narrowBFloat(each, calls);
    Value half = LLVM::TruncOp::create(b, b.getIntegerType(16), bits);
    return LLVM::BitcastOp::create(b, element, half);
  });
}

/// The same operation on f32 in place of halves.
static Rewrite inFloat(Operation *op, Calls &calls) {
  auto &b = calls.builder();
  SmallVector<Value> operands;
  for (Value operand : op->getOperands())
    operands.push_back(isHalf(operand.getType()) ? widen(operand, calls)
                                                 : operand);
  OperationState state(op->getLoc(), op->getName());
  state.addOperands(operands);
  state.addAttributes(op->getAttrs());
  Type result = op->getResult(0).getType();
  state.addTypes(isHalf(result) ? withElement(result, b.getF32Type()) : result);
  Operation *wide = b.create(state);
  if (Attribute properties = op->getPropertiesAsAttribute())
    (void)wide->setPropertiesFromAttribute(properties, nullptr);
  Value value = wide->getResult(0);
  return replace(op, isHalf(result) ? narrow(value, result, calls) : value);
}

static Rewrite roundToTensorFloat(NVVM::ConvertFloatToTF32Op op, Calls &calls) {
  std::optional<Rounding> rounding;
  switch (op.getRnd()) {
  case NVVM::FPRoundingMode::RN:
    rounding = Rounding::Even;
    break;
  case NVVM::FPRoundingMode::RNA:
    rounding = Rounding::Away;
    break;
  case NVVM::FPRoundingMode::RZ:
    rounding = Rounding::Zero;
    break;
  default:
    break;
  }
  if (!rounding || op.getRelu() || op.getSat() != NVVM::SaturationMode::NONE)
    return op.emitOpError("of this rounding is not known to the simulator");
  return replace(op,
                 calls.call("moe_sim_float_to_tf32", calls.i32(),
                            {op.getSrc(), calls.constant(int64_t(*rounding))}));
}

Rewrite moe::sim::rewriteNumbers(Operation *op, Calls &calls) {
  if (auto round = dyn_cast<NVVM::ConvertFloatToTF32Op>(op))
    return roundToTensorFloat(round, calls);
  bool any = llvm::any_of(op->getOperandTypes(), isHalf) ||
             llvm::any_of(op->getResultTypes(), isHalf);
  if (!any)
    return false;
  return llvm::TypeSwitch<Operation *, Rewrite>(op)
      .Case([&](LLVM::FPExtOp extend) {
        Value value = widen(extend.getArg(), calls);
        if (value.getType() != extend.getType())
          value =
              LLVM::FPExtOp::create(calls.builder(), extend.getType(), value);
        return replace(op, value);
      })
      .Case([&](LLVM::FPTruncOp truncate) {
        return replace(op,
                       narrow(truncate.getArg(), truncate.getType(), calls));
      })
      .Case<LLVM::FAddOp, LLVM::FSubOp, LLVM::FMulOp, LLVM::FDivOp,
            LLVM::FNegOp, LLVM::FCmpOp, LLVM::FMAOp, LLVM::FMulAddOp,
            LLVM::FAbsOp, LLVM::MaxNumOp, LLVM::MinNumOp, LLVM::MaximumOp,
            LLVM::MinimumOp, LLVM::SqrtOp, LLVM::FPToSIOp, LLVM::FPToUIOp,
            LLVM::SIToFPOp, LLVM::UIToFPOp>(
          [&](auto) { return inFloat(op, calls); })
      .Default([](Operation *) { return Rewrite(false); });
}
