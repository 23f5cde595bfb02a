//===- LowerFeedForward.cpp - Experts from rows to weighted sums ----------===//
//
// Part of moe-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Rows are numbered as they are sorted by expert, and taken in windows: what
// lies between the products of a window stays in the caches. Sums of tokens are
// f32; where y is not, tokens are taken in chunks, so that memory has a bound.
//
//===----------------------------------------------------------------------===//

#include "VectorProduct.h"

#include "mlir/IR/BuiltinTypes.h"

using namespace mlir;
using namespace moe;

namespace {

/// Bytes of what a window keeps, and of the sums of a chunk.
constexpr int64_t windowBytes = int64_t(8) << 20;
constexpr int64_t chunkBytes = int64_t(16) << 20;
constexpr int64_t mostRows = 4096;

class FeedForward {
public:
  FeedForward(Lowering &l, FeedForwardOp op)
      : l(l), e(l.e), op(op), tokens(l.extent(op.getXs(), 0)),
        experts(op.getOffsets() ? op.getOffsets().getType().getDimSize(0) - 1
                                : 1),
        inner(op.getDown().getType().getShape().back()),
        outputs(op.getY().getType().getDimSize(1)), slots(op.getSlots()),
        weights(op.getWeights() ? l[op.getWeights()] : Value()) {}

  void lower();

private:
  Lowering &l;
  Emitter &e;
  FeedForwardOp op;
  Extent tokens;
  int64_t experts, inner, outputs, slots;
  Value weights, y;

  Value hidden; // [window, inner]
  int64_t window;
  Val windowBegin, windowEnd;
  Value sums; // of tokens from `firstToken` on
  Val firstToken, endToken;
  Value slotOf, starts; // of each row of the chunk, and each expert's first

  bool isGrouped() { return static_cast<bool>(op.getOffsets()); }
  Weight weightOf(Value tensor);
  Product up();
  Product down();
  Val withBias(Val value, Value bias, Val expert, Val out, int64_t valid);
  void addToToken(Val row, Val out, int64_t valid, Val value);
  std::pair<Val, Val> rowsInWindow(Val expert);
  void listRows();
  void runWindow();
  void upTasks(VectorProduct &product);
  void downTasks(VectorProduct &product);
  void eachSum(
      Val outBegin, Val outEnd,
      llvm::function_ref<void(Val token, Val out, int64_t count, int64_t valid)>
          body);
  void reference();
};

} // namespace

/// Decoded as it is read, unless something decodes it anyway.
Weight FeedForward::weightOf(Value tensor) {
  if (!l[tensor])
    return Weight(l, tensor.getDefiningOp<DecodeOp>());
  return Weight(l, l[tensor]);
}

Val FeedForward::withBias(Val value, Value bias, Val expert, Val out,
                          int64_t valid) {
  SmallVector<Val, 2> at = {expert, out};
  return value + e.loadLike(value, l[bias],
                            isGrouped() ? ArrayRef(at) : ArrayRef(out), valid);
}

/// Its functions see the window of the moment they are called in.
Product FeedForward::up() {
  Product product;
  product.x = l[op.getXs()];
  product.row = [this](Val row) {
    return isGrouped() ? e.asIndex(e.load(slotOf, {row})) / slots : row;
  };
  for (Value weight : op.getUps())
    product.weights.push_back(weightOf(weight));
  product.finish = [this](Val expert, Val row, Val out, int64_t valid,
                          ArrayRef<Val> sums) {
    SmallVector<Val, 2> values(sums);
    for (auto [value, bias] : llvm::zip(values, op.getUpBiases()))
      value = withBias(value, bias, expert, out, valid);
    Val value = op.getEpilogue().empty()
                    ? values[0]
                    : e.inlineRegion(op.getEpilogue(), values);
    e.storeLike(value, hidden, {row - windowBegin, out}, valid);
  };
  return product;
}

Product FeedForward::down() {
  Product product;
  product.x = hidden;
  product.row = [this](Val row) { return row - windowBegin; };
  product.weights.push_back(weightOf(op.getDown()));
  product.finish = [this](Val expert, Val row, Val out, int64_t valid,
                          ArrayRef<Val> sums) {
    Val value = sums[0];
    if (op.getDownBias())
      value = withBias(value, op.getDownBias(), expert, out, valid);
    if (isGrouped())
      addToToken(row, out, valid, value);
    else
      e.storeLike(value, y, {row, out}, valid);
  };
  return product;
}

