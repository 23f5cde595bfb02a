//===- VectorProduct.cpp - Products in tiles of dot products --------------===//
//
// Part of moe-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Weights are stored [out, in], so rows of x and rows of w run along the depth:
// a tile keeps one vector of partial sums per (row, output) and adds their
// lanes at the end. docs/decisions/0006-cpu-kernels.md draws the nest of loops
// around it. Every sum runs over the same lanes in the same order in every tile
// shape, which is why results do not depend on rows around them.
//
//===----------------------------------------------------------------------===//

#include "VectorProduct.h"

#include "mlir/IR/BuiltinTypes.h"

using namespace mlir;
using namespace moe;

static int64_t roundUp(int64_t number, int64_t unit) {
  return llvm::divideCeilSigned(number, unit) * unit;
}

VectorProduct::VectorProduct(Lowering &l, const Product &product)
    : l(l), e(l.e), product(product),
      weights(product.weights.begin(), product.weights.end()) {
  Type element = cast<MemRefType>(product.x.getType()).getElementType();
  pairs = l.unit.bf16Dot && element.isBF16() &&
          llvm::all_of(weights, [](const Weight &w) { return w.fitsPairs(); });
  if (pairs)
    for (Weight &weight : weights)
      weight.usePairs();
  step = pairs ? 2 * l.lanes : l.lanes;
  ProductShape shape;
  shape.outputs = product.outputs();
  shape.depth = product.depth();
  shape.weights = weights.size();
  shape.xBytes = pairs ? 2 : 4;
  shape.weightBits = weights.front().bits();
  shape.decoded = !isHeldAs(computed());
  shape.packed = weights.front().isPacked();
  if (!shape.packed)
    shape.block = weights.front().block();
  for (const Weight &weight : weights)
    if (shape.packed)
      strips.push_back({weight.strips(), weight.scaleStrips()});
  hasCodes = shape.hasCodes();
  isScaledInTile = shape.hasScalesInDepth();
  blocks = chooseBlocks(l.unit.core, shape, l.unit.blocks);
}

Type VectorProduct::computed() const {
  return pairs ? Type(e.getBF16Type()) : Type(e.real);
}

bool VectorProduct::isHeldAs(Type element) const {
  return llvm::all_of(weights,
                      [&](const Weight &w) { return w.holds(element); });
}

void VectorProduct::allocate() {
  sums.clear();
  int64_t columns = roundUp(blocks.outBlock, l.lanes);
  for (size_t i = 0; i < weights.size(); ++i)
    sums.push_back(e.local(
        e.real, {strips.empty() ? blocks.rowBlock : stripRows(), columns}));
  if (!strips.empty() && hasCodes)
    panel = e.local(computed(), {1, 1, stripOutputs * blocks.depthChunk});
  if (isHeldAs(computed()) || !strips.empty())
    return;
  // A line more than a chunk: rows of w, and of x, need not be where they push
  // each other out of the cache.
  int64_t width = roundUp(blocks.depthChunk, step) + step;
  panel = e.local(computed(), {blocks.tileOutputs, width});
}

/// Puts the sums of some rows of a tile where those of the block are.
void VectorProduct::rowTile(const Place &place, Tile tile, size_t weight,
                            Val row, int64_t rows, int64_t count) {
  for (int64_t r = 0; r < rows; ++r)
    tile.sources.push_back(product.row(row + r));
  int64_t outs = tile.outs.size();
  for (auto [r, found] : llvm::enumerate(tileSums(tile, count))) {
    SmallVector<Val> at = {row + double(r) - place.rowBegin,
                           tile.outs[0] - place.outBegin};
    if (blocks.depthChunk < product.depth())
      found = found + e.loadVector(sums[weight], at, outs, outs);
    e.storeVector(found, sums[weight], at, outs);
  }
}

VectorProduct::Tile VectorProduct::makeTile(const Place &place, size_t weight,
                                            Val out, int64_t outs, Val begin) {
  Tile tile{weights[weight], false, place.expert, {}, {}, begin, {}, {}};
  for (int64_t o = 0; o < outs; ++o)
    tile.outs.push_back(out + o);
  return tile;
}

/// The outputs of a weight, tile by tile.
void VectorProduct::eachTile(const Place &place,
                             llvm::function_ref<void(Val, int64_t)> body) {
  int64_t size = blocks.tileOutputs;
  Val whole = place.outBegin + (place.outEnd - place.outBegin) / size * size;
  e.loop(place.outBegin, whole, [&](Val out) { body(out, size); }, size);
  if (product.outputs() % size)
    e.loop(whole, place.outEnd, [&](Val out) { body(out, 1); });
}

