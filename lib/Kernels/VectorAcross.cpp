//===- VectorAcross.cpp - Sums of outer products in vectors ---------------===//
//
// Part of moe-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Where neighbours in memory are outputs and not places of the depth, a vector
// has outputs: of each place, a number of each row times vectors. A tile keeps
// its sums in registers from one end of the depth to the other, so that each is
// made in the same order in tiles of any shape.
//
//===----------------------------------------------------------------------===//

#include "Product.h"

#include "llvm/Support/MathExtras.h"

using namespace mlir;
using namespace moe;

namespace {

/// The sums over k of left(line, k) * right[k, out], one per right factor.
struct AcrossSums {
  std::function<Val(Val line)> source; // where its values are, for left
  std::function<Val(Val source, Val k)> left;
  SmallVector<Value, 2> rights;
  std::function<SmallVector<Val, 3>(Val k, Val out)> rightAt;
  Val depthBegin, depthEnd;
  int64_t outputs;
  std::function<void(Val line, Val out, int64_t valid, ArrayRef<Val> sums)>
      finish;
};

/// Tiles that fit into registers.
class AcrossTiles {
public:
  AcrossTiles(Lowering &l, size_t rights);

  /// Outputs that are read at a time, neighbours in memory.
  int64_t width() const { return vectors * l.lanes; }
  /// All sums of the lines from `begin` to `end` and of the outputs from `out`
  /// on, `width` of them or what is left.
  void run(const AcrossSums &sums, Val begin, Val end, Val out);

private:
  Lowering &l;
  Emitter &e;
  int64_t lines, vectors; // of a tile, vectors of each right factor

  void lineTiles(const AcrossSums &sums, Val begin, Val end, Val out,
                 int64_t outputs);
  void tile(const AcrossSums &sums, Val line, int64_t count, Val out,
            int64_t outputs);
};

} // namespace

AcrossTiles::AcrossTiles(Lowering &l, size_t rights) : l(l), e(l.e) {
  bool many = l.unit.core.registers >= 32;
  lines = many ? 8 : 4;
  vectors = std::max<int64_t>((many ? 3 : 2) / static_cast<int64_t>(rights), 1);
}

void AcrossTiles::tile(const AcrossSums &sums, Val line, int64_t count, Val out,
                       int64_t outputs) {
  int64_t across = llvm::divideCeilSigned(outputs, l.lanes);
  auto valid = [&](int64_t vector) {
    return std::min(outputs - vector * l.lanes, l.lanes);
  };
  Emitter::Vals sources;
  for (int64_t i = 0; i < count; ++i)
    sources.push_back(sums.source(line + double(i)));
  auto rights = static_cast<int64_t>(sums.rights.size());
  Emitter::Vals zeros(rights * across * count,
                      e.constant(VectorType::get(l.lanes, e.real), 0));
  Emitter::Vals found = e.carry(
      sums.depthBegin, sums.depthEnd, zeros, [&](Val k, ArrayRef<Val> before) {
        Emitter::Vals next(before), lefts;
        for (Val source : sources)
          lefts.push_back(e.broadcast(sums.left(source, k), l.lanes));
        size_t sum = 0;
        for (Value right : sums.rights)
          for (int64_t vector = 0; vector < across; ++vector) {
            Val w = e.loadVector(
                right, sums.rightAt(k, out + double(vector * l.lanes)), l.lanes,
                valid(vector));
            for (Val x : lefts) {
              next[sum] = e.fma(x, w, next[sum]);
              ++sum;
            }
          }
        return next;
      });
  for (int64_t i = 0; i < count; ++i)
    for (int64_t vector = 0; vector < across; ++vector) {
      SmallVector<Val, 2> ofPlace;
      for (int64_t right = 0; right < rights; ++right)
        ofPlace.push_back(found[(right * across + vector) * count + i]);
      sums.finish(line + double(i), out + double(vector * l.lanes),
                  valid(vector), ofPlace);
    }
}

