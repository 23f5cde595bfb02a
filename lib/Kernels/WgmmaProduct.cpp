//===- WgmmaProduct.cpp - Tiles of products of warpgroups -----------------===//
//
// Part of moe-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// For sm_90a. The first warpgroup of a block fills stages of its memory: TMA
// copies the weights, its threads the rows from where the gather says. The
// others multiply what is there with wgmma, each 64 lines of its first operand:
//
// - Of many rows a tile has 128, and two warpgroups share it.
// - Of fewer it has 64, and two warpgroups take turns: while one writes what a
//   tile has become, the other multiplies.
// - Of few it has 16. The weights are the first operand then, so that the other
//   can be as small as the rows are few.
//
//===----------------------------------------------------------------------===//

#include "WgmmaProduct.h"

#include "Ring.h"
#include "TensorMap.h"
#include "TileProduct.h"
#include "TileWalk.h"
#include "WarpSums.h"

#include "mlir/Dialect/GPU/IR/GPUDialect.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/LLVMIR/NVVMDialect.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/NVGPU/IR/NVGPUDialect.h"

using namespace mlir;
using namespace moe;

static constexpr int64_t groupThreads = 128, warpThreads = 32;
/// Of the depth, what a stage has: a line of it is as long as the swizzle.
static constexpr int64_t stageDepth = 64, lineBytes = 128;
/// What one copy takes: 16 bytes.
static constexpr int64_t perCopy = 8, copiesPerLine = stageDepth / perCopy;
/// Of an instruction, and of what repeats in the swizzle.
static constexpr int64_t mmaLines = 64, mmaDepth = 16, swizzleLines = 8;
static constexpr int64_t swizzleBytes = swizzleLines * lineBytes;
/// Memory of a block that stages may take, alone on a multiprocessor or as one
/// of two; the rest is for sums on their way to the result.
static constexpr int64_t stageRoom[] = {200 * 1024, 100 * 1024};
static constexpr int64_t mostStages = 8;

WgmmaShape::WgmmaShape(const Product &product, int64_t rowsAtMost)
    : rows(rowsAtMost), swaps(rows < mmaLines), consumers(swaps ? 1 : 2),
      alternates(rows == mmaLines) {
  auto weights = static_cast<int64_t>(product.weights.size());
  outputs = swaps ? consumers * mmaLines
                  : std::min(256 / weights, (product.outputs() + 7) / 8 * 8);
  stages =
      std::min(stageRoom[consumers == 1] / stageBytes(weights), mostStages);
}

int64_t WgmmaShape::stageBytes(int64_t weights) const {
  return (rows + weights * outputs) * lineBytes;
}

bool moe::fitsWgmma(const Product &product) {
  auto x = cast<MemRefType>(product.x.getType());
  Type element = x.getElementType();
  auto fits = [&](const Weight &weight) {
    return weight.holds(element) && fitsTensorMap(weight.plain());
  };
  // Copies of rows start where 16 bytes do.
  return (element.isBF16() || element.isF16()) && x.getLayout().isIdentity() &&
         product.depth() % perCopy == 0 && llvm::all_of(product.weights, fits);
}

namespace {

/// Emits a kernel for one shape of tiles.
class WgmmaKernel {
public:
  WgmmaKernel(Lowering &l, const Product &product, const WgmmaShape &shape)
      : e(l.e), product(product), shape(shape),
        walk{product, shape.rows, shape.outputs},
        element(cast<MemRefType>(product.x.getType()).getElementType()),
        steps(llvm::divideCeilSigned(product.depth(), stageDepth)),
        ofWarp(l.e, product, columns(), shape.swaps) {
    for (const Weight &weight : product.weights)
      maps.push_back(
          emitTensorMap(l, weight.plain(), stageDepth, shape.outputs));
    launch(l);
  }

private:
  Emitter &e;
  const Product &product;
  const WgmmaShape &shape;
  const TileWalk walk;
  Type element;
  const int64_t steps;
  const WarpSums ofWarp;
  SmallVector<Value, 2> maps; // of the weights
  // In the kernel:
  Val block, blocks, thread; // the thread of its warpgroup
  Value shared, memory;      // the block's memory, and a pointer to the stages
  Val skipped;               // bytes before them
  Value rows;                // [stages, rows, stageDepth]
  std::optional<Ring> ring;