void VectorProduct::eachChunk(llvm::function_ref<void(Val, int64_t)> body) {
  int64_t depth = product.depth(), chunk = blocks.depthChunk;
  int64_t whole = depth / chunk * chunk;
  if (whole == chunk)
    body(e.index(0), chunk);
  else
    e.loop(
        e.index(0), e.index(whole), [&](Val begin) { body(begin, chunk); },
        chunk);
  if (whole < depth)
    body(e.index(whole), depth - whole);
}

/// What is read after a tile: the next weight if there is one chunk, else the
/// next chunk, and after the last of them outputs further on.
void VectorProduct::setNext(const Place &place, Tile &tile, size_t weight,
                            int64_t count) {
  Val out = tile.outs[0], further = out + double(tile.outs.size());
  Val isInside = further + double(tile.outs.size()) <= place.outEnd;
  Val nextOut = e.select(isInside, further, out);
  tile.asked = tile.outs.size();
  if (blocks.depthChunk == product.depth()) {
    bool isLast = weight + 1 == weights.size();
    tile.nextWeight = &weights[isLast ? 0 : weight + 1];
    tile.next = product.at(place.expert, isLast ? nextOut : out, tile.begin);
    return;
  }
  Val isEnd = tile.begin + double(2 * count) > double(product.depth());
  tile.nextWeight = &weights[weight];
  tile.next =
      product.at(place.expert, e.select(isEnd, nextOut, out),
                 e.select(isEnd, e.index(0), tile.begin + double(count)));
}

/// How many outputs a tile of these rows has that decodes as it goes: no more
/// than leave room in registers for what decoding needs.
int64_t VectorProduct::outputsThatFit(int64_t rows) const {
  Weight::Registers needed = weights.front().registers();
  int64_t sums = rows * (isScaledInTile ? 2 : 1), outs = blocks.tileOutputs;
  // Found by trial, as Weight::registers.
  int64_t spare = rows > blocks.tileRows ? 4 : 0;
  while (outs > 1 && outs * (sums + needed.perOutput) + rows + needed.others >
                         l.unit.core.registers - spare)
    outs /= 2;
  return outs;
}

/// Rows that are best taken at once, with half the outputs if they are many:
/// the time goes to weights that come from memory, and each is read once.
int64_t VectorProduct::mostOfFewRows() const {
  int64_t rows = blocks.tileRows;
  while (outputsThatFit(rows + 1) > 1 &&
         2 * outputsThatFit(rows + 1) >= blocks.tileOutputs)
    ++rows;
  return rows;
}

/// Some outputs of a tile.
VectorProduct::Tile VectorProduct::partOf(const Tile &tile, Val first,
                                          int64_t outs) {
  Tile part = tile;
  part.outs.clear();
  for (int64_t o = 0; o < outs; ++o)
    part.outs.push_back(tile.outs[0] + first + o);
  part.asked = outs;
  Val &nextOut = part.next.end()[-2];
  nextOut = nextOut + first;
  return part;
}

/// All rows in one tile: it reads each weight once, from one end to the other,
/// and decodes it in registers.
void VectorProduct::fewRows(const Place &place) {
  Val rows = place.rowEnd - place.rowBegin;
  eachTile(place, [&](Val out, int64_t outs) {
    for (size_t weight = 0; weight < weights.size(); ++weight)
      eachChunk([&](Val begin, int64_t count) {
        Tile tile = makeTile(place, weight, out, outs, begin);
        setNext(place, tile, weight, count);
        auto sumsOf = [&](const Tile &tile, int64_t few) {
          rowTile(place, tile, weight, place.rowBegin, few, count);
        };
        for (int64_t few = 1, most = mostOfFewRows(); few <= most; ++few)
          e.when(rows == double(few), [&] {
            int64_t part = outputsThatFit(few);
            if (part >= outs)
              return sumsOf(tile, few);
            e.loop(
                e.index(0), e.index(outs),
                [&](Val first) { sumsOf(partOf(tile, first, part), few); },
                part);
          });
      });
  });
}

