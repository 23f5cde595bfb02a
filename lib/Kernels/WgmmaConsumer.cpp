//===- WgmmaConsumer.cpp - Warpgroups that multiply -----------------------===//
//
// Part of moe-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "WgmmaKernel.h"

#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/LLVMIR/NVVMDialect.h"

using namespace mlir;
using namespace moe;
using namespace moe::wgmma;

/// Of lines of 128 bytes, swizzled, eight of them together.
Value WgmmaKernel::descriptor(Val bytes) {
  Type i64 = e.getI64Type();
  Val begin = e.val(LLVM::PtrToIntOp::create(e, i64, at(bytes)));
  constexpr uint64_t fields = uint64_t(1) << 62 | // 128 bytes
                              uint64_t(swizzleBytes / 16) << 32 |
                              uint64_t(1) << 16; // not used
  return ((begin & double(0x3ffff)) >> 4.0) | e.bits(i64, fields);
}

Value WgmmaKernel::multiplyAdd(Value a, Value b, Value sums, bool adds) {
  auto type = element.isBF16()  ? NVVM::WGMMATypes::bf16
              : element.isF16() ? NVVM::WGMMATypes::f16
                                : NVVM::WGMMATypes::e4m3;
  int64_t depth = mmaBytes * 8 / int64_t(element.getIntOrFloatBitWidth());
  auto shapeOf =
      NVVM::MMAShapeAttr::get(e.getContext(), mmaLines, columns(), depth);
  return NVVM::WgmmaMmaAsyncOp::create(
      e, sums.getType(), sums, a, b, shapeOf, type, type, NVVM::WGMMATypes::f32,
      adds ? NVVM::WGMMAScaleOut::one : NVVM::WGMMAScaleOut::zero,
      NVVM::WGMMAScaleIn::one, NVVM::WGMMAScaleIn::one, NVVM::MMALayout::row,
      NVVM::MMALayout::col, NVVM::MMAIntOverflowAttr());
}

void WgmmaKernel::multiply(Val consumer, Val stage, MutableArrayRef<Val> sums,
                           bool isFirst) {
  Val number = e.asIndex(stage);
  Val own = firstLine(consumer) * double(lineBytes);
  Val rowsAt = number * double(rowBytes());
  Value x = descriptor(shape.swaps ? rowsAt : rowsAt + own);
  SmallVector<Value, 2> weights;
  for (size_t i = 0; i < maps.size(); ++i) {
    Val begin = number * double(weightBytes()) + double(weightsBegin(i));
    weights.push_back(descriptor(shape.swaps ? begin + own : begin));
  }
  NVVM::WgmmaFenceAlignedOp::create(e);
  for (int64_t k = 0; k < lineBytes; k += mmaBytes) {
    auto atDepth = [&](Value from) -> Value {
      const int64_t pieces = k / 16; // of 16 bytes
      return e.val(from) + double(pieces);
    };
    for (auto [weight, sum] : llvm::zip_equal(weights, sums)) {
      Value a = atDepth(x), b = atDepth(weight);
      if (shape.swaps)
        std::swap(a, b);
      sum = e.val(multiplyAdd(a, b, sum, !isFirst || k > 0));
    }
  }
  NVVM::WgmmaGroupSyncAlignedOp::create(e);
}

/// The sums with those of the stage at `place` added; the first step has none
/// to add to.
Emitter::Vals WgmmaKernel::takeStep(Val consumer, Ring::Place place,
                                    Emitter::Vals sums, bool isFirst) {
  ring->waitForFull(place);
  // What threads have copied is for wgmma to see.
  NVVM::FenceProxyOp::create(
      e, NVVM::ProxyKind::async_shared,
      NVVM::SharedSpaceAttr::get(e.getContext(),
                                 NVVM::SharedSpace::shared_cta));
  multiply(consumer, place.stage, sums, isFirst);
  return sums;
}

void WgmmaKernel::release(Val stage) {
  Val lane = thread % double(warpThreads);
  e.when(lane < double(shape.blocks), [&] { ring->release(stage, lane); });
}

