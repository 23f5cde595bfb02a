//===- MmaProduct.cpp - Tiles of matrix instructions ----------------------===//
//
// Part of moe-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Rows of x and of the weights both run along the depth, which is how mma.sync
// wants them. They are copied to the block's memory some steps ahead of their
// use, rows of x from where the gather says. Four warps share a tile, two by
// two; each has the sums of a quarter in registers.
//
//===----------------------------------------------------------------------===//

#include "TileProduct.h"

#include "mlir/Dialect/GPU/IR/GPUDialect.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/LLVMIR/NVVMDialect.h"
#include "mlir/Dialect/NVGPU/IR/NVGPUDialect.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"

using namespace mlir;
using namespace moe;

static constexpr TileShape shape = {64, 64, 32, 128};
static constexpr int64_t stages = 3;
/// What one copy takes: 16 bytes.
static constexpr int64_t perCopy = 8;
/// Rows in the block's memory are as far apart as lets eight of them lie in
/// different banks.
static constexpr int64_t pitch = shape.depth + perCopy;
/// Of an instruction, and of a warp.
static constexpr int64_t mmaRows = 16, mmaOutputs = 8, mmaDepth = 16;
static constexpr int64_t warpRows = 32, warpOutputs = 32;
static constexpr int64_t rowTiles = warpRows / mmaRows;
static constexpr int64_t outputTiles = warpOutputs / mmaOutputs;
/// Sums of an instruction that a thread has: two of a row, and two of another.
static constexpr int64_t perThread = 4;

bool moe::fitsMma(const Product &product) {
  auto x = cast<MemRefType>(product.x.getType());
  Type element = x.getElementType();
  auto isPlain = [&](const Weight &weight) {
    return weight.holds(element) && weight.isCompact();
  };
  // Copies start where 16 bytes do.
  return (element.isBF16() || element.isF16()) && x.getLayout().isIdentity() &&
         product.depth() % perCopy == 0 &&
         llvm::all_of(product.weights, isPlain);
}

namespace {

class MmaTile {
public:
  MmaTile(Lowering &l, const Product &product, const ProductTile &tile);
  void run();

private:
  Emitter &e;
  const Product &product;
  const ProductTile &tile;
  Type element;
  Value rows;                    // [stages, rows, pitch]
  SmallVector<Value, 2> weights; // [stages, outputs, pitch] of each
  Val lane, warpRow, warpOut;    // in the tile

  /// What a thread copies in each step: 16 bytes of a line.
  struct Copy {
    Value from, to;
    SmallVector<Val, 3> source; // but for the place in the depth
    Val line, place;            // in the block's memory
    Val isInside;
  };
  SmallVector<Copy> copies;

  void planCopies();
  void copyStep(Val step, Val stage);
  SmallVector<Value> matrices(Value from, Val stage, Val line, Val place);
  Emitter::Vals multiply(Val stage, Emitter::Vals sums);
  void multiplyAdd(ArrayRef<Value> a, ArrayRef<Value> b,
                   MutableArrayRef<Val> sums);
  void finish(ArrayRef<Val> sums);
};

} // namespace

static int64_t bytesOf(int64_t lines) { return stages * lines * pitch * 2; }

MmaTile::MmaTile(Lowering &l, const Product &product, const ProductTile &tile)
    : e(l.e), product(product), tile(tile),
      element(cast<MemRefType>(product.x.getType()).getElementType()),
      lane(tile.thread % 32.0) {
  Val warp = tile.thread / 32.0;
  warpRow = warp / 2.0 * double(warpRows);
  warpOut = warp % 2.0 * double(warpOutputs);
  rows = e.shared(tile.shared, 0, element, {stages, shape.rows, pitch});
  for (size_t i = 0; i < product.weights.size(); ++i)
    weights.push_back(e.shared(tile.shared,
                               bytesOf(shape.rows) + static_cast<int64_t>(i) *
                                                         bytesOf(shape.outputs),
                               element, {stages, shape.outputs, pitch}));
  planCopies();
}

