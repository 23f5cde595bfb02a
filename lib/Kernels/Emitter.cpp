//===- Emitter.cpp - Loops written as they are read -----------------------===//
//
// Part of moe-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Emitter.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/IR/IRMapping.h"
#include "mlir/IR/Matchers.h"
#include "mlir/IR/TypeUtilities.h"

using namespace mlir;
using namespace moe;

Val Emitter::constant(Type type, double number) {
  Type element = getElementTypeOrSelf(type);
  TypedAttr attr;
  if (auto floatType = dyn_cast<FloatType>(element))
    attr = getFloatAttr(floatType, number);
  else
    attr = getIntegerAttr(element, static_cast<int64_t>(number));
  if (auto vector = dyn_cast<VectorType>(type))
    attr = DenseElementsAttr::get(vector, Attribute(attr));
  return val(arith::ConstantOp::create(*this, attr));
}

Val Emitter::bits(Type type, uint64_t value) {
  unsigned width = type.getIntOrFloatBitWidth();
  return val(arith::ConstantOp::create(
      *this, getIntegerAttr(type, APInt(width, value, /*isSigned=*/false,
                                        /*implicitTrunc=*/true))));
}

Val Emitter::index(int64_t number) {
  return val(arith::ConstantIndexOp::create(*this, number));
}

Val Emitter::load(Value buffer, ArrayRef<Val> at) {
  Val loaded = val(memref::LoadOp::create(*this, buffer, values(at)));
  bool narrow = isFloat(loaded) &&
                loaded.type().getIntOrFloatBitWidth() < real.getWidth();
  return narrow ? cast(loaded, real) : loaded;
}

void Emitter::store(Val value, Value buffer, ArrayRef<Val> at) {
  Type type = ::cast<MemRefType>(buffer.getType()).getElementType();
  memref::StoreOp::create(*this, cast(value, type), buffer, values(at));
}

/// The type of a value whose elements become `element`.
static Type withElement(Val value, Type element) {
  auto vector = ::dyn_cast<VectorType>(value.type());
  return vector ? Type(vector.clone(element)) : element;
}

Val Emitter::cast(Val value, Type type) {
  Type from = getElementTypeOrSelf(value);
  if (from == type)
    return value;
  Type to = withElement(value, type);
  unsigned fromBits = from.isIndex() ? 64 : from.getIntOrFloatBitWidth();
  unsigned toBits = type.isIndex() ? 64 : type.getIntOrFloatBitWidth();
  if (isa<FloatType>(from) && isa<FloatType>(type)) {
    // Half types convert through f32: there is no hardware for f64 to bf16.
    if (fromBits > 32 && toBits < 32)
      return cast(cast(value, getF32Type()), type);
    if (fromBits < 32 && toBits > 32)
      return cast(cast(value, getF32Type()), type);
    if (fromBits < toBits)
      return val(
          arith::ExtFOp::create(*this, TypeRange{to}, ValueRange{value}));
    return val(arith::TruncFOp::create(*this, to, value));
  }
  if (isa<FloatType>(from))
    return val(arith::FPToSIOp::create(*this, to, value));
  if (isa<FloatType>(type)) {
    if (from.isIndex())
      value = cast(value, getI64Type());
    return val(arith::SIToFPOp::create(*this, to, value));
  }
  if (from.isIndex() || type.isIndex())
    return val(arith::IndexCastOp::create(*this, to, value));
  if (fromBits < toBits)
    return val(arith::ExtSIOp::create(*this, to, value));
  return val(arith::TruncIOp::create(*this, to, value));
}

Val Emitter::extend(Val value, Type type) {
  Type to = withElement(value, type);
  if (type.isIndex())
    return val(arith::IndexCastUIOp::create(*this, to, value));
  return val(arith::ExtUIOp::create(*this, to, value));
}

Val Emitter::bitcast(Val value, Type type) {
  return val(arith::BitcastOp::create(*this, withElement(value, type), value));
}

Value Emitter::local(Type element, ArrayRef<int64_t> shape) {
  return memref::AllocaOp::create(*this, MemRefType::get(shape, element),
                                  getI64IntegerAttr(64));
}

void Emitter::loop(Val begin, Val end, Body body, int64_t step) {
  carry(
      begin, end, {},
      [&](Val i, ArrayRef<Val>) {
        body(i);
        return Vals();
      },
      step);
}

Emitter::Vals Emitter::carry(Val begin, Val end, ArrayRef<Val> initial,
                             llvm::function_ref<Vals(Val, ArrayRef<Val>)> body,
                             int64_t step) {
  auto loop =
      scf::ForOp::create(*this, begin, end, index(step), values(initial));
  OpBuilder::InsertionGuard guard(*this);
  // Without results the builder has already made a terminator.
  if (initial.empty())
    setInsertionPoint(loop.getBody()->getTerminator());
  else
    setInsertionPointToStart(loop.getBody());
  Vals carried;
  for (Value argument : loop.getRegionIterArgs())
    carried.push_back(val(argument));
  Vals next = body(val(loop.getInductionVar()), carried);
  if (!initial.empty())
    scf::YieldOp::create(*this, values(next));
  Vals results;
  for (Value result : loop.getResults())
    results.push_back(val(result));
  return results;
}