  int64_t linesOfWeight() const { return shape.outputs; }
  int64_t rowBytes() const { return shape.rows * lineBytes; }
  int64_t weightBytes() const { return shape.outputs * lineBytes; }
  int64_t weightsBegin(size_t weight) const {
    return shape.stages * (rowBytes() + int64_t(weight) * weightBytes());
  }
  int64_t stagesEnd() const { return weightsBegin(maps.size()); }
  int64_t warps() const { return shape.consumers * groupThreads / warpThreads; }
  /// That read a stage.
  int64_t readers() const {
    return shape.alternates ? warps() / shape.consumers : warps();
  }
  int64_t sharedBytes() const {
    return swizzleBytes + stagesEnd() + Ring::bytes(shape.stages) +
           warps() * ofWarp.bytes();
  }

  void launch(Lowering &l);
  void run(Val block, Val thread, Value shared);
  void layOut();
  Value at(Val bytes);
  Val address(Val bytes);

  struct Copy {
    Val source, line, place;
    Val isInside;
  };
  void produce();
  SmallVector<Copy> planCopies(const WalkedTile &tile);
  void copyRows(ArrayRef<Copy> copies, Val step, Val stage);
  void copyWeights(const WalkedTile &tile, Val step, Val stage);

  void consume(Val consumer);
  /// Of the first operand, where a warpgroup begins.
  Val firstLine(Val consumer) {
    return shape.alternates ? e.index(0) : consumer * double(mmaLines);
  }
  Value descriptor(Val bytes);
  Emitter::Vals takeStep(Val consumer, Ring::Place place, Emitter::Vals sums,
                         bool isFirst);
  void multiply(Val consumer, Val stage, MutableArrayRef<Val> sums,
                bool isFirst);
  Value multiplyAdd(Value a, Value b, Value sums, bool adds);
  void release(Val stage);
  void finish(const WalkedTile &tile, Val consumer, ArrayRef<Val> sums);
  int64_t columns() const { return shape.swaps ? shape.rows : shape.outputs; }
};

} // namespace

void WgmmaKernel::launch(Lowering &l) {
  // As many blocks as the device runs at the same time.
  Val resident = e.asIndex(l.callRuntime("moe_gpu_processors", e.getI64Type(),
                                         ValueRange{l.launches})) *
                 double(shape.blocksAtOnce());
  blocks = e.min(walk.mostTiles(e), resident);
  e.launch(
      blocks, (1 + shape.consumers) * groupThreads, sharedBytes(),
      [&](Val block, Val thread, Value shared) { run(block, thread, shared); });
}

/// Swizzles are of bits of the address, so that stages begin where one does.
void WgmmaKernel::layOut() {
  Type i64 = e.getI64Type();
  auto pointer = LLVM::LLVMPointerType::get(e.getContext(), 3);
  auto one = LLVM::LLVMArrayType::get(i64, 1);
  auto type = LLVM::LLVMStructType::getLiteral(
      e.getContext(), {pointer, pointer, i64, one, one});
  Value view = UnrealizedConversionCastOp::create(e, type, shared).getResult(0);
  Value begin = LLVM::ExtractValueOp::create(e, view, ArrayRef<int64_t>{1});
  Val at = e.val(LLVM::PtrToIntOp::create(e, i64, begin));
  Val unaligned = (e.constant(i64, 0) - at) & double(swizzleBytes - 1);
  memory = LLVM::GEPOp::create(e, pointer, e.getI8Type(), begin,
                               ArrayRef<LLVM::GEPArg>{unaligned.value});
  skipped = e.asIndex(unaligned);
  rows = e.shared(shared, skipped, element,
                  {shape.stages, shape.rows, stageDepth});
  ring.emplace(e, this->at(e.index(stagesEnd())), shape.stages);
}

