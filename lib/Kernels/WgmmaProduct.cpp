//===- WgmmaProduct.cpp - Tiles of products of warpgroups -----------------===//
//
// Part of moe-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// For sm_90a. What shape tiles have depends on how many rows there are:
//
// - Of many rows a tile has 128, and two warpgroups share it.
// - Of fewer it has 64, and two warpgroups take turns: while one writes what a
//   tile has become, the other multiplies.
// - Of few it has 16. The weights are the first operand then, so that the other
//   can be as small as the rows are few.
// - Of very many, blocks with tiles of 128 rows come in pairs that share the
//   weights.
//
//===----------------------------------------------------------------------===//

#include "WgmmaProduct.h"

#include "TensorMap.h"
#include "WgmmaKernel.h"

#include "moe/Schedule/GpuClusters.h"

#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/LLVMIR/NVVMDialect.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"

using namespace mlir;
using namespace moe;
using namespace moe::wgmma;

/// Memory of a block that stages may take, alone on a multiprocessor or as one
/// of two; the rest is for sums on their way to the result.
static constexpr int64_t stageRoom[] = {int64_t(200) << 10, int64_t(100) << 10};
static constexpr int64_t mostStages = 8;
/// Outputs of all weights that a warpgroup has the sums of 64 rows of; of
/// codes, the sums so far and those of the block at hand.
static constexpr int64_t mostOutputs = 256, mostScaledOutputs = 128;

WgmmaShape::WgmmaShape(const Product &product, int64_t rowsAtMost,
                       int64_t blocks)
    : blocks(blocks), rows(rowsAtMost), swaps(rows < mmaLines),
      consumers(swaps ? 1 : 2), alternates(rows == mmaLines) {
  auto weights = static_cast<int64_t>(product.weights.size());
  // What a block copies begins where the swizzle does.
  const int64_t step = swizzleLines * blocks;
  int64_t all = llvm::alignTo(product.outputs(), step);
  if (product.rowScales) {
    // Tiles that end where blocks of weights do.
    outputs = swaps ? mmaLines : std::min(all, mostScaledOutputs / weights);
    stages =
        std::min(stageRoom[consumers == 1] / stageBytes(weights), mostStages);
    return;
  }
  // As few tiles as can be, which are as large as each other.
  int64_t across =
      llvm::divideCeilSigned(product.outputs() * weights, mostOutputs);
  outputs =
      swaps ? mmaLines
            : llvm::alignTo(llvm::divideCeilSigned(product.outputs(), across),
                            step);
  stages =
      std::min(stageRoom[consumers == 1] / stageBytes(weights), mostStages);
}

int64_t WgmmaShape::stageBytes(int64_t weights) const {
  return (rows + weights * outputs) * lineBytes;
}

/// Whether all outputs of a tile have one scale, whatever shape it has.
static bool fitScales(const Product &product) {
  int64_t weights = static_cast<int64_t>(product.weights.size());
  int64_t block = product.weights.front().scaledOutputs();
  auto isUniform = [&](int64_t outputs) {
    return block == 0 || block % outputs == 0 ||
           (product.outputs() <= outputs && product.outputs() <= block);
  };
  int64_t ofDepth = product.weights.front().storedBlock();
  return (ofDepth % lineBytes == 0 || ofDepth == product.depth()) &&
         isUniform(mmaLines) &&
         isUniform(std::min<int64_t>(llvm::alignTo(product.outputs(), 8),
                                     mostScaledOutputs / weights));
}

bool moe::fitsWgmma(const Product &product) {
  if (product.rowScales)
    return product.weights.size() <= 2 && fitScales(product) &&
           llvm::all_of(product.weights, [](const Weight &weight) {
             return fitsTensorMap(weight.stored());
           });
  auto x = cast<MemRefType>(product.x.getType());
  Type element = x.getElementType();
  auto fits = [&](const Weight &weight) {
    return weight.holds(element) && fitsTensorMap(weight.plain());
  };
  // Copies of rows start where 16 bytes do.
  return (element.isBF16() || element.isF16()) && !product.transposed &&
         x.getLayout().isIdentity() && product.depth() % 8 == 0 &&
         llvm::all_of(product.weights, fits);
}

