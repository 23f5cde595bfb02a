//===- Selection.cpp - Softmax and the largest of many --------------------===//
//
// Part of moe-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Row.h"

#include "mlir/IR/TypeUtilities.h"

#include <limits>

using namespace mlir;
using namespace moe;

static constexpr double infinity = std::numeric_limits<double>::infinity();

void moe::emitSoftmax(const Row &row, llvm::function_ref<Val(RowPart)> read,
                      llvm::function_ref<void(RowPart, Val)> write) {
  Emitter &e = row.e;
  Type type = getElementTypeOrSelf(read({e.index(0), 1}));
  // NaN, whichever is larger, is in the sum.
  Val largest =
      row.fill(row.fold(e.constant(type, -infinity), read,
                        [&](Val a, Val b) { return e.select(a > b, a, b); }));
  Val total = row.fill(row.sum(type, [&](RowPart i) {
    Val value = e.exp(read(i) - largest);
    write(i, value);
    return value;
  }));
  // What was written may have been stored in place of what was read.
  row.forEach([&](RowPart i) { write(i, read(i) / total); });
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

Val moe::emitOrderedKey(Emitter &e, Val value) {
  auto type = cast<FloatType>(getElementTypeOrSelf(value));
  Type integer = e.getIntegerType(type.getWidth());
  value = emitOrdered(e, value);
  // Adding zero makes -0 and +0 one key.
  Val bits = e.bitcast(value + 0.0, integer);
  // All but the sign.
  Val flipped = bits ^ (bits.like(-1) >> bits.like(1));
  return e.select(bits < 0, flipped, bits);
}

void moe::emitKeepLargest(Lowering &l, Value keys, Val begin, Val count,
                          Val limit, llvm::function_ref<void(Val, Val)> visit) {
  Emitter &e = l.e;
  Type integer = cast<MemRefType>(keys.getType()).getElementType();
  unsigned width = integer.getIntOrFloatBitWidth();
  Val zero = e.index(0), one = e.index(1);
  limit = e.min(limit, count);
  int64_t lanes = l.reference ? 1 : l.lanes;
  Row part(e, lanes, lanes);
  Val whole = count / double(lanes) * double(lanes);
  auto countIf = [&](llvm::function_ref<Val(Val)> condition) {
    auto add = [&](const Row &row, Val i, Val sum) {
      Val key = row.load(keys, {begin + i}, {i, row.lanes});
      return sum + e.select(condition(key), sum.like(1), sum.like(0));
    };
    Val sums = e.carry(
        zero, whole, part.constant(integer, 0),
        [&](Val i, ArrayRef<Val> sums) {
          return Emitter::Vals{add(part, i, sums[0])};
        },
        lanes)[0];
    Val sum = part.reduce({sums}, [](ArrayRef<Val> a, ArrayRef<Val> b) {
      return Emitter::Vals{a[0] + b[0]};
    })[0];
    if (lanes > 1)
      sum = e.carry(whole, count, sum, [&](Val i, ArrayRef<Val> sum) {
        return Emitter::Vals{add(Row(e, 1, 1), i, sum[0])};
      })[0];
    return e.asIndex(sum);
  };
  // The limit-th largest key, bit by bit from the top, in an order in which
  // the lowest key is 0; signed comparison needs the top bit flipped.
  Val top = e.bits(integer, uint64_t(1) << (width - 1));
  auto like = [&](Val key, Val value) {
    return isa<VectorType>(key.type()) ? part.fill(value) : value;
  };
  // All stay below the limit, at the threshold of before.
  Val steps = e.select(limit < count, e.index(width), zero);
  Val threshold = e.carry(
      zero, steps, e.constant(integer, 0), [&](Val step, ArrayRef<Val> found) {
        Val shift = e.cast(e.index(width - 1) - step, integer);
        Val candidate = found[0] | (e.constant(integer, 1) << shift);
        Val least = candidate ^ top;
        Val enough =
            countIf([&](Val k) { return k >= like(k, least); }) >= limit;
        return Emitter::Vals{e.select(enough, candidate, found[0])};
      })[0];
  threshold = threshold ^ top;
  Val equalKept =
      limit - countIf([&](Val k) { return k > like(k, threshold); });
  e.carry(zero, count, equalKept, [&](Val i, ArrayRef<Val> left) {
    Val k = e.load(keys, {begin + i});
    Val tie = (k == threshold) & (left[0] > 0);
    visit(i, (k > threshold) | tie);
    return Emitter::Vals{e.select(tie, left[0] - one, left[0])};
  });
}
