//===- MmaProduct.cpp - Tiles of matrix instructions ----------------------===//
//
// Part of moe-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Rows of x and of the weights both run along the depth, which is how mma.sync
// wants them. They are copied to the block's memory some steps ahead of their
// use, rows of x from where the gather says.
//
//===----------------------------------------------------------------------===//

#include "WarpQuarter.h"

#include "mlir/Dialect/NVGPU/IR/NVGPUDialect.h"

using namespace mlir;
using namespace moe;

bool moe::fitsMma(const Product &product) {
  if (product.rowScales) // takesCodes() has looked
    return true;
  auto x = cast<MemRefType>(product.x.getType());
  Type element = x.getElementType();
  // Copies start where 16 bytes do.
  return (element.isBF16() || element.isF16()) && !product.transposed &&
         x.getLayout().isIdentity() && product.depth() % 8 == 0 &&
         llvm::all_of(product.weights, [&](const Weight &weight) {
           return StagedWeight::fits(weight, element);
         });
}

bool moe::takesCodes(const Product &product, int64_t block) {
  const Weight &first = product.weights.front();
  Type bf16 = BFloat16Type::get(product.x.getContext());
  return block == first.storedBlock() &&
         llvm::all_of(product.weights, [&](const Weight &weight) {
           return weight.isE4m3() && StagedWeight::fits(weight, bf16);
         });
}

namespace {

class MmaTile {
public:
  MmaTile(Lowering &l, const Product &product, Type element,
          const ProductTile &tile);
  void run();

private:
  Emitter &e;
  const Product &product;
  const ProductTile &tile;
  Type element; // of what is multiplied
  StagedRows rows;
  SmallVector<StagedWeight, 2> weights;
  WarpQuarter quarter;

  /// What a thread copies in each step: 16 bytes of a line.
  struct Copy {
    Value from;
    const Staged *to;
    SmallVector<Val, 3> source; // but for the element in the depth
    Val line, place;            // in the block's memory
    Val isInside;
  };
  SmallVector<Copy> copies;

  void planCopies();
  int64_t steps() const;
  int64_t stepsOfBlock() const;
  void copyStep(Val step);
  Emitter::Vals multiplySteps(Val begin, Val end, Emitter::Vals sums);
  Emitter::Vals multiplyStep(Val step, Emitter::Vals sums);
  Emitter::Vals multiply(Val stage, Val begin, Emitter::Vals sums);
  SmallVector<Val> rowScales(Val c);
  Emitter::Vals addScaled(Val block, Emitter::Vals sums, Emitter::Vals part);
  void finish(ArrayRef<Val> sums);
};

} // namespace

MmaTile::MmaTile(Lowering &l, const Product &product, Type element,
                 const ProductTile &tile)
    : e(l.e), product(product), tile(tile), element(element),
      rows(product, element),
      quarter(l.e, tile.thread, element, product.weights.size()) {
  rows.place(e, tile.shared);
  int64_t begin = rows.staged.bytes();
  for (const Weight &weight : product.weights) {
    weights.emplace_back(l, product, weight, element, tile, begin);
    begin += weights.back().staged.bytes();
  }
  planCopies();
}

/// Where the lines are is the same in every step.
void MmaTile::planCopies() {
  auto eachPart = [&](const Staged &to,
                      llvm::function_ref<void(Val line, Val place)> body) {
    int64_t perLine = to.elements() / to.perCopy();
    for (int64_t first = 0; first < to.lines * perLine;
         first += mmaShape.threads) {
      Val number = tile.thread + double(first);
      body(number / double(perLine),
           number % double(perLine) * double(to.perCopy()));
    }
  };
  eachPart(rows.staged, [&](Val line, Val place) {
    Val r = tile.row + line;
    Val isInside = r < tile.rowEnd;
    // The first row of a tile is always there.
    Val source = product.row(e.select(isInside, r, tile.row));
    copies.push_back(
        {product.x, &rows.staged, {source}, line, place, isInside});
  });
  for (const StagedWeight &weight : weights)
    eachPart(weight.staged, [&](Val line, Val place) {
      Val o = tile.out + line;
      Val isInside =
          (line < double(mmaShape.outputs)) & (o < double(product.outputs()));
      SmallVector<Val, 3> source =
          product.at(tile.expert, e.select(isInside, o, tile.out), e.index(0));
      source.pop_back();
      copies.push_back({weight.weight.stored(), &weight.staged, source, line,
                        place, isInside});
    });
}

int64_t MmaTile::steps() const {
  return llvm::divideCeilSigned(product.depth(), mmaShape.depth);
}

/// How many steps have one scale; all of them where there are no scales.
int64_t MmaTile::stepsOfBlock() const {
  return llvm::divideCeilSigned(weights.front().block(), mmaShape.depth);
}

/// What is outside of the matrices becomes zero.
void MmaTile::copyStep(Val step) {
  auto token = nvgpu::DeviceAsyncTokenType::get(e.getContext());
  Val stage = step % double(mmaStages);
  Val none = e.index(0);
  for (const Copy &copy : copies) {
    const Staged &to = *copy.to;
    Val c = step * double(to.elements()) + copy.place;
    int64_t elements = product.depth() / to.perElement;
    Val isInside = copy.isInside & (c < double(elements));
    SmallVector<Val, 3> source(copy.source);
    source.push_back(e.select(isInside, c, none));
    auto start = [&] {
      nvgpu::DeviceAsyncCopyOp::create(
          e, token, to.memory, values({stage, copy.line, copy.place}),
          copy.from, values(source), e.getIndexAttr(to.perCopy()),
          e.select(isInside, e.index(to.perCopy()), none), e.getUnitAttr());
    };
    // Narrow codes are fewer copies than there are threads.
    if (to.elements() / to.perCopy() * to.lines < mmaShape.threads)
      e.when(copy.line < double(to.lines), start);
    else
      start();
  }
}

