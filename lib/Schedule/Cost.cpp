//===- Cost.cpp - How long the parts of a forward take --------------------===//
//
// Part of moe-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Time on a core is counted in slots: that of one vector multiply-add of f32 at
// the peak. CPUs load as many vectors from the first-level cache as they
// multiply and add.
//
//===----------------------------------------------------------------------===//

#include "moe/Schedule/Cost.h"

#include <algorithm>
#include <cmath>

using namespace moe;

namespace {

// What a sum and a tile cost and what caches give is fitted by hand to a few
// points of a tile of bf16 pairs on one core of Zen 5; the rest is estimated.

/// Multiply-adds under way at once; fewer sums than that wait for each other.
constexpr double inFlight = 8;
/// To add the lanes of a sum, and to add it to what earlier chunks gave.
constexpr double slotsPerSum = 6;
/// Around the loop over the depth of a tile, which no other tile overlaps.
constexpr double slotsPerTile = 90;
/// The same of tiles of strips, whose lanes are outputs.
constexpr double slotsPerStripSum = 3, slotsPerStripTile = 40;
/// Bytes a slot.
constexpr double l2Rate = 20, l3Rate = 32;
/// What starting threads and waiting for the last costs a step of a forward.
constexpr double secondsPerStep = 3e-6;
/// The part of the second- and third-level caches that other data leave alone.
constexpr double usable = 0.75;

/// Slots that the product of one expert takes one core.
class ProductCost {
public:
  ProductCost(const Machine &machine, const Ceilings &ceilings,
              const Product &product)
      : machine(machine), shape(product.shape), blocks(product.blocks),
        vectorBytes(double(machine.lanes) * 4),
        multiplyAdd(product.bf16 ? 2 * ceilings.f32 / ceilings.bf16 : 1) {}

  double slots(int64_t rows) const;
  double idealSlots(int64_t rows) const {
    return double(rows * shape.outputs * shape.depth * shape.weights) *
           double(shape.xBytes) / vectorBytes * multiplyAdd;
  }

private:
  const Machine &machine;
  const ProductShape &shape;
  const Blocks &blocks;
  const double vectorBytes, multiplyAdd;