/// Where so many bytes after the begin of the stages are.
Value WgmmaKernel::at(Val bytes) {
  auto pointer = LLVM::LLVMPointerType::get(e.getContext(), 3);
  Val offset = e.cast(bytes, e.getI32Type());
  return LLVM::GEPOp::create(e, pointer, e.getI8Type(), memory,
                             ArrayRef<LLVM::GEPArg>{offset.value});
}

void WgmmaKernel::run(Val inGrid, Val inBlock, Value bytes) {
  block = inGrid;
  shared = bytes;
  layOut();
  // The warpgroup is the same for all threads of a warp, which ptxas sees by
  // this.
  Type i32 = e.getI32Type();
  Val all = e.bits(i32, 0xffffffff);
  Val group = e.val(NVVM::ShflOp::create(
      e, i32, all, e.asI32(inBlock / double(groupThreads)), e.constant(i32, 0),
      e.constant(i32, warpThreads - 1), NVVM::ShflKind::idx, UnitAttr()));
  thread = inBlock % double(groupThreads);
  // Weights are one arrival, and each thread that copies rows is one.
  e.when(inBlock == 0, [&] { ring->initialize(1 + groupThreads, readers()); });
  e.barrier();
  e.when(group == 0, [&] {
    if (shape.consumers > 1)
      NVVM::SetMaxRegisterOp::create(e, shape.registersToProduce(),
                                     NVVM::SetMaxRegisterAction::decrease);
    produce();
  });
  e.when(group != 0, [&] {
    if (shape.consumers > 1)
      NVVM::SetMaxRegisterOp::create(e, shape.registersToConsume(),
                                     NVVM::SetMaxRegisterAction::increase);
    consume(e.asIndex(group - 1));
  });
}

