//===- WgmmaScales.cpp - Sums of products of codes ------------------------===//
//
// Part of moe-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// A stage has 128 of the depth, which have one scale in each row and in each
// tile of outputs. Its products are summed by themselves and, times both
// scales, added to what there is: in f32, of which the sums of instructions
// have less. While one warpgroup does that another one multiplies.
//
//===----------------------------------------------------------------------===//

#include "WgmmaKernel.h"

#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/LLVMIR/NVVMDialect.h"

using namespace mlir;
using namespace moe;
using namespace moe::wgmma;

/// The number, among the rows that a thread has sums of, of that of a sum.
static int64_t rowOf(bool swaps, int64_t sum) {
  return swaps ? sum / 4 * 2 + sum % 2 : sum / 2 % 2;
}

/// The rows of x that a thread has sums of.
SmallVector<Val> WgmmaKernel::planScales(const WalkedTile &tile, Val consumer) {
  Val lane = thread % double(warpThreads), warp = thread / double(warpThreads);
  Val first = shape.swaps ? lane % 4.0 * 2.0
                          : firstLine(consumer) +
                                warp * double(WarpSums::lines) + lane / 4.0;
  SmallVector<Val> rows(shape.swaps ? shape.rows / 4 : 2);
  for (int64_t sum = 0; sum < columns() / 2; ++sum) {
    const int64_t further =
        shape.swaps ? sum / 4 * 8 + sum % 2 : sum / 2 % 2 * 8;
    Val &row = rows[rowOf(shape.swaps, sum)];
    if (row.value)
      continue;
    row = product.row(tile.known(e, tile.row + first + double(further)));
  }
  return rows;
}

/// Of a step: for each weight, what the sums of each row are multiplied by.
Emitter::Vals WgmmaKernel::scales(const WalkedTile &tile, ArrayRef<Val> rows,
                                  Val step) {
  Val c = step * double(stageDepth);
  const Weight &first = product.weights.front();
  Emitter::Vals ofRows, scales;
  for (Val row : rows)
    ofRows.push_back(
        e.load(product.rowScales, {row, c / double(first.storedBlock())}));
  for (const Weight &weight : product.weights) {
    Val ofWeight = weight.scaleAt(product.at(tile.expert, tile.out, c));
    for (Val ofRow : ofRows)
      scales.push_back(ofRow * ofWeight);
  }
  return scales;
}

/// The sums, one after another, with those of a stage.
Emitter::Vals WgmmaKernel::takeScaledStep(const WalkedTile &tile, Val consumer,
                                          ArrayRef<Val> rows, Val step,
                                          Ring::Place place,
                                          Emitter::Vals sums) {
  // Asked for before there is anything to wait for.
  Emitter::Vals factors = scales(tile, rows, step);
  Emitter::Vals parts(maps.size(), e.val(LLVM::UndefOp::create(e, sumsType())));
  parts = takeStep(consumer, place, parts, true);
  NVVM::WgmmaWaitGroupSyncOp::create(e, 0);
  release(place.stage);
  for (auto [i, sum] : llvm::enumerate(sums)) {
    const int64_t each = columns() / 2, weight = int64_t(i) / each,
                  number = int64_t(i) % each;
    Val part = e.val(LLVM::ExtractValueOp::create(e, parts[weight], number));
    size_t ofRow = weight * int64_t(rows.size()) + rowOf(shape.swaps, number);
    sum = e.fma(part, factors[ofRow], sum);
  }
  return sums;
}

/// As `takeTile`.
Emitter::Vals WgmmaKernel::takeScaledTile(const WalkedTile &tile, Val consumer,
                                          ArrayRef<Val> at) {
  SmallVector<Val> rows = planScales(tile, consumer);
  int64_t each = columns() / 2;
  Emitter::Vals initial(at.take_front(2));
  initial.append(maps.size() * each, e.real_(0));
  Emitter::Vals state = e.carry(
      e.index(0), e.index(steps), initial, [&](Val step, ArrayRef<Val> state) {
        Ring::Place place = {state[0], state[1]};
        Emitter::Vals sums = takeScaledStep(tile, consumer, rows, step, place,
                                            Emitter::Vals(state.drop_front(2)));
        Ring::Place after = ring->next(place);
        Emitter::Vals next = {after.stage, after.round};
        llvm::append_range(next, sums);
        return next;
      });
  Emitter::Vals result = {state[0], state[1]};
  for (size_t weight = 0; weight < maps.size(); ++weight) {
    Val sums = e.val(LLVM::UndefOp::create(e, sumsType()));
    for (int64_t i = 0; i < each; ++i)
      sums = e.val(LLVM::InsertValueOp::create(
          e, sums, state[2 + weight * each + i], i));
    result.push_back(sums);
  }
  return result;
}
