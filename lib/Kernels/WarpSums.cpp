//===- WarpSums.cpp - From registers of a warp to the result --------------===//
//
// Part of moe-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "WarpSums.h"

#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/LLVMIR/NVVMDialect.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"
#include "llvm/Support/SaveAndRestore.h"

using namespace mlir;
using namespace moe;

static constexpr int64_t warpLanes = 32;
/// Outputs that a thread finishes at once, and what they are at a multiple of.
static constexpr int64_t wide = 8, wideAlignment = 16;
static constexpr int64_t valueBytes = 4;

/// Rows of a chunk are as far apart as lets what threads write at the same time
/// lie in different banks.
WarpSums::WarpSums(Emitter &e, const Product &product, int64_t columns,
                   bool swaps)
    : e(e), product(product), columns(columns), swaps(swaps),
      isWide(product.outputs() % wide == 0) {
  auto weights = static_cast<int64_t>(product.weights.size());
  atOnce = std::min(columns, swaps ? 16 : 32 / weights);
  pitch = swaps ? lines + 4 : atOnce + 8;
}

int64_t WarpSums::bytes() const {
  if (!isWide)
    return 0;
  int64_t rows = swaps ? atOnce : lines;
  return static_cast<int64_t>(product.weights.size()) * rows * pitch *
         valueBytes;
}

/// One by one, from where they are.
void WarpSums::finishValues(const Part &part, Val lane,
                            ArrayRef<Val> sums) const {
  for (int64_t i = 0; i < columns / 2; ++i) {
    const int64_t below = i / 2 % 2 * 8, across = i / 4 * 8 + i % 2;
    Val line = lane / 4.0 + double(below);
    Val column = lane % 4.0 * 2.0 + double(across);
    Val r = part.row + (swaps ? column : line);
    Val o = part.out + (swaps ? line : column);
    SmallVector<Val, 2> ofPlace;
    for (Val sum : sums)
      ofPlace.push_back(e.val(LLVM::ExtractValueOp::create(e, sum, i)));
    e.when((r < part.rowEnd) & (o < double(product.outputs())),
           [&] { product.finish(part.expert, r, o, 1, ofPlace); });
  }
}

/// The thread's sums of a chunk, at [row, output].
void WarpSums::stage(Val lane, Value to, Chunk chunk, Val sums) const {
  int64_t first = chunk.first;
  for (int64_t i = first / 2; i < (first + chunk.count) / 2; i += 2) {
    const int64_t below = i / 2 % 2 * 8, across = i / 4 * 8 - first;
    Val line = lane / 4.0 + double(below);
    Val column = lane % 4.0 * 2.0 + double(across);
    Val pair[] = {e.val(LLVM::ExtractValueOp::create(e, sums, i)),
                  e.val(LLVM::ExtractValueOp::create(e, sums, i + 1))};
    if (swaps) {
      e.store(pair[0], to, {column, line});
      e.store(pair[1], to, {column + 1, line});
    } else {
      vector::StoreOp::create(e, e.gather(pair), to, values({line, column}),
                              /*nontemporal=*/false,
                              llvm::MaybeAlign(2 * valueBytes));
    }
  }
}

/// Each thread takes eight outputs of a row, neighbours those beside them.
void WarpSums::finishChunk(const Part &part, Val lane, Chunk chunk,
                           ArrayRef<Value> staged) const {
  int64_t rows = swaps ? chunk.count : lines;
  int64_t outputs = swaps ? lines : chunk.count;
  int64_t perRow = outputs / wide, pieces = rows * perRow;
  auto type = VectorType::get(wide, e.getF32Type());
  llvm::SaveAndRestore aligned(e.vectorAlignment, wideAlignment);
  for (int64_t done = 0; done < pieces; done += warpLanes) {
    Val piece = lane + double(done);
    Val row = piece / double(perRow), column = piece % double(perRow) * wide;
    Val r = part.row + row + double(swaps ? chunk.first : 0);
    Val o = part.out + column + double(swaps ? 0 : chunk.first);
    Val isInside = (r < part.rowEnd) & (o < double(product.outputs()));
    if (pieces - done < warpLanes)
      isInside = isInside & (piece < double(pieces));
    e.when(isInside, [&] {
      SmallVector<Val, 2> sums;
      for (Value from : staged)
        sums.push_back(e.val(vector::LoadOp::create(
            e, type, from, values({row, column}), /*nontemporal=*/false,
            llvm::MaybeAlign(wideAlignment))));
      product.finish(part.expert, r, o, wide, sums);
    });
  }
}

void WarpSums::finish(const Part &part, Val lane, Value memory, Val begin,
                      ArrayRef<Val> sums) const {
  if (!isWide)
    return finishValues(part, lane, sums);
  int64_t rows = swaps ? atOnce : lines;
  SmallVector<Value> staged;
  for (size_t i = 0; i < sums.size(); ++i)
    staged.push_back(
        e.shared(memory, begin + double(int64_t(i) * rows * pitch * valueBytes),
                 e.getF32Type(), {rows, pitch}));
  Val all = e.bits(e.getI32Type(), 0xffffffff);
  for (int64_t first = 0; first < columns; first += atOnce) {
    Chunk chunk = {first, std::min(atOnce, columns - first)};
    for (auto [to, sum] : llvm::zip_equal(staged, sums))
      stage(lane, to, chunk, sum);
    NVVM::SyncWarpOp::create(e, all);
    finishChunk(part, lane, chunk, staged);
    NVVM::SyncWarpOp::create(e, all);
  }
}
