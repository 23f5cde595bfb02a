//===- Selection.cpp - Softmax and the largest of many --------------------===//
//
// Part of moe-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Row.h"

#include "mlir/IR/TypeUtilities.h"

using namespace mlir;
using namespace moe;

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