Emitter::Vals MmaTile::multiply(Val stage, Val begin, Emitter::Vals sums) {
  return quarter.multiply(
      mmaShape.depth,
      [&](Val line, int64_t place) {
        return rows.fragments(e, stage, line, quarter.lane, place);
      },
      [&](size_t weight, Val line, int64_t place) {
        return weights[weight].fragments(stage, line, place, begin);
      },
      std::move(sums));
}

/// Of two rows of each row tile, eight apart; null for nothing.
SmallVector<Val> MmaTile::rowScales(Val c) {
  SmallVector<Val> scales;
  for (int64_t i = 0; i < WarpQuarter::rowTiles; ++i)
    for (int64_t below : {0, 8}) {
      if (!product.rowScales) {
        scales.emplace_back();
        continue;
      }
      Val r = tile.row + quarter.row + double(i * mmaRows + below);
      // Not by a row that is there: one address does for all four.
      scales.push_back(e.choose(
          r < tile.rowEnd,
          [&] {
            return e.load(
                product.rowScales,
                {product.row(r), c / double(weights.front().block())});
          },
          [&] { return e.real_(0); }));
    }
  return scales;
}

/// sums + scale * part. Without scales the part is all that there is.
Emitter::Vals MmaTile::addScaled(Val c, Emitter::Vals sums,
                                 Emitter::Vals part) {
  SmallVector<Val> ofRows = rowScales(c);
  for (size_t w = 0; w < weights.size(); ++w)
    for (int64_t j = 0; j < WarpQuarter::outputTiles; ++j)
      for (int64_t next = 0; next < 2; ++next) {
        Val ofOutput =
            weights[w].scaleAt(quarter.out + double(j * mmaOutputs + next), c);
        for (int64_t i = 0; i < WarpQuarter::rowTiles; ++i)
          for (int64_t below = 0; below < 2; ++below) {
            int64_t at = WarpQuarter::sumAt(w, i, j, below, next);
            Val ofRow = ofRows[i * 2 + below];
            Val scale = ofRow.value ? ofRow * ofOutput : ofOutput;
            sums[at] =
                scale.value ? e.fma(scale, part[at], sums[at]) : part[at];
          }
      }
  return sums;
}

void MmaTile::finish(ArrayRef<Val> sums) {
  Val outputs = e.index(product.outputs());
  quarter.finish(tile.row, tile.rowEnd, tile.out, outputs, sums,
                 [&](Val row, Val out, ArrayRef<Val> sums) {
                   SmallVector<Val, 2> finished;
                   for (auto [weight, sum] : llvm::zip_equal(weights, sums))
                     finished.push_back(weight.finish(sum, out - tile.out));
                   product.finish(tile.expert, row, out, 1, finished);
                 });
}

Emitter::Vals MmaTile::multiplyStep(Val step, Emitter::Vals sums) {
  awaitStep(e, step, [&](Val ahead) {
    e.when(ahead < double(steps()), [&] { copyStep(ahead); });
  });
  return multiply(step % double(mmaStages), step * double(mmaShape.depth),
                  std::move(sums));
}

Emitter::Vals MmaTile::multiplySteps(Val begin, Val end, Emitter::Vals sums) {
  return e.carry(begin, end, sums, [&](Val step, ArrayRef<Val> sums) {
    return multiplyStep(step, Emitter::Vals(sums));
  });
}

void MmaTile::run() {
  startSteps(e, [&](Val step) {
    e.when(step < double(steps()), [&] { copyStep(step); });
  });
  Emitter::Vals zeros = quarter.zeros();
  Val none = e.index(0), all = e.index(steps());
  int64_t perBlock = stepsOfBlock();
  if (perBlock >= steps()) {
    Emitter::Vals sums = multiplySteps(none, all, zeros);
    return finish(addScaled(none, zeros, sums));
  }
  finish(e.carry(
      none, all, zeros,
      [&](Val begin, ArrayRef<Val> sums) {
        Val end = e.min(begin + double(perBlock), all);
        Emitter::Vals part = perBlock == 1 ? multiplyStep(begin, zeros)
                                           : multiplySteps(begin, end, zeros);
        return addScaled(begin * double(mmaShape.depth), Emitter::Vals(sums),
                         part);
      },
      perBlock));
}

static void emitMmaTiles(Lowering &l, const Product &product, Type element) {
  int64_t bytes = StagedRows(product, element).staged.bytes();
  for (const Weight &weight : product.weights)
    bytes += StagedWeight::bytes(weight);
  emitTiles(l, product, mmaShape, bytes, [&](const ProductTile &tile) {
    MmaTile(l, product, element, tile).run();
  });
}

void moe::emitMmaProduct(Lowering &l, const Product &product) {
  Type element = cast<MemRefType>(product.x.getType()).getElementType();
  if (product.rowScales)
    element = l.e.getBF16Type();
  emitMmaTiles(l, product, element);
}

void moe::emitFp8Product(Lowering &l, const Product &product) {
  emitMmaTiles(l, product, Float8E4M3FNType::get(l.e.getContext()));
}