/// All rows of the block, for some outputs of one weight and a chunk.
void VectorProduct::manyRows(const Place &place, size_t weight, Val out,
                             int64_t outs, Val begin, int64_t count) {
  Tile tile = makeTile(place, weight, out, outs, begin);
  if (panel) {
    decodePanel(tile, count);
    tile.fromPanel = true;
  }
  // The tile after this one is of the next weight, or else further on. Of its
  // outputs each tile of rows asks for some as it goes: the more tiles there
  // are, the fewer at a time.
  bool isLast = weight + 1 == weights.size();
  Val nextOut =
      isLast ? e.select(out + 2 * outs <= place.outEnd, out + outs, out) : out;
  int64_t size = blocks.tileRows, most = std::max<int64_t>(outs / 2, 1);
  Val row = place.rowBegin, tiles = (place.rowEnd - row) / size;
  for (int64_t asked = most; asked; asked /= 2) {
    int64_t needed = outs / asked;
    Val end = place.rowBegin + e.min(tiles, e.index(needed)) * size;
    if (asked < most)
      end = e.select(tiles >= double(needed), end, row);
    if (asked > 1)
      end = e.select(tiles < double(2 * needed), end, row);
    e.loop(
        row, end,
        [&](Val row) {
          Tile asking = tile;
          Val first = (row - place.rowBegin) / size * asked;
          asking.nextWeight = &weights[isLast ? 0 : weight + 1];
          asking.next = product.at(place.expert, nextOut + first, begin);
          asking.asked = asked;
          rowTile(place, asking, weight, row, size, count);
        },
        size);
    row = end;
  }
  Val whole = place.rowBegin + tiles * size;
  e.loop(
      row, whole,
      [&](Val row) { rowTile(place, tile, weight, row, size, count); }, size);
  for (int64_t rest = 1; rest < size; ++rest)
    e.when(place.rowEnd - whole == double(rest),
           [&] { rowTile(place, tile, weight, whole, rest, count); });
}

/// Sums of chunks are added to what is there.
void VectorProduct::clearSums(const Place &place) {
  if (blocks.depthChunk == product.depth())
    return;
  Val columns = e.index(roundUp(blocks.outBlock, l.lanes));
  Val zero = zeros(1)[0];
  e.loop(place.rowEnd - place.rowBegin, [&](Val row) {
    e.loop(
        e.index(0), columns,
        [&](Val out) {
          for (Value buffer : sums)
            e.storeVector(zero, buffer, {row, out}, l.lanes);
        },
        l.lanes);
  });
}

void VectorProduct::rowsAndOutputs(const Place &place) {
  clearSums(place);
  Val rows = place.rowEnd - place.rowBegin;
  int64_t few = mostOfFewRows();
  e.when(rows <= double(few), [&] { fewRows(place); });
  e.when(rows > double(few), [&] {
    eachChunk([&](Val begin, int64_t count) {
      eachTile(place, [&](Val out, int64_t outs) {
        for (size_t weight = 0; weight < weights.size(); ++weight)
          manyRows(place, weight, out, outs, begin, count);
      });
    });
  });
}

/// Hands the sums to `finish`, a vector of outputs at a time.
void VectorProduct::finish(const Place &place) {
  auto vector = [&](Val row, Val out, int64_t valid) {
    SmallVector<Val, 2> values;
    for (auto [weight, buffer] : llvm::zip_equal(weights, sums)) {
      SmallVector<Val, 3> at = product.at(place.expert, out, e.index(0));
      Val found =
          e.loadRaw(buffer, {row - place.rowBegin, out - place.outBegin},
                    l.lanes, l.lanes);
      values.push_back(strips.empty() ? weight.applyFactor(found, at)
                                      : weight.stripFactor(found, at));
    }
    product.finish(place.expert, row, out, valid, values);
  };
  int64_t rest = product.outputs() % l.lanes;
  e.loop(place.rowBegin, place.rowEnd, [&](Val row) {
    Val whole =
        place.outBegin + (place.outEnd - place.outBegin) / l.lanes * l.lanes;
    e.loop(
        place.outBegin, whole, [&](Val out) { vector(row, out, l.lanes); },
        l.lanes);
    if (rest)
      e.when(whole < place.outEnd, [&] { vector(row, whole, rest); });
  });
}

void VectorProduct::run(Val expert, Val rowBegin, Val rowEnd, Val outBegin,
                        Val outEnd, Position after) {
  e.loop(
      rowBegin, rowEnd,
      [&](Val row) {
        Val end = e.min(row + blocks.rowBlock, rowEnd);
        e.loop(
            outBegin, outEnd,
            [&](Val out) {
              Val next = out + blocks.outBlock, isInside = next < outEnd;
              Place place = {expert,
                             row,
                             end,
                             out,
                             e.min(next, outEnd),
                             {e.select(isInside, expert, after.expert),
                              e.select(isInside, next, after.out)}};
              if (strips.empty())
                rowsAndOutputs(place);
              else
                stripRowsAndOutputs(place);
              finish(place);
            },
            blocks.outBlock);
      },
      blocks.rowBlock);
}
