//===- VectorTasks.cpp - Products on all threads --------------------------===//
//
// Part of moe-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "VectorProduct.h"

using namespace mlir;
using namespace moe;

/// Tasks of a part of the rows and some outputs, which vary fastest: a thread
/// that does several in a row finds the rows in its cache.
void VectorProduct::eachTask(Val parts,
                             llvm::function_ref<void(Val, Val, Val)> body) {
  int64_t size = blocks.taskOutputs, outputs = product.outputs();
  int64_t shares = llvm::divideCeilSigned(outputs, size);
  e.parallel(parts * shares, [&](Val task) {
    allocate();
    Val begin = task % shares * size;
    body(task / shares, begin, e.min(begin + size, e.index(outputs)));
  });
}

/// The weights of the next task: a thread does several in a row.
VectorProduct::Position VectorProduct::following(Val expert, Val outEnd) {
  Val isInside = outEnd < double(product.outputs());
  return {e.select(isInside, expert, expert + 1),
          e.select(isInside, outEnd, e.index(0))};
}

void VectorProduct::runExperts(
    llvm::function_ref<std::pair<Val, Val>(Val)> rows) {
  eachTask(
      e.index(product.experts()), [&](Val expert, Val outBegin, Val outEnd) {
        auto [begin, end] = rows(expert);
        run(expert, begin, end, outBegin, outEnd, following(expert, outEnd));
      });
}

void VectorProduct::runDense(Val rowBegin, Val rowEnd) {
  constexpr int64_t taskRows = 96;
  Val parts = (rowEnd - rowBegin + (taskRows - 1)) / taskRows;
  eachTask(parts, [&](Val part, Val outBegin, Val outEnd) {
    Val row = rowBegin + part * taskRows;
    run(e.index(0), row, e.min(row + taskRows, rowEnd), outBegin, outEnd,
        following(e.index(0), outEnd));
  });
}

void moe::emitVectorProduct(Lowering &l, const Product &product) {
  Emitter &e = l.e;
  std::unique_ptr<VectorProduct> nest = VectorProduct::make(l, product);
  if (!product.offsets)
    return nest->runDense(e.index(0), product.rows);
  nest->runExperts([&](Val expert) {
    Val begin = e.asIndex(e.load(product.offsets, {expert}));
    Val end = e.asIndex(e.load(product.offsets, {expert + 1}));
    return std::pair(begin, end);
  });
}