Val Emitter::sum(Val end, Val initial, llvm::function_ref<Val(Val)> body) {
  return carry(index(0), end, initial, [&](Val i, ArrayRef<Val> total) {
    return Vals{total[0] + body(i)};
  })[0];
}

void Emitter::parallel(Val end, Body body) {
  if (sequential)
    return loop(end, body);
  auto parallel = scf::ParallelOp::create(
      *this, ValueRange{index(0)}, ValueRange{end}, ValueRange{index(1)});
  OpBuilder::InsertionGuard guard(*this);
  setInsertionPoint(parallel.getBody()->getTerminator());
  body(val(parallel.getInductionVars()[0]));
}

void Emitter::when(Val condition, llvm::function_ref<void()> then) {
  auto branch = scf::IfOp::create(*this, condition, /*withElseRegion=*/false);
  OpBuilder::InsertionGuard guard(*this);
  setInsertionPoint(branch.thenBlock()->getTerminator());
  then();
}

Val Emitter::choose(Val condition, llvm::function_ref<Val()> then,
                    llvm::function_ref<Val()> otherwise) {
  auto side = [&](llvm::function_ref<Val()> body) {
    return [this, body](OpBuilder &b, Location) {
      OpBuilder::InsertionGuard guard(*this);
      restoreInsertionPoint(b.saveInsertionPoint());
      Value result = body();
      scf::YieldOp::create(*this, result);
    };
  };
  auto branch =
      scf::IfOp::create(*this, condition, side(then), side(otherwise));
  return val(branch.getResult(0));
}

Val Emitter::select(Val condition, Val then, Val otherwise) {
  return val(arith::SelectOp::create(*this, condition, then, otherwise));
}

Val Emitter::exp(Val a) { return val(math::ExpOp::create(*this, a)); }
Val Emitter::log(Val a) { return val(math::LogOp::create(*this, a)); }
Val Emitter::sqrt(Val a) { return val(math::SqrtOp::create(*this, a)); }
Val Emitter::tanh(Val a) { return val(math::TanhOp::create(*this, a)); }
Val Emitter::abs(Val a) { return val(math::AbsFOp::create(*this, a)); }
Val Emitter::ceil(Val a) { return val(math::CeilOp::create(*this, a)); }
Val Emitter::roundEven(Val a) {
  return val(math::RoundEvenOp::create(*this, a));
}
Val Emitter::fma(Val a, Val b, Val c) {
  return val(math::FmaOp::create(*this, a, b, c));
}
Val Emitter::pow(Val a, Val b) {
  return val(math::PowFOp::create(*this, a, b));
}
Val Emitter::max(Val a, Val b) {
  if (isFloat(a))
    return val(arith::MaximumFOp::create(*this, a, b));
  return val(arith::MaxSIOp::create(*this, a, b));
}
Val Emitter::min(Val a, Val b) {
  if (isFloat(a))
    return val(arith::MinimumFOp::create(*this, a, b));
  return val(arith::MinSIOp::create(*this, a, b));
}
Val Emitter::isFinite(Val a) {
  // Ordered comparison: false for NaN.
  return abs(a) < infinity;
}

/// Whether all values are f32 or truth values, so that any float type will do.
static bool isPlain(Region &region) {
  return llvm::all_of(region.front().without_terminator(), [](Operation &op) {
    return llvm::all_of(op.getResultTypes(), [](Type type) {
      return type.isF32() || type.isInteger(1);
    });
  });
}

Val Emitter::inlineRegion(Region &region, ArrayRef<Val> arguments) {
  Val first = arguments.front();
  auto vector = ::dyn_cast<VectorType>(first.type());
  if (vector && !isPlain(region)) {
    Vals lanes;
    for (int64_t lane = 0; lane < vector.getNumElements(); ++lane) {
      Vals scalars;
      for (Val argument : arguments)
        scalars.push_back(extract(argument, lane));
      lanes.push_back(inlineRegion(region, scalars));
    }
    return gather(lanes);
  }
  Type type = isPlain(region) ? first.type() : getF32Type();
  IRMapping mapping;
  for (auto [inner, outer] :
       llvm::zip_equal(region.front().getArguments(), arguments))
    mapping.map(inner, vector ? outer.value : cast(outer, type).value);
  for (Operation &op : region.front().without_terminator()) {
    TypedAttr number;
    if (vector && matchPattern(&op, m_Constant(&number))) {
      auto splat = DenseElementsAttr::get(vector.clone(number.getType()),
                                          Attribute(number));
      mapping.map(op.getResult(0), arith::ConstantOp::create(*this, splat));
      continue;
    }
    FloatAttr real;
    if (matchPattern(&op, m_Constant(&real)) && real.getType().isF32()) {
      mapping.map(op.getResult(0),
                  this->constant(type, real.getValueAsDouble()).value);
      continue;
    }
    for (Value result : clone(op, mapping)->getResults()) {
      if (result.getType().isF32())
        result.setType(type);
      else if (vector)
        result.setType(vector.clone(result.getType()));
    }
  }
  Value yielded = region.front().getTerminator()->getOperand(0);
  return cast(val(mapping.lookup(yielded)), getElementTypeOrSelf(first));
}