  double tile(int64_t rows, int64_t outs, int64_t depth, bool xInL2) const;
  double stripTile(int64_t rows, int64_t outs, int64_t depth) const;
  double decode(int64_t outs, int64_t depth, bool kept) const;
  double chunk(int64_t rows, int64_t depth) const;
  double rowBlock(int64_t rows) const;
};

/// Calls `body` with the sizes of the pieces of `total`, and how many are so.
template <typename Body> double pieces(int64_t total, int64_t size, Body body) {
  int64_t whole = total / size, rest = total % size;
  return (whole ? double(whole) * body(size) : 0) + (rest ? body(rest) : 0);
}

/// Vectors of outputs: each step of the depth loads them and a value of each
/// row. What a strip has in the first-level cache, tiles read from there.
double ProductCost::stripTile(int64_t rows, int64_t outs, int64_t depth) const {
  double vectors = double(outs) / double(machine.lanes);
  double height = double(rows == 1 ? 1 : (rows + 1) / 2 * 2),
         sums = height * vectors;
  double step =
      std::max(std::max(sums, inFlight) * multiplyAdd, height + vectors);
  return double(depth * shape.xBytes) / 4 * step + sums * slotsPerStripSum +
         slotsPerStripTile;
}

/// What the second-level cache gives comes while others are multiplied; for
/// the third the multiply-adds wait.
double ProductCost::tile(int64_t rows, int64_t outs, int64_t depth,
                         bool xInL2) const {
  if (shape.packed)
    return stripTile(rows, outs, depth);
  double sums = double(rows * outs), loads = double(rows + outs);
  double x = double(rows) * vectorBytes, w = double(outs) * vectorBytes;
  bool wInL1 = (rows + outs) * depth * shape.xBytes <= machine.l1;
  double step = std::max({std::max(sums, inFlight) * multiplyAdd, loads,
                          ((xInL2 ? x : 0) + (wInL1 ? 0 : w)) / l2Rate});
  if (!xInL2)
    step += x / l3Rate;
  double steps = std::ceil(double(depth * shape.xBytes) / vectorBytes);
  double scaled = shape.hasScalesInDepth()
                      ? std::ceil(double(depth) / double(shape.block))
                      : 0;
  return steps * step + scaled * (sums + double(outs)) + sums * slotsPerSum +
         slotsPerTile;
}

/// A load, some arithmetic on codes of that size, and a store if the values are
/// kept for other tiles.
double ProductCost::decode(int64_t outs, int64_t depth, bool kept) const {
  if (!shape.decoded || (shape.packed && !shape.hasCodes()))
    return 0;
  double vectors =
      double(outs) * std::ceil(double(depth * shape.xBytes) / vectorBytes);
  return vectors * ((shape.weightBits >= 16 ? 2 : 5) + (kept ? 1 : 0));
}

/// All outputs of some rows, over a part of the depth.
double ProductCost::chunk(int64_t rows, int64_t depth) const {
  double bytes = double(rows * depth * shape.xBytes);
  bool fits = bytes < double(machine.l2) * usable;
  bool several = rows > blocks.tileRows;
  auto tiles = [&](int64_t outs) {
    return decode(outs, depth, several) +
           pieces(rows, blocks.tileRows,
                  [&](int64_t rows) { return tile(rows, outs, depth, fits); });
  };
  // Outputs that fill no tile are taken one by one.
  int64_t whole = shape.outputs / blocks.tileOutputs;
  int64_t rest = shape.outputs % blocks.tileOutputs;
  double all = double(whole) * tiles(blocks.tileOutputs) +
               (rest ? double(rest) * tiles(1) : 0);
  // Rows of x stay where they are if there are no others in between.
  int64_t reads = depth == shape.depth ? blocks.taskOutputs : blocks.outBlock;
  return double(shape.weights) * all +
         std::ceil(double(shape.outputs) / double(reads)) * bytes / l3Rate;
}

double ProductCost::rowBlock(int64_t rows) const {
  return pieces(shape.depth, blocks.depthChunk,
                [&](int64_t depth) { return chunk(rows, depth); });
}

double ProductCost::slots(int64_t rows) const {
  return pieces(rows, blocks.rowBlock,
                [&](int64_t rows) { return rowBlock(rows); });
}

/// Bytes of weights that come from memory: once, unless the next block of rows
/// finds them gone.
double bytesRead(const Machine &machine, const Product &product, int64_t rows) {
  const Blocks &blocks = product.blocks;
  double share =
      std::min(1.0, double(blocks.taskOutputs) / double(product.shape.outputs));
  bool stay = product.weightBytes * share < double(machine.l3) * usable;
  int64_t passes = (rows + blocks.rowBlock - 1) / blocks.rowBlock;
  return product.weightBytes * (stay ? 1 : double(passes));
}

/// What `value(rows)` is on average, where each of `tokens` gives a row with
/// that probability. No rows count nothing.
template <typename Value>
double expected(int64_t tokens, double probability, Value value) {
  if (probability >= 1)
    return value(tokens);
  double n = double(tokens), mean = n * probability;
  double spread = 8 * std::sqrt(mean * (1 - probability)) + 8;
  auto first = std::max<int64_t>(1, int64_t(mean - spread));
  auto last = std::min<int64_t>(tokens, int64_t(mean + spread));
  double sum = 0;
  for (int64_t rows = first; rows <= last; ++rows) {
    double r = double(rows);
    double logarithm = std::lgamma(n + 1) - std::lgamma(r + 1) -
                       std::lgamma(n - r + 1) + r * std::log(probability) +
                       (n - r) * std::log1p(-probability);
    sum += std::exp(logarithm) * value(rows);
  }
  return sum;
}

/// How much longer the thread with most tasks takes than the average.
double imbalance(const Product &product, double experts, int64_t threads) {
  const Blocks &blocks = product.blocks;
  double tasks = experts * std::ceil(double(product.shape.outputs) /
                                     double(blocks.taskOutputs));
  double rounds = std::max(1.0, tasks) / double(threads);
  return std::ceil(rounds) / rounds;
}

} // namespace

double moe::efficiency(const Machine &machine, const Ceilings &ceilings,
                       const Product &product, int64_t rows) {
  ProductCost cost(machine, ceilings, product);
  return cost.idealSlots(rows) / cost.slots(rows);
}

Cost moe::predict(const Machine &machine, const Ceilings &ceilings,
                  const Part &part, int64_t tokens) {
  double lanes = double(machine.lanes), threads = double(ceilings.threads);
  double slot = 2 * lanes * threads / ceilings.f32;
  double experts = double(part.experts);
  double rows = experts * part.probability * double(tokens);

  Cost cost;
  cost.seconds =
      secondsPerStep + rows * part.rowOperations / lanes * slot / threads;
  if (!part.product)
    return cost;
  const Product &product = *part.product;
  const ProductShape &shape = product.shape;
  double touched =
      experts * (1 - std::pow(1 - part.probability, double(tokens)));
  cost.operations =
      2 * rows * double(shape.outputs * shape.depth * shape.weights);
  cost.weightBytes = touched * product.weightBytes;
  cost.memorySeconds = cost.weightBytes / ceilings.bandwidth;
  cost.computeSeconds =
      cost.operations / (product.bf16 ? ceilings.bf16 : ceilings.f32);

  ProductCost model(machine, ceilings, product);
  double perSlot =
      slot / threads * imbalance(product, touched, ceilings.threads);
  cost.seconds +=
      experts * expected(tokens, part.probability, [&](int64_t rows) {
        return std::max(bytesRead(machine, product, rows) / ceilings.bandwidth,
                        model.slots(rows) * perSlot);
      });
  return cost;
}