/// Of each weight.
Type WgmmaKernel::sumsType() const {
  SmallVector<Type> fields(columns() / 2, e.getF32Type());
  return LLVM::LLVMStructType::getLiteral(e.getContext(), fields);
}

/// What comes of a tile whose first stage is `at`: where the next one is, and
/// the sums of each weight. While the products of one step are made, those of
/// the next are asked for.
Emitter::Vals WgmmaKernel::takeTile(Val consumer, ArrayRef<Val> at) {
  auto asState = [](Ring::Place place, ArrayRef<Val> sums) {
    Emitter::Vals state = {place.stage, place.round};
    llvm::append_range(state, sums);
    return state;
  };
  Emitter::Vals none(maps.size(), e.val(LLVM::UndefOp::create(e, sumsType())));
  Ring::Place place = {at[0], at[1]};
  Emitter::Vals sums = takeStep(consumer, place, none, true);
  Emitter::Vals state =
      e.carry(e.index(1), e.index(steps), asState(ring->next(place), sums),
              [&](Val, ArrayRef<Val> state) {
                Ring::Place place = {state[0], state[1]};
                Emitter::Vals sums = takeStep(
                    consumer, place, Emitter::Vals(state.drop_front(2)), false);
                NVVM::WgmmaWaitGroupSyncOp::create(e, 1);
                release(ring->previousStage(place.stage));
                return asState(ring->next(place), sums);
              });
  NVVM::WgmmaWaitGroupSyncOp::create(e, 0);
  release(ring->previousStage(state[0]));
  return state;
}

/// Where the consumer's first tile is in the ring.
Ring::Place WgmmaKernel::begin(Val consumer) {
  Ring::Place first = ring->begin();
  if (!shape.alternates)
    return first;
  Ring::Place second = ring->skip(first, steps);
  Val isFirst = consumer == 0;
  return {e.select(isFirst, first.stage, second.stage),
          e.select(isFirst, first.round, second.round)};
}

/// A warpgroup whose turn it is not passes over the stages of the other's tile,
/// and waits until the other has seen all of them.
void WgmmaKernel::consume(Val consumer) {
  Ring::Place first = begin(consumer);
  Val who = e.asI32(consumer);
  Val start = shape.alternates ? cluster + consumer * clusters : cluster;
  Val stride = shape.alternates ? clusters * 2 : clusters;
  Val none = e.constant(e.getI32Type(), 0);
  walk.each(e, start, stride, {first.stage, first.round, none},
            [&](const WalkedTile &ofCluster, ArrayRef<Val> at) {
              WalkedTile tile = ownPart(ofCluster);
              if (shape.alternates)
                ring->waitForTurn(who, at[2]);
              Emitter::Vals state = product.rowScales
                                        ? takeScaledTile(tile, consumer, at)
                                        : takeTile(consumer, at);
              if (shape.alternates)
                e.when(thread % double(warpThreads) == 0,
                       [&] { ring->passTurn(who ^ who.like(1)); });
              finish(tile, consumer, ArrayRef(state).drop_front(2));
              Ring::Place next = {state[0], state[1]};
              if (shape.alternates)
                next = ring->skip(next, steps);
              return Emitter::Vals{next.stage, next.round, at[2] + 1};
            });
}

void WgmmaKernel::finish(const WalkedTile &tile, Val consumer,
                         ArrayRef<Val> sums) {
  Val inGroup = thread / double(warpThreads);
  constexpr int64_t perGroup = groupThreads / warpThreads;
  Val warp = consumer * double(perGroup) + inGroup;
  WarpSums::Part part = {tile.expert, tile.row, tile.rowEnd, tile.out};
  Val &first = shape.swaps ? part.out : part.row;
  first = first + firstLine(consumer) + inGroup * double(WarpSums::lines);
  ofWarp.finish(part, thread % double(warpThreads), shared,
                skipped + double(stagesEnd() + Ring::bytes(shape.stages)) +
                    warp * double(ofWarp.bytes()),
                sums);
}