/// Where the rows are is the same in every step.
void MmaTile::planCopies() {
  constexpr int64_t perLine = shape.depth / perCopy;
  auto eachPart = [&](int64_t lines,
                      llvm::function_ref<void(Val line, Val place)> body) {
    for (int64_t part = 0; part < lines * perLine / shape.threads; ++part) {
      Val number = tile.thread + double(part * shape.threads);
      body(number / double(perLine),
           number % double(perLine) * double(perCopy));
    }
  };
  eachPart(shape.rows, [&](Val line, Val place) {
    Val r = tile.row + line;
    Val isInside = r < tile.rowEnd;
    // The first row of a tile is always there.
    Val source = product.row(e.select(isInside, r, tile.row));
    copies.push_back({product.x, rows, {source}, line, place, isInside});
  });
  for (auto [weight, to] : llvm::zip_equal(product.weights, weights))
    eachPart(shape.outputs, [&, &from = weight, into = to](Val line,
                                                           Val place) {
      Val o = tile.out + line;
      Val isInside = o < double(product.outputs());
      SmallVector<Val, 3> source =
          product.at(tile.expert, e.select(isInside, o, tile.out), e.index(0));
      source.pop_back();
      copies.push_back({from.plain(), into, source, line, place, isInside});
    });
}

/// What is outside of the matrices becomes zero.
void MmaTile::copyStep(Val step, Val stage) {
  auto token = nvgpu::DeviceAsyncTokenType::get(e.getContext());
  Val begin = step * double(shape.depth);
  Val none = e.index(0), all = e.index(perCopy);
  for (const Copy &copy : copies) {
    Val c = begin + copy.place;
    Val isInside = copy.isInside & (c < double(product.depth()));
    SmallVector<Val, 3> source(copy.source);
    source.push_back(e.select(isInside, c, none));
    nvgpu::DeviceAsyncCopyOp::create(
        e, token, copy.to, values({stage, copy.line, copy.place}), copy.from,
        values(source), e.getIndexAttr(perCopy), e.select(isInside, all, none),
        e.getUnitAttr());
  }
}

/// Four matrices of eight rows and eight places, as instructions take them.
SmallVector<Value> MmaTile::matrices(Value from, Val stage, Val line,
                                     Val place) {
  auto type = VectorType::get({4, 2}, element);
  Value four = nvgpu::LdMatrixOp::create(
      e, type, from, values({stage, line, place}),
      /*transpose=*/e.getBoolAttr(false), e.getI32IntegerAttr(4));
  bool asBits = element.isBF16();
  if (asBits)
    four = vector::BitCastOp::create(e, VectorType::get({4, 1}, e.getI32Type()),
                                     four);
  SmallVector<Value> each;
  for (int64_t i = 0; i < 4; ++i)
    each.push_back(vector::ExtractOp::create(
        e, four, asBits ? ArrayRef<int64_t>{i, 0} : ArrayRef<int64_t>{i}));
  return each;
}

void MmaTile::multiplyAdd(ArrayRef<Value> a, ArrayRef<Value> b,
                          MutableArrayRef<Val> sums) {
  Type f32 = e.getF32Type();
  auto result =
      LLVM::LLVMStructType::getLiteral(e.getContext(), {f32, f32, f32, f32});
  auto type = element.isBF16() ? NVVM::MMATypes::bf16 : NVVM::MMATypes::f16;
  SmallVector<Value> before = values(sums);
  Value next = NVVM::MmaOp::create(
      e, result, a, b, before, ArrayRef<int64_t>{mmaRows, mmaOutputs, mmaDepth},
      std::nullopt, std::nullopt, std::array{type, type},
      std::array{NVVM::MMALayout::row, NVVM::MMALayout::col});
  for (int64_t i = 0; i < perThread; ++i)
    sums[i] = e.val(LLVM::ExtractValueOp::create(e, next, i));
}

