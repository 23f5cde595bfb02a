//===- LowerSizes.cpp - Sizes of groups -----------------------------------===//
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
