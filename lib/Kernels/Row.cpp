//===- Row.cpp - The values of a row, a vector of them at a time ----------===//
//
// Part of moe-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Row.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"
#include "mlir/IR/TypeUtilities.h"

using namespace mlir;
using namespace moe;

Row::Row(Lowering &l, int64_t count)
    : Row(l.e, count,
          l.reference ? 1
                      : std::min<int64_t>(l.lanes, llvm::PowerOf2Ceil(count))) {
}

Emitter::Vals
Row::carry(ArrayRef<Val> initial,
           llvm::function_ref<Emitter::Vals(Part, ArrayRef<Val>)> body) const {
  if (e.lane.value)
    return e.carry(
        e.lane, e.index(count), initial,
        [&](Val i, ArrayRef<Val> carried) { return body({i, 1}, carried); },
        Emitter::lanesOfWarp);
  int64_t whole = count / lanes * lanes;
  Emitter::Vals carried(initial);
  if (whole == lanes && lanes > 1)
    carried = body({e.index(0), lanes}, carried);
  else if (whole)
    carried = e.carry(
        e.index(0), e.index(whole), carried,
        [&](Val i, ArrayRef<Val> carried) { return body({i, lanes}, carried); },
        lanes);
  if (whole < count)
    carried = body({e.index(whole), count - whole}, carried);
  return carried;
}

void Row::forEach(llvm::function_ref<void(Part)> body) const {
  carry({}, [&](Part part, ArrayRef<Val>) {
    body(part);
    return Emitter::Vals();
  });
}

Emitter::Vals
Row::reduce(Emitter::Vals values,
            llvm::function_ref<Emitter::Vals(ArrayRef<Val>, ArrayRef<Val>)>
                both) const {
  if (lanes == 1)
    return e.foldLanes(values, both);
  for (int64_t half = lanes / 2; half >= 1; half /= 2) {
    auto part = [&](int64_t offset) {
      Emitter::Vals parts;
      for (Val value : values)
        parts.push_back(e.val(vector::ExtractStridedSliceOp::create(
            e, value, ArrayRef<int64_t>(offset), ArrayRef<int64_t>(half),
            ArrayRef<int64_t>(1))));
      return parts;
    };
    values = both(part(0), part(half));
  }
  for (Val &value : values)
    value = e.val(vector::ExtractOp::create(e, value, 0));
  return values;
}

Val Row::fold(Val initial, llvm::function_ref<Val(Part)> value,
              llvm::function_ref<Val(Val, Val)> both) const {
  Val start = fill(initial);
  Emitter::Vals folded = carry(start, [&](Part part, ArrayRef<Val> sofar) {
    return Emitter::Vals{both(sofar[0], inside(part, value(part), start))};
  });
  return reduce(folded, [&](ArrayRef<Val> a, ArrayRef<Val> b) {
    return Emitter::Vals{both(a[0], b[0])};
  })[0];
}

Val Row::sum(Type type, llvm::function_ref<Val(Part)> value) const {
  return fold(e.constant(type, 0), value, [](Val a, Val b) { return a + b; });
}

Val Row::all(llvm::function_ref<Val(Part)> holds) const {
  Val yes = constant(e.getI1Type(), 1);
  Val found = carry(yes, [&](Part part, ArrayRef<Val> sofar) {
    return Emitter::Vals{sofar[0] & inside(part, holds(part), yes)};
  })[0];
  if (lanes == 1)
    return reduce({found}, [](ArrayRef<Val> a, ArrayRef<Val> b) {
      return Emitter::Vals{a[0] & b[0]};
    })[0];
  return e.val(
      vector::ReductionOp::create(e, vector::CombiningKind::AND, found));
}

Val Row::load(Value buffer, ArrayRef<Val> at, Part part) const {
  if (lanes == 1)
    return e.load(buffer, at);
  return e.loadVector(buffer, at, lanes, part.valid);
}

void Row::store(Val value, Value buffer, ArrayRef<Val> at, Part part) const {
  if (lanes == 1)
    return e.store(value, buffer, at);
  e.storeVector(value, buffer, at, part.valid);
}

Val Row::inside(Part part, Val value, Val other) const {
  if (part.valid == lanes)
    return value;
  SmallVector<bool> valid(lanes, false);
  std::fill_n(valid.begin(), part.valid, true);
  auto type = VectorType::get(lanes, e.getI1Type());
  Val mask =
      e.val(arith::ConstantOp::create(e, DenseElementsAttr::get(type, valid)));
  return e.select(mask, value, other);
}

Type Row::typeOf(Type type) const {
  return lanes == 1 ? type : VectorType::get(lanes, type);
}

Val Row::fill(Val scalar) const {
  return lanes == 1 ? scalar : e.broadcast(scalar, lanes);
}

Val Row::places(Part part, Type type) const {
  Val first = fill(e.cast(part.first, type));
  if (lanes == 1)
    return first;
  SmallVector<Attribute> steps;
  for (int64_t i = 0; i < lanes; ++i)
    steps.push_back(e.getIntegerAttr(type, i));
  auto constant = DenseElementsAttr::get(VectorType::get(lanes, type), steps);
  return first + e.val(arith::ConstantOp::create(e, constant));
}