void FeedForward::addToToken(Val row, Val out, int64_t valid, Val value) {
  Val slot = e.asIndex(e.load(slotOf, {row}));
  Val token = slot / slots;
  SmallVector<Val, 2> at = {token - firstToken, out};
  if (weights) {
    Val weight = e.like(value, e.load(weights, {token, slot % slots}));
    Val sum = e.loadLike(value, sums, at, valid);
    value = e.fma(weight, value, sum);
  } else {
    value = value + e.loadLike(value, sums, at, valid);
  }
  e.storeLike(value, sums, at, valid);
}

/// The rows of tokens of the chunk, still sorted by expert.
void FeedForward::listRows() {
  Value offsets = l[op.getOffsets()], rows = l[op.getRows()];
  Val firstSlot = firstToken * slots, endSlot = endToken * slots;
  Val none = e.index(0);
  e.store(e.asI32(none), starts, {none});
  e.carry(none, e.index(experts), none, [&](Val expert, ArrayRef<Val> count) {
    Val begin = e.asIndex(e.load(offsets, {expert}));
    Val end = e.asIndex(e.load(offsets, {expert + 1}));
    Val next = e.carry(begin, end, count, [&](Val r, ArrayRef<Val> count) {
      Val slot = e.load(rows, {r});
      e.store(slot, slotOf, {count[0]});
      Val index = e.asIndex(slot);
      Val isInside = (index >= firstSlot) & (index < endSlot);
      return Emitter::Vals{count[0] + e.extend(isInside, e.getIndexType())};
    })[0];
    e.store(e.asI32(next), starts, {expert + 1});
    return Emitter::Vals{next};
  });
}

std::pair<Val, Val> FeedForward::rowsInWindow(Val expert) {
  Val begin = e.asIndex(e.load(starts, {expert}));
  Val end = e.asIndex(e.load(starts, {expert + 1}));
  return {e.max(begin, windowBegin), e.min(end, windowEnd)};
}

/// Tasks of (rows, outputs), outputs fastest: a thread that does several in a
/// row finds the rows in its cache.
static void parallelTasks(Emitter &e, VectorProduct &product, Val rowTasks,
                          int64_t outputs,
                          llvm::function_ref<void(Val, Val, Val)> body) {
  int64_t size = product.outputsOfTask();
  int64_t outTasks = llvm::divideCeilSigned(outputs, size);
  e.parallel(rowTasks * outTasks, [&](Val task) {
    product.allocate();
    Val begin = task % outTasks * size;
    body(task / outTasks, begin, e.min(begin + size, e.index(outputs)));
  });
}

void FeedForward::upTasks(VectorProduct &product) {
  if (isGrouped())
    return parallelTasks(e, product, e.index(experts), inner,
                         [&](Val expert, Val outBegin, Val outEnd) {
                           auto [begin, end] = rowsInWindow(expert);
                           product.run(expert, begin, end, outBegin, outEnd);
                         });
  runDense(e, product, windowBegin, windowEnd, inner);
}

/// Vectors of the tokens' sums in some columns.
void FeedForward::eachSum(
    Val outBegin, Val outEnd,
    llvm::function_ref<void(Val, Val, int64_t, int64_t)> body) {
  int64_t rest = outputs % l.lanes;
  e.loop(firstToken, endToken, [&](Val token) {
    Val whole = outBegin + (outEnd - outBegin) / l.lanes * l.lanes;
    e.loop(
        outBegin, whole, [&](Val out) { body(token, out, l.lanes, l.lanes); },
        l.lanes);
    if (rest)
      e.when(whole < outEnd, [&] { body(token, whole, l.lanes, rest); });
  });
}