Emitter::Vals MmaTile::multiply(Val stage, Emitter::Vals sums) {
  Val low = lane % 16.0, high = lane / 16.0;
  Val even = lane / 8.0 % 2.0, inEight = lane % 8.0;
  for (int64_t k = 0; k < shape.depth; k += mmaDepth) {
    // Rows 0-7 and 8-15 of places 0-7, then of places 8-15.
    SmallVector<SmallVector<Value>> a;
    for (int64_t i = 0; i < rowTiles; ++i)
      a.push_back(matrices(rows, stage, warpRow + double(i * mmaRows) + low,
                           high * 8.0 + double(k)));
    size_t first = 0;
    for (Value weight : weights) {
      // Places 0-7 and 8-15 of outputs 0-7, then of outputs 8-15.
      SmallVector<SmallVector<Value>> b;
      for (int64_t j = 0; j < outputTiles; j += 2)
        b.push_back(
            matrices(weight, stage,
                     warpOut + double(j * mmaOutputs) + high * 8.0 + inEight,
                     even * 8.0 + double(k)));
      for (ArrayRef<Value> x : a)
        for (ArrayRef<Value> two : b)
          for (size_t half : {0, 2}) {
            multiplyAdd(x, two.slice(half, 2),
                        MutableArrayRef(sums).slice(first, perThread));
            first += perThread;
          }
    }
  }
  return sums;
}

/// A thread has two neighbours of a row, and two eight rows below.
void MmaTile::finish(ArrayRef<Val> sums) {
  Val row = tile.row + warpRow + lane / 4.0;
  Val out = tile.out + warpOut + lane % 4.0 * 2.0;
  for (int64_t i = 0; i < rowTiles; ++i)
    for (int64_t below = 0; below < 2; ++below) {
      Val r = row + double(i * mmaRows + below * 8);
      e.when(r < tile.rowEnd, [&] {
        for (int64_t j = 0; j < outputTiles; ++j)
          for (int64_t next = 0; next < 2; ++next) {
            Val o = out + double(j * mmaOutputs + next);
            SmallVector<Val, 2> ofPlace;
            for (size_t w = 0; w < weights.size(); ++w)
              ofPlace.push_back(
                  sums[((w * rowTiles + i) * outputTiles + j) * perThread +
                       2 * below + next]);
            e.when(o < double(product.outputs()),
                   [&] { product.finish(tile.expert, r, o, 1, ofPlace); });
          }
      });
    }
}

void MmaTile::run() {
  int64_t steps = llvm::divideCeilSigned(product.depth(), shape.depth);
  for (int64_t step = 0; step < stages - 1; ++step) {
    if (step < steps)
      copyStep(e.index(step), e.index(step));
    NVVM::CpAsyncCommitGroupOp::create(e);
  }
  Emitter::Vals zeros(weights.size() * rowTiles * outputTiles * perThread,
                      e.real_(0));
  Emitter::Vals sums = e.carry(
      e.index(0), e.index(steps), zeros, [&](Val step, ArrayRef<Val> sums) {
        // The copies of this step are there, for all threads; and what is
        // overwritten next has been read by all.
        NVVM::CpAsyncWaitGroupOp::create(e, stages - 2);
        e.barrier();
        Val ahead = step + double(stages - 1);
        e.when(ahead < double(steps),
               [&] { copyStep(ahead, ahead % double(stages)); });
        NVVM::CpAsyncCommitGroupOp::create(e);
        return multiply(step % double(stages), Emitter::Vals(sums));
      });
  finish(sums);
}

void moe::emitMmaProduct(Lowering &l, const Product &product) {
  auto count = static_cast<int64_t>(product.weights.size());
  emitTiles(l, product, shape,
            bytesOf(shape.rows) + count * bytesOf(shape.outputs),
            [&](const ProductTile &tile) { MmaTile(l, product, tile).run(); });
}
