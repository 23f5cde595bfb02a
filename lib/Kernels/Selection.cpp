//===- Selection.cpp - Softmax and the largest of many --------------------===//
//
// Part of moe-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Lowering.h"

#include "mlir/Dialect/Arith/IR/Arith.h"

#include <limits>

using namespace mlir;
using namespace moe;

static constexpr double infinity = std::numeric_limits<double>::infinity();

void moe::emitSoftmax(Emitter &e, Val count, llvm::function_ref<Val(Val)> read,
                      llvm::function_ref<void(Val, Val)> write) {
  Val zero = e.index(0);
  Val start = e.cast(e.real_(-infinity), read(zero).type());
  Val largest = e.carry(zero, count, start, [&](Val i, ArrayRef<Val> largest) {
    return Emitter::Vals{e.max(largest[0], read(i))};
  })[0];
  Val total = e.sum(count, start.like(0), [&](Val i) {
    Val value = e.exp(read(i) - largest);
    write(i, value);
    return value;
  });
  // What was written may have been stored in place of what was read.
  e.loop(count, [&](Val i) { write(i, read(i) / total); });
}

/// A signed integer that orders as the float does; NaN below everything.
static Val orderedKey(Emitter &e, Val value) {
  auto type = cast<FloatType>(value.type());
  Type integer = e.getIntegerType(type.getWidth());
  value = e.select(value == value, value, value.like(-infinity));
  // Adding zero makes -0 and +0 one key.
  Val bits = e.bitcast(value + 0.0, integer);
  Val magnitude = e.bits(integer, ~(uint64_t(1) << (type.getWidth() - 1)));
  return e.select(bits < 0, bits ^ magnitude, bits);
}

void moe::emitKeepLargest(Emitter &e, Val count, Val limit,
                          llvm::function_ref<Val(Val)> key,
                          llvm::function_ref<void(Val, Val)> visit) {
  Type integer = e.getIntegerType(e.real.getWidth());
  unsigned width = e.real.getWidth();
  Val zero = e.index(0), one = e.index(1);
  limit = e.min(limit, count);
  auto countIf = [&](llvm::function_ref<Val(Val)> condition) {
    return e.sum(count, zero, [&](Val i) {
      return e.select(condition(orderedKey(e, key(i))), one, zero);
    });
  };
  // The limit-th largest key, bit by bit from the top, in an order in which
  // the lowest key is 0; signed comparison needs the top bit flipped.
  Val top = e.bits(integer, uint64_t(1) << (width - 1));
  Val threshold = e.carry(
      zero, e.index(width), e.constant(integer, 0),
      [&](Val step, ArrayRef<Val> found) {
        Val shift = e.cast(e.index(width - 1) - step, integer);
        Val candidate = found[0] | (e.constant(integer, 1) << shift);
        Val enough =
            countIf([&](Val k) { return k >= (candidate ^ top); }) >= limit;
        return Emitter::Vals{e.select(enough, candidate, found[0])};
      })[0];
  threshold = threshold ^ top;
  Val equalKept = limit - countIf([&](Val k) { return k > threshold; });
  e.carry(zero, count, equalKept, [&](Val i, ArrayRef<Val> left) {
    Val k = orderedKey(e, key(i));
    Val tie = (k == threshold) & (left[0] > 0);
    visit(i, (k > threshold) | tie);
    return Emitter::Vals{e.select(tie, left[0] - one, left[0])};
  });
}
