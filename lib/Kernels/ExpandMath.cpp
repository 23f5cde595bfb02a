//===- ExpandMath.cpp - Functions where there is no library ---------------===//
//
// Part of moe-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// exp and log of f64 by reduction to a small range and a series there; those of
// f32 through them, so that one rounding is all that is lost.
//
//===----------------------------------------------------------------------===//

#include "Emitter.h"

#include "moe/Kernels/Passes.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"
#include "llvm/ADT/TypeSwitch.h"

namespace moe {
#define GEN_PASS_DEF_EXPANDMATHPASS
#include "moe/Kernels/Passes.h.inc"
} // namespace moe

using namespace mlir;
using namespace moe;

/// ln 2 in two parts: so many bits of the first are zero that multiples of it
/// up to 2^11 are exact.
static constexpr double ln2High = 0x1.62e42fefap-1;
static constexpr double ln2Low = 0x1.cf79abc9e3b39p-40;

/// coefficients[0] + x * (coefficients[1] + x * ...)
static Val polynomial(Val x, ArrayRef<double> coefficients) {
  Emitter &e = *x.e;
  Val sum = x.like(coefficients.back());
  for (double c : llvm::reverse(coefficients.drop_back()))
    sum = e.fma(sum, x, x.like(c));
  return sum;
}

/// 2^k for -1022 <= k <= 1023.
static Val powerOf(Val k) {
  Emitter &e = *k.e;
  return e.bitcast((k + 1023) << 52, e.getF64Type());
}

/// e^x of f64, within two units in the last place.
static Val exp(Val x) {
  Emitter &e = *x.e;
  Val isNumber = x == x;
  Val inside = e.select(isNumber, x, x.like(0));
  inside = e.select(inside < -746, x.like(-746), inside);
  inside = e.select(inside > 710, x.like(710), inside);
  Val k = e.roundEven(inside * 0x1.71547652b82fep+0);
  Val rest = e.fma(k, x.like(-ln2High), inside);
  rest = e.fma(k, x.like(-ln2Low), rest);
  SmallVector<double> series = {1};
  for (int i = 1; i <= 13; ++i)
    series.push_back(series.back() / i);
  Val value = polynomial(rest, series);
  // In two steps: what is between may be below the normal numbers.
  Val whole = e.cast(k, e.getI64Type());
  Val half = e.val(arith::ShRSIOp::create(e, whole, whole.like(1)));
  value = value * powerOf(half) * powerOf(whole - half);
  return e.select(isNumber, value, x);
}

/// ln x of f64, within two units in the last place.
static Val log(Val x) {
  Emitter &e = *x.e;
  Type i64 = e.getI64Type();
  Val isSmall = x < 0x1p-1022;
  Val scaled = e.select(isSmall, x * 0x1p54, x);
  Val bits = e.bitcast(scaled, i64);
  Val exponent = (bits >> 52) - e.constant(i64, 1023);
  exponent = exponent - e.select(isSmall, exponent.like(54), exponent.like(0));
  Val mantissa = e.bitcast((bits & e.bits(i64, (uint64_t(1) << 52) - 1)) |
                               e.bits(i64, uint64_t(1023) << 52),
                           x.type());
  Val isLarge = mantissa > 0x1.6a09e667f3bcdp+0;
  mantissa = e.select(isLarge, mantissa * 0.5, mantissa);
  exponent = exponent + e.extend(isLarge, i64);
  // ln m = 2 atanh((m - 1) / (m + 1))
  Val s = (mantissa - x.like(1)) / (mantissa + 1);
  SmallVector<double> series;
  for (int i = 0; i <= 11; ++i)
    series.push_back(2.0 / (2 * i + 1));
  Val k = e.cast(exponent, x.type());
  Val value = e.fma(k, x.like(ln2Low), s * polynomial(s * s, series));
  value = e.fma(k, x.like(ln2High), value);
  value = e.select(x == 0, x.like(-infinity), value);
  value = e.select(x < 0, x.like(notANumber), value);
  // Infinity is its own logarithm, and so is what is no number.
  return e.select(x < infinity, value, x);
}

/// ln (1 + x) of f64: what 1 + x has lost is in the quotient.
static Val log1p(Val x) {
  Emitter &e = *x.e;
  Val sum = x + 1;
  Val added = sum - x.like(1);
  Val isLost = added == 0;
  Val quotient = x / e.select(isLost, x.like(1), added);
  // Infinity over infinity is no number.
  Val value = log(sum) * e.select(sum < infinity, quotient, x.like(1));
  return e.select(isLost, x, value);
}

/// a^b of f64 to the precision of f32: the logarithm's error grows with b.
static Val pow(Val a, Val b) {
  Emitter &e = *a.e;
  Val value = exp(b * log(e.abs(a)));
  Val isWhole = e.roundEven(b) == b;
  Val half = b * 0.5;
  Val isOdd = isWhole & (e.roundEven(half) != half);
  Val ofNegative = e.select(isOdd, value.like(0) - value, value);
  ofNegative = e.select(isWhole, ofNegative, a.like(notANumber));
  value = e.select(a < 0, ofNegative, value);
  Val isOne = (b == 0) | (a == 1);
  return e.select(isOne, a.like(1), value);
}

namespace {

struct ExpandMath : moe::impl::ExpandMathPassBase<ExpandMath> {
  void runOnOperation() override {
    getOperation()->walk([&](Operation *op) {
      llvm::TypeSwitch<Operation *>(op)
          .Case([&](math::ExpOp op) {
            // Of f32 that of moe-approximate-math is enough.
            if (getElementTypeOrSelf(op.getType()).isF64())
              expand(op, [](ArrayRef<Val> x) { return exp(x[0]); });
          })
          .Case([&](math::LogOp op) {
            expand(op, [](ArrayRef<Val> x) { return log(x[0]); });
          })
          .Case([&](math::Log1pOp op) {
            expand(op, [](ArrayRef<Val> x) { return log1p(x[0]); });
          })
          .Case([&](math::PowFOp op) {
            expand(op, [](ArrayRef<Val> x) { return pow(x[0], x[1]); });
          });
    });
  }

  /// Of a vector, lane by lane.
  static void expand(Operation *op,
                     llvm::function_ref<Val(ArrayRef<Val>)> function) {
    Type type = op->getResult(0).getType();
    auto vector = dyn_cast<VectorType>(type);
    if (vector && vector.getRank() != 1)
      return;
    auto f64 = Float64Type::get(op->getContext());
    Emitter e(op->getLoc(), op->getContext(), f64, /*sequential=*/true);
    e.setInsertionPoint(op);
    Emitter::Vals lanes;
    for (int64_t i = 0, n = vector ? vector.getNumElements() : 1; i < n; ++i) {
      Emitter::Vals operands;
      for (Value operand : op->getOperands()) {
        Val whole = e.val(operand);
        operands.push_back(e.cast(vector ? e.extract(whole, i) : whole, f64));
      }
      lanes.push_back(e.cast(function(operands), getElementTypeOrSelf(type)));
    }
    op->getResult(0).replaceAllUsesWith(vector ? e.gather(lanes) : lanes[0]);
    op->erase();
  }
};

} // namespace