void AcrossTiles::lineTiles(const AcrossSums &sums, Val begin, Val end, Val out,
                            int64_t outputs) {
  Val whole = begin + (end - begin) / double(lines) * double(lines);
  e.loop(
      begin, whole, [&](Val line) { tile(sums, line, lines, out, outputs); },
      lines);
  Val rest = end - whole;
  for (int64_t count = lines / 2; count >= 1; count /= 2) {
    Val line = whole;
    e.when((rest & double(count)) != 0,
           [&] { tile(sums, line, count, out, outputs); });
    whole = whole + (rest & double(count));
  }
}

void AcrossTiles::run(const AcrossSums &sums, Val begin, Val end, Val out) {
  int64_t rest = sums.outputs % width();
  if (rest != sums.outputs)
    e.when(out + double(width()) <= double(sums.outputs),
           [&] { lineTiles(sums, begin, end, out, width()); });
  if (rest)
    e.when(out + double(width()) > double(sums.outputs),
           [&] { lineTiles(sums, begin, end, out, rest); });
}

void moe::emitAcrossProduct(Lowering &l, const Product &product) {
  Emitter &e = l.e;
  AcrossTiles tiles(l, product.weights.size());
  // Rows that all have one weight are divided among threads too.
  constexpr int64_t denseRows = 96;
  Val parts = product.offsets
                  ? e.index(product.experts())
                  : (product.rows + double(denseRows - 1)) / double(denseRows);
  int64_t shares = llvm::divideCeilSigned(product.outputs(), tiles.width());
  e.parallel(parts * double(shares), [&](Val task) {
    Val part = task / double(shares), expert = e.index(0);
    Val begin = part * double(denseRows);
    Val end = e.min(begin + double(denseRows), product.rows);
    if (product.offsets) {
      expert = part;
      begin = e.asIndex(e.load(product.offsets, {expert}));
      end = e.asIndex(e.load(product.offsets, {expert + 1}));
    }
    AcrossSums sums;
    sums.source = product.row;
    sums.left = [&](Val row, Val c) { return e.load(product.x, {row, c}); };
    for (const Weight &weight : product.weights)
      sums.rights.push_back(weight.plain());
    sums.rightAt = [&](Val c, Val out) { return product.at(expert, out, c); };
    sums.depthBegin = e.index(0);
    sums.depthEnd = e.index(product.depth());
    sums.outputs = product.outputs();
    sums.finish = [&](Val row, Val out, int64_t valid, ArrayRef<Val> sums) {
      product.finish(expert, row, out, valid, sums);
    };
    tiles.run(sums, begin, end, task % double(shares) * double(tiles.width()));
  });
}

void moe::emitVectorOuter(Lowering &l, const OuterProduct &product) {
  Emitter &e = l.e;
  AcrossTiles tiles(l, 1);
  constexpr int64_t taskLines = 128;
  int64_t down = llvm::divideCeilSigned(product.lefts(), taskLines);
  int64_t shares = llvm::divideCeilSigned(product.rights(), tiles.width());
  e.parallel(e.index(product.experts() * down * shares), [&](Val task) {
    Val expert = task / double(down * shares);
    Val begin = task / double(shares) % double(down) * double(taskLines);
    AcrossSums sums;
    sums.source = [](Val a) { return a; };
    sums.left = [&](Val a, Val row) { return e.load(product.x, {row, a}); };
    sums.rights = {product.y};
    sums.rightAt = [](Val row, Val b) { return SmallVector<Val, 3>{row, b}; };
    sums.depthBegin = e.asIndex(e.load(product.offsets, {expert}));
    sums.depthEnd = e.asIndex(e.load(product.offsets, {expert + 1}));
    sums.outputs = product.rights();
    sums.finish = [&](Val a, Val b, int64_t valid, ArrayRef<Val> sums) {
      e.storeVector(sums[0], product.sums, {expert, a, b}, valid);
    };
    tiles.run(sums, begin,
              e.min(begin + double(taskLines), e.index(product.lefts())),
              task % double(shares) * double(tiles.width()));
  });
}
