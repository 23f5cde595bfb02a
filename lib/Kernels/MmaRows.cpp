//===- MmaRows.cpp - Rows as matrix instructions take them ----------------===//
//
// Part of moe-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "MmaTile.h"

using namespace mlir;
using namespace moe;

StagedRows::StagedRows(const Product &product, Type element)
    : staged{cast<MemRefType>(product.x.getType()).getElementType(), 1,
             mmaShape.rows},
      element(element),
      pairs{IntegerType::get(element.getContext(), 16), 2, mmaShape.rows} {}

void StagedRows::place(Emitter &e, Value shared) {
  staged.memory = staged.view(e, shared, 0, staged.element);
  if (staged.element != element)
    pairs.memory = pairs.view(e, shared, 0, pairs.element);
}

/// Rows 0-7 and 8-15 of the first half of the depth, then of the other.
SmallVector<Value> StagedRows::fragments(Emitter &e, Val stage, Val row,
                                         Val lane, int64_t depth) const {
  bool isFp8 = element.getIntOrFloatBitWidth() == 8;
  if (!pairs.memory || isFp8) {
    const Staged &from = isFp8 ? pairs : staged;
    int64_t first = depth / from.perElement;
    return loadMatrices(e, from, stage, row + lane % 16.0,
                        lane / 16.0 * 8.0 + double(first));
  }
  SmallVector<Value> result;
  for (int64_t half : {0, 8})
    for (int64_t below : {0, 8}) {
      Val line = row + lane / 4.0 + double(below);
      const int64_t first = (depth + half) / 2;
      Val pair = lane % 4.0 + double(first);
      Val both =
          e.extend(e.load(pairs.memory, {stage, line, pair}), e.getI32Type());
      result.push_back(packPair(e, element, valueOfE4m3(both & 255.0),
                                valueOfE4m3(both >> 8.0)));
    }
  return result;
}