void WgmmaKernel::produce() {
  Ring::Place first = ring->begin();
  walk.each(e, block, blocks, {first.stage, first.round},
            [&](const WalkedTile &tile, ArrayRef<Val> at) {
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
    // Of few rows some threads copy what others do: the same bytes.
    Val line = number / double(copiesPerLine) % double(shape.rows);
    Val r = tile.row + line;
    Val isInside = r < tile.rowEnd;
    // The first row of a tile is always there.
    Val source = product.row(e.select(isInside, r, tile.row));
    copies.push_back({source, line, number % double(copiesPerLine), isInside});
  }
  return copies;
}

/// What is outside of the matrix becomes zero.
void WgmmaKernel::copyRows(ArrayRef<Copy> copies, Val step, Val stage) {
  auto token = nvgpu::DeviceAsyncTokenType::get(e.getContext());
  Val none = e.index(0), all = e.index(perCopy);
  int64_t each = shape.rows * copiesPerLine;
  for (const Copy &copy : copies) {
    Val c = step * double(stageDepth) + copy.place * double(perCopy);
    Val isInside = copy.isInside & (c < double(product.depth()));
    Val swizzled =
        (copy.place ^ (copy.line % double(swizzleLines))) * double(perCopy);
    auto emit = [&] {
      nvgpu::DeviceAsyncCopyOp::create(
          e, token, rows, values({e.asIndex(stage), copy.line, swizzled}),
          product.x, values({copy.source, e.select(isInside, c, none)}),
          e.getIndexAttr(perCopy), e.select(isInside, all, none),
          e.getUnitAttr());
    };
    if (each < groupThreads)
      e.when(thread < double(each), emit);
    else
      emit();
  }
}

void WgmmaKernel::copyWeights(const WalkedTile &tile, Val step, Val stage) {
  auto cluster = LLVM::LLVMPointerType::get(e.getContext(), 7);
  ring->expect(stage, static_cast<int64_t>(maps.size()) * weightBytes());
  Val number = e.asIndex(stage);
  for (auto [i, map] : llvm::enumerate(maps)) {
    Value to = at(number * double(weightBytes()) + double(weightsBegin(i)));
    NVVM::CpAsyncBulkTensorGlobalToSharedClusterOp::create(
        e, LLVM::AddrSpaceCastOp::create(e, cluster, to), map,
        ValueRange{e.asI32(step * double(stageDepth)), e.asI32(tile.out),
                   e.asI32(tile.expert)},
        ring->full(stage), ValueRange(), Value(), Value(),
        NVVM::TMALoadMode::TILE, /*isCTAOnly=*/false, NVVM::CTAGroupKindAttr(),
        Value());
  }
}

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
  auto type = element.isBF16() ? NVVM::WGMMATypes::bf16 : NVVM::WGMMATypes::f16;
  auto shapeOf =
      NVVM::MMAShapeAttr::get(e.getContext(), mmaLines, columns(), mmaDepth);
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
  for (int64_t k = 0; k < stageDepth; k += mmaDepth) {
    auto atDepth = [&](Value from) -> Value {
      return e.val(from) + double(k * 2 / 16);
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
  e.when(thread % double(warpThreads) == 0, [&] { ring->release(stage); });
}

/// While the products of one step are made, those of the next are asked for. A
/// warpgroup whose turn it is not passes over the stages of the other's tile.
void WgmmaKernel::consume(Val consumer) {
  SmallVector<Type> fields(columns() / 2, e.getF32Type());
  auto type = LLVM::LLVMStructType::getLiteral(e.getContext(), fields);
  auto asState = [](Ring::Place place, ArrayRef<Val> sums) {
    Emitter::Vals state = {place.stage, place.round};
    llvm::append_range(state, sums);
    return state;
  };
  Ring::Place first = ring->begin();
  Val start = block, stride = blocks;
  if (shape.alternates) {
    Ring::Place second = ring->skip(first, steps);
    Val isFirst = consumer == 0;
    first = {e.select(isFirst, first.stage, second.stage),
             e.select(isFirst, first.round, second.round)};
    start = block + consumer * blocks;
    stride = blocks * 2;
  }
  walk.each(
      e, start, stride, {first.stage, first.round},
      [&](const WalkedTile &tile, ArrayRef<Val> at) {
        Emitter::Vals none(maps.size(), e.val(LLVM::UndefOp::create(e, type)));
        Ring::Place place = {at[0], at[1]};
        Emitter::Vals sums = takeStep(consumer, place, none, true);
        Emitter::Vals state = e.carry(
            e.index(1), e.index(steps), asState(ring->next(place), sums),
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
        finish(tile, consumer, ArrayRef(state).drop_front(2));
        Ring::Place next = {state[0], state[1]};
        if (shape.alternates)
          next = ring->skip(next, steps);
        return Emitter::Vals{next.stage, next.round};
      });
}

void WgmmaKernel::finish(const WalkedTile &tile, Val consumer,
                         ArrayRef<Val> sums) {
  Val inGroup = thread / double(warpThreads);
  Val warp = consumer * double(groupThreads / warpThreads) + inGroup;
  WarpSums::Part part = {tile.expert, tile.row, tile.rowEnd, tile.out};
  Val &first = shape.swaps ? part.out : part.row;
  first = first + firstLine(consumer) + inGroup * double(WarpSums::lines);
  ofWarp.finish(part, thread % double(warpThreads), shared,
                skipped + double(stagesEnd() + Ring::bytes(shape.stages)) +
                    warp * double(ofWarp.bytes()),
                sums);
}

/// The first shape whose tiles the rows of an expert fill half or more, if all
/// experts have as many, or that has all of them.
static void emitFirstFitting(Lowering &l, const Product &product,
                             ArrayRef<int64_t> rowsAtMost) {
  Emitter &e = l.e;
  auto emit = [&] {
    WgmmaKernel(l, product, WgmmaShape(product, rowsAtMost.front()));
  };
  if (rowsAtMost.size() == 1)
    return emit();
  int64_t most = product.offsets ? rowsAtMost.front() / 2 * product.experts()
                                 : rowsAtMost.front();
  Val fits = product.rows <= double(most);
  e.when(fits, emit);
  e.when(product.rows > double(most),
         [&] { emitFirstFitting(l, product, rowsAtMost.drop_front()); });
}

void moe::emitWgmmaProduct(Lowering &l, const Product &product) {
  emitFirstFitting(l, product, {16, 64, 128});
}
