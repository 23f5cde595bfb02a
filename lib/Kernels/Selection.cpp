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

Val moe::emitOrdered(Emitter &e, Val value) {
  return e.select(value == value, value, value.like(-infinity));
}

Val moe::emitShare(Emitter &e, double factor, Val tokens, int64_t k,
                   int64_t experts, Val most) {
  Type f64 = e.getF64Type();
  Val share = e.constant(f64, factor) * e.cast(tokens, f64) * double(k) /
              double(experts);
  // Limited while it is a float, which holds what an integer would not.
  Val limited = e.min(e.ceil(share), e.cast(most, f64));
  return e.asIndex(e.cast(limited, e.getI64Type()));
}

Val moe::emitFirstBad(Lowering &l, const Extent &count, int64_t chunk,
                      llvm::function_ref<Val(Val)> isBad) {
  Emitter &e = l.e;
  Type i32 = e.getI32Type();
  Extent chunks = count.dividedBy(chunk);
  Value found = l.scratch(i32, {chunks});
  Val none = e.constant(i32, 0);
  // Backwards, so that the first has the last word.
  auto first = [&](Val begin, Val end, llvm::function_ref<Val(Val)> at) {
    return e.carry(begin, end, none, [&](Val i, ArrayRef<Val> known) {
      Val item = at(begin + end - i - e.index(1));
      return Emitter::Vals{e.select(item != 0, item, known[0])};
    })[0];
  };
  e.parallel(l.size(chunks), [&](Val c) {
    Val begin = c * double(chunk);
    Val end = e.min(begin + double(chunk), l.size(count));
    e.store(
        first(begin, end,
              [&](Val i) { return e.select(isBad(i), e.asI32(i + 1), none); }),
        found, {c});
  });
  return first(e.index(0), l.size(chunks),
               [&](Val c) { return e.load(found, {c}); });
}

/// A signed integer that orders as the float does; NaN below everything.
static Val orderedKey(Emitter &e, Val value) {
  auto type = cast<FloatType>(value.type());
  Type integer = e.getIntegerType(type.getWidth());
  value = emitOrdered(e, value);
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
