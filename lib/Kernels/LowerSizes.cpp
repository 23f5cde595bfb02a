//===- LowerSizes.cpp - Sizes of groups, and weights of 1 -----------------===//
//
// Part of moe-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Lowering.h"

using namespace mlir;
using namespace moe;

void moe::lower(Lowering &l, GroupSizesOp op) {
  Value offsets = l[op.getOffsets()], sizes = l.result(op.getSizes());
  l.forEach(l.shape(op.getSizes()), [&](ArrayRef<Val> at) {
    l.e.store(l.e.load(offsets, {at[0] + 1}) - l.e.load(offsets, at), sizes,
              at);
  });
}

void moe::lower(Lowering &l, UnitWeightsOp op) {
  Value weights =
      l.result(op.getWeights(), {l.extent(op.getIndices(), 0)});
  Type real = cast<MemRefType>(weights.getType()).getElementType();
  l.forEach(l.shape(op.getWeights()), [&](ArrayRef<Val> at) {
    l.e.store(l.e.constant(real, 1), weights, at);
  });
}