/// A task owns columns of the sums, and adds to them expert by expert.
void FeedForward::downTasks(VectorProduct &product) {
  if (!isGrouped())
    return runDense(e, product, windowBegin, windowEnd, outputs);
  int64_t size = product.outputsOfTask();
  Val blocks = e.index(llvm::divideCeilSigned(outputs, size));
  // Few large tasks read what lies between the products less often.
  Val tasks = e.min(blocks, l.threads() * 4);
  Val width = (blocks + (tasks - 1)) / tasks * size;
  Val isFirst = windowBegin == 0;
  Val isLast = windowEnd == e.asIndex(e.load(starts, {e.index(experts)}));
  e.parallel(tasks, [&](Val task) {
    product.allocate();
    Val outBegin = e.min(task * width, e.index(outputs));
    Val outEnd = e.min(outBegin + width, e.index(outputs));
    e.when(isFirst, [&] {
      eachSum(outBegin, outEnd,
              [&](Val token, Val out, int64_t count, int64_t valid) {
                Val zero = e.constant(VectorType::get(count, e.real), 0);
                e.storeVector(zero, sums, {token - firstToken, out}, valid);
              });
    });
    e.loop(e.index(experts), [&](Val expert) {
      auto [begin, end] = rowsInWindow(expert);
      product.run(expert, begin, end, outBegin, outEnd);
    });
    if (sums == y)
      return;
    e.when(isLast, [&] {
      eachSum(outBegin, outEnd,
              [&](Val token, Val out, int64_t count, int64_t valid) {
                Val sum =
                    e.loadVector(sums, {token - firstToken, out}, count, valid);
                e.storeVector(sum, y, {token, out}, valid);
              });
    });
  });
}

void FeedForward::runWindow() {
  Product upProduct = up(), downProduct = down();
  VectorProduct upNest(l, upProduct), downNest(l, downProduct);
  upTasks(upNest);
  downTasks(downNest);
}

/// One row after another, as it is defined.
void FeedForward::reference() {
  Val zero = e.index(0);
  windowBegin = firstToken = zero;
  sums = y;
  if (isGrouped())
    l.forEach(l.shape(op.getY()),
              [&](ArrayRef<Val> at) { e.store(e.real_(0), y, at); });
  Value offsets = isGrouped() ? l[op.getOffsets()] : Value();
  for (Product product : {up(), down()}) {
    product.offsets = offsets;
    product.rows = l.size(tokens);
    emitReferenceProduct(l, product);
  }
}

void FeedForward::lower() {
  Extent rows = tokens.times(slots);
  // Sums of the reference are as precise as its arithmetic.
  y = l.result(op.getY(), {tokens});
  bool isWide = cast<MemRefType>(y.getType()).getElementType() == e.real;
  if (l.reference) {
    hidden = l.scratch(e.real, {rows, Extent::constant(inner)});
    slotOf = isGrouped() ? l[op.getRows()] : Value();
    return reference();
  }
  int64_t rowBytes = inner * (op.getHidden().isF32() ? 4 : 2);
  window = std::clamp<int64_t>(windowBytes / rowBytes, 1, mostRows);
  hidden = l.scratch(op.getHidden(),
                     {Extent::constant(window), Extent::constant(inner)});
  auto windows = [&](Val count) {
    // Once even if there are no rows: sums of nothing are zero.
    e.loop(
        e.index(0), e.max(count, e.index(1)),
        [&](Val begin) {
          windowBegin = begin;
          windowEnd = e.min(begin + window, count);
          runWindow();
        },
        window);
  };
  if (!isGrouped())
    return windows(l.size(tokens));

  int64_t chunk = std::clamp<int64_t>(chunkBytes / (4 * outputs), 1, mostRows);
  slotOf = l.scratch(e.getI32Type(), {rows});
  starts = l.scratch(e.getI32Type(), {Extent::constant(experts + 1)});
  sums = isWide ? y
                : l.scratch(e.real, {Extent::constant(chunk),
                                     Extent::constant(outputs)});
  auto chunkFrom = [&](Val first, Val end) {
    firstToken = isWide ? e.index(0) : first;
    endToken = end;
    listRows();
    windows(e.asIndex(e.load(starts, {e.index(experts)})));
  };
  Val count = l.size(tokens);
  if (isWide)
    return chunkFrom(e.index(0), count);
  e.loop(
      e.index(0), count,
      [&](Val first) { chunkFrom(first, e.min(first + chunk, count)); }, chunk);
}

void moe::lower(Lowering &l, FeedForwardOp op) { FeedForward(l, op).lower(); }
