//===- WgmmaProducer.cpp - The warpgroup that fills stages ----------------===//
//
// Part of moe-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "WgmmaKernel.h"

#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/LLVMIR/NVVMDialect.h"
#include "mlir/Dialect/NVGPU/IR/NVGPUDialect.h"

using namespace mlir;
using namespace moe;
using namespace moe::wgmma;

/// A copy takes 16 bytes.
static constexpr int64_t copiesPerLine = lineBytes / 16;

void WgmmaKernel::produce() {
  Ring::Place first = ring->begin();
  walk.each(e, cluster, clusters, {first.stage, first.round},
            [&](const WalkedTile &ofCluster, ArrayRef<Val> at) {
              WalkedTile tile = ownPart(ofCluster);
              SmallVector<Copy> copies = planCopies(tile);
              return e.carry(e.index(0), e.index(steps), at,
                             [&](Val step, ArrayRef<Val> at) {
                               Ring::Place place = {at[0], at[1]};
                               ring->waitForEmpty(place);
                               e.when(thread == 0, [&] {
                                 copyWeights(tile, step, place.stage);
                               });
                               copyRows(copies, step, place.stage);
                               ring->fillWhenCopied(place.stage);
                               Ring::Place next = ring->next(place);
                               return Emitter::Vals{next.stage, next.round};
                             });
            });
}

/// Where the rows are is the same in every step.
SmallVector<WgmmaKernel::Copy> WgmmaKernel::planCopies(const WalkedTile &tile) {
  SmallVector<Copy> copies;
  int64_t all = shape.rows * copiesPerLine;
  for (int64_t first = 0; first < all; first += groupThreads) {
    Val number = thread + double(first);
    Val line = number / double(copiesPerLine);
    Val r = tile.row + line;
    Val isInside = r < tile.rowEnd;
    Val source = product.row(tile.known(e, r));
    copies.push_back({source, line, number % double(copiesPerLine), isInside});
  }
  return copies;
}

/// What is outside of the matrix becomes zero.
void WgmmaKernel::copyRows(ArrayRef<Copy> copies, Val step, Val stage) {
  auto token = nvgpu::DeviceAsyncTokenType::get(e.getContext());
  int64_t perCopy = stageDepth / copiesPerLine;
  Val none = e.index(0), all = e.index(perCopy);
  for (const Copy &copy : copies) {
    Val c = step * double(stageDepth) + copy.place * double(perCopy);
    Val isInside = copy.isInside & (c < double(product.depth()));
    Val swizzled =
        (copy.place ^ (copy.line % double(swizzleLines))) * double(perCopy);
    nvgpu::DeviceAsyncCopyOp::create(
        e, token, rows, values({e.asIndex(stage), copy.line, swizzled}),
        product.x, values({copy.source, e.select(isInside, c, none)}),
        e.getIndexAttr(perCopy), e.select(isInside, all, none),
        e.getUnitAttr());
  }
}

/// Each block of a cluster copies its part to all of them.
void WgmmaKernel::copyWeights(const WalkedTile &tile, Val step, Val stage) {
  auto anywhere = LLVM::LLVMPointerType::get(e.getContext(), 7);
  ring->expect(stage, static_cast<int64_t>(maps.size()) * weightBytes());
  const int64_t partBytes = weightBytes() / shape.blocks;
  Val begin = e.asIndex(stage) * double(weightBytes()) +
              blockInCluster * double(partBytes);
  Val out = tile.out + blockInCluster * double(shape.partOutputs());
  Value all; // blocks, a bit for each
  if (shape.blocks > 1)
    all = e.bits(e.getI16Type(), (uint64_t(1) << shape.blocks) - 1);
  for (auto [i, map] : llvm::enumerate(maps)) {
    Value to = at(begin + double(weightsBegin(i)));
    NVVM::CpAsyncBulkTensorGlobalToSharedClusterOp::create(
        e, LLVM::AddrSpaceCastOp::create(e, anywhere, to), map,
        ValueRange{e.asI32(step * double(stageDepth)), e.asI32(out),
                   e.asI32(tile.expert)},
        ring->full(stage), ValueRange(), all, Value(), NVVM::TMALoadMode::TILE,
        /*isCTAOnly=*/false, NVVM::CTAGroupKindAttr(), Value());
  }
}
