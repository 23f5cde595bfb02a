//===- Val.cpp - SSA values with operators --------------------------------===//
//
// Part of moe-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Val.h"
#include "Emitter.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/IR/TypeUtilities.h"

using namespace mlir;
using namespace moe;

bool moe::isFloat(Val a) { return isa<FloatType>(getElementTypeOrSelf(a)); }

template <typename FloatOp, typename IntOp> static Val binary(Val a, Val b) {
  if (isFloat(a))
    return a.e->val(FloatOp::create(*a.e, a, b));
  return a.e->val(IntOp::create(*a.e, a, b));
}

static Val compare(Val a, Val b, arith::CmpFPredicate f,
                   arith::CmpIPredicate i) {
  if (isFloat(a))
    return a.e->val(arith::CmpFOp::create(*a.e, f, a, b));
  return a.e->val(arith::CmpIOp::create(*a.e, i, a, b));
}

Val Val::like(double number) const { return e->constant(type(), number); }

namespace moe {
Val operator+(Val a, Val b) {
  return binary<arith::AddFOp, arith::AddIOp>(a, b);
}
Val operator-(Val a, Val b) {
  return binary<arith::SubFOp, arith::SubIOp>(a, b);
}
Val operator*(Val a, Val b) {
  return binary<arith::MulFOp, arith::MulIOp>(a, b);
}
Val operator/(Val a, Val b) {
  return binary<arith::DivFOp, arith::DivUIOp>(a, b);
}
Val operator%(Val a, Val b) {
  return a.e->val(arith::RemUIOp::create(*a.e, a, b));
}
Val operator&(Val a, Val b) {
  return a.e->val(arith::AndIOp::create(*a.e, a, b));
}
Val operator|(Val a, Val b) {
  return a.e->val(arith::OrIOp::create(*a.e, a, b));
}
Val operator^(Val a, Val b) {
  return a.e->val(arith::XOrIOp::create(*a.e, a, b));
}
Val operator<<(Val a, Val b) {
  return a.e->val(arith::ShLIOp::create(*a.e, a, b));
}
Val operator>>(Val a, Val b) {
  return a.e->val(arith::ShRUIOp::create(*a.e, a, b));
}
Val operator<(Val a, Val b) {
  return compare(a, b, arith::CmpFPredicate::OLT, arith::CmpIPredicate::slt);
}
Val operator<=(Val a, Val b) {
  return compare(a, b, arith::CmpFPredicate::OLE, arith::CmpIPredicate::sle);
}
Val operator>(Val a, Val b) {
  return compare(a, b, arith::CmpFPredicate::OGT, arith::CmpIPredicate::sgt);
}
Val operator>=(Val a, Val b) {
  return compare(a, b, arith::CmpFPredicate::OGE, arith::CmpIPredicate::sge);
}
Val operator==(Val a, Val b) {
  return compare(a, b, arith::CmpFPredicate::OEQ, arith::CmpIPredicate::eq);
}
Val operator!=(Val a, Val b) {
  return compare(a, b, arith::CmpFPredicate::UNE, arith::CmpIPredicate::ne);
}
} // namespace moe