WgmmaKernel::WgmmaKernel(Lowering &l, const Product &product,
                         const WgmmaShape &shape)
    : e(l.e), product(product), shape(shape),
      walk{product, shape.blocks * shape.rows, shape.outputs},
      element(cast<MemRefType>(product.x.getType()).getElementType()),
      stageDepth(lineBytes * 8 / int64_t(element.getIntOrFloatBitWidth())),
      steps(llvm::divideCeilSigned(product.depth(), stageDepth)),
      ofWarp(l.e, product, columns(), shape.swaps) {
  for (const Weight &weight : product.weights)
    maps.push_back(
        emitTensorMap(l, weight.stored(), stageDepth, shape.partOutputs()));
  launch(l);
}

void WgmmaKernel::launch(Lowering &l) {
  // As many blocks as the device runs at the same time.
  Val resident = e.asIndex(l.callRuntime("moe_gpu_processors", e.getI64Type(),
                                         ValueRange{l.launches})) *
                 double(shape.blocksAtOnce());
  if (shape.blocks > 1)
    resident = e.max(resident / double(shape.blocks), e.index(1));
  clusters = e.min(walk.mostTiles(e), resident);
  e.launch(
      clusters * double(shape.blocks), (1 + shape.consumers) * groupThreads,
      sharedBytes(),
      [&](Val block, Val thread, Value shared) { run(block, thread, shared); },
      shape.blocks);
}

/// The block's own rows, of which there may be none.
WalkedTile WgmmaKernel::ownPart(WalkedTile ofCluster) {
  ofCluster.row = ofCluster.row + blockInCluster * double(shape.rows);
  return ofCluster;
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
  ring.emplace(e, this->at(e.index(stagesEnd())), shape.stages, shape.blocks);
}

/// Where so many bytes after the begin of the stages are.
Value WgmmaKernel::at(Val bytes) {
  auto pointer = LLVM::LLVMPointerType::get(e.getContext(), 3);
  Val offset = e.cast(bytes, e.getI32Type());
  return LLVM::GEPOp::create(e, pointer, e.getI8Type(), memory,
                             ArrayRef<LLVM::GEPArg>{offset.value});
}

void WgmmaKernel::run(Val inGrid, Val inBlock, Value bytes) {
  cluster = inGrid / double(shape.blocks);
  blockInCluster = inGrid % double(shape.blocks);
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
  if (shape.blocks > 1)
    e.clusterBarrier();
  else
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
  // Until then others arrive at the block's mbarriers.
  if (shape.blocks > 1)
    e.clusterBarrier();
}

namespace {
/// A shape, and for up to how many rows of an expert, if all have as many; none
/// for the last one.
struct Choice {
  WgmmaShape shape;
  std::optional<int64_t> rowsAtMost = {};
};
} // namespace

static void emitFirstFitting(Lowering &l, const Product &product,
                             ArrayRef<Choice> choices) {
  Emitter &e = l.e;
  const Choice &first = choices.front();
  auto emit = [&] { WgmmaKernel(l, product, first.shape); };
  if (!first.rowsAtMost)
    return emit();
  int64_t most = *first.rowsAtMost * (product.offsets ? product.experts() : 1);
  Val fits = product.rows <= double(most);
  e.when(fits, emit);
  e.when(product.rows > double(most),
         [&] { emitFirstFitting(l, product, choices.drop_front()); });
}

/// Up to how many rows of an expert blocks with the shape are not in clusters;
/// none: whatever their number.
static std::optional<int64_t>
rowsAlone(const Lowering &l, const Product &product, const WgmmaShape &shape) {
  switch (l.clusters) {
  case GpuClusters::always:
    return 0;
  case GpuClusters::never:
    return std::nullopt;
  case GpuClusters::whereTheyPay:
    int64_t bytes = product.rowScales ? 1 : 2;
    auto weights = static_cast<int64_t>(product.weights.size());
    return rowsForClusters(
        {shape.rows, weights * shape.outputs, lineBytes / bytes, bytes});
  }
  llvm_unreachable("all are named");
}

/// Tiles of few rows are for experts that fill half of one or more; a product
/// without experts fills it.
void moe::emitWgmmaProduct(Lowering &l, const Product &product) {
  SmallVector<Choice> choices;
  for (int64_t rows : {16, 64})
    choices.push_back(
        {WgmmaShape(product, rows), product.offsets ? rows / 2 : rows});
  WgmmaShape alone(product, 128);
  std::optional<int64_t> most = rowsAlone(l, product, alone);
  if (most != 0)
    choices.push_back({alone, most});
  if (most)
    choices.push_back({WgmmaShape(product, 128, /*blocks=*/2)});
  emitFirstFitting(l, product, choices);
}
