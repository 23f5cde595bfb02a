//===- WarpQuarter.cpp - What a warp has of a tile of matrices ------------===//
//
// Part of moe-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "WarpQuarter.h"

#include "mlir/Dialect/LLVMIR/NVVMDialect.h"

using namespace mlir;
using namespace moe;

WarpQuarter::WarpQuarter(Emitter &e, Val thread, Type element, size_t rights)
    : lane(thread % double(Emitter::lanesOfWarp)), e(e), element(element),
      rights(rights) {
  Val warp = thread / double(Emitter::lanesOfWarp);
  firstRow = warp / 2.0 * double(lines);
  firstOut = warp % 2.0 * double(lines);
  row = firstRow + lane / 4.0;
  out = firstOut + lane % 4.0 * 2.0;
}

Emitter::Vals WarpQuarter::zeros() const {
  return Emitter::Vals(rights * rowTiles * outputTiles * sumsPerThread,
                       e.real_(0));
}

int64_t WarpQuarter::sumAt(size_t right, int64_t rowTile, int64_t outputTile,
                           int64_t below, int64_t next) {
  int64_t tile =
      (int64_t(right) * rowTiles + rowTile) * outputTiles + outputTile;
  return tile * sumsPerThread + 2 * below + next;
}

Emitter::Vals WarpQuarter::multiply(int64_t depth, Left left, Right right,
                                    Emitter::Vals sums) const {
  for (int64_t place = 0; place < depth; place += mmaDepth(element)) {
    SmallVector<Fragments> a;
    for (int64_t i = 0; i < rowTiles; ++i)
      a.push_back(left(firstRow + double(i * mmaRows), place));
    size_t first = 0;
    for (size_t number = 0; number < rights; ++number) {
      SmallVector<Fragments> b;
      for (int64_t j = 0; j < outputTiles; j += 2)
        b.push_back(right(number, firstOut + double(j * mmaOutputs), place));
      for (ArrayRef<Value> x : a)
        for (ArrayRef<Value> two : b)
          for (size_t half : {0, 2}) {
            multiplyMatrices(e, element, x, two.slice(half, 2),
                             MutableArrayRef(sums).slice(first, sumsPerThread));
            first += sumsPerThread;
          }
    }
  }
  return sums;
}

/// A thread has two neighbours of a row, and two eight rows below.
void WarpQuarter::finish(Val beginRow, Val endRow, Val beginOut, Val endOut,
                         ArrayRef<Val> sums, Finish finish) const {
  Val firstRow = beginRow + row, firstOut = beginOut + out;
  for (int64_t i = 0; i < rowTiles; ++i)
    for (int64_t below = 0; below < 2; ++below) {
      Val r = firstRow + double(i * mmaRows + below * 8);
      e.when(r < endRow, [&] {
        for (int64_t j = 0; j < outputTiles; ++j)
          for (int64_t next = 0; next < 2; ++next) {
            Val o = firstOut + double(j * mmaOutputs + next);
            SmallVector<Val, 2> ofPlace;
            for (size_t right = 0; right < rights; ++right)
              ofPlace.push_back(sums[sumAt(right, i, j, below, next)]);
            e.when(o < endOut, [&] { finish(r, o, ofPlace); });
          }
      });
    }
}

void moe::startSteps(Emitter &e, llvm::function_ref<void(Val)> copy) {
  for (int64_t number = 0; number < mmaStages - 1; ++number) {
    copy(e.index(number));
    NVVM::CpAsyncCommitGroupOp::create(e);
  }
}

void moe::awaitStep(Emitter &e, Val number,
                    llvm::function_ref<void(Val)> copy) {
  // The copies of this step are there, for all threads; and what is
  // overwritten next has been read by all.
  NVVM::CpAsyncWaitGroupOp::create(e, mmaStages - 2);
  e.barrier();
  copy(number + double(mmaStages - 1));
  NVVM::CpAsyncCommitGroupOp::create(e);
}
