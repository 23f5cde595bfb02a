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

#include "FeedForward.h"

#include "mlir/IR/BuiltinTypes.h"

using namespace mlir;
using namespace moe;

/// Bytes of what a window keeps, and of the sums of a chunk.
static constexpr int64_t windowBytes = int64_t(8) << 20;
static constexpr int64_t chunkBytes = int64_t(16) << 20;
static constexpr int64_t mostRows = 4096;

FeedForward::FeedForward(Lowering &l, FeedForwardOp op)
    : l(l), e(l.e), op(op), tokens(l.extent(op.getXs(), 0)),
      experts(op.getOffsets() ? op.getOffsets().getType().getDimSize(0) - 1
                              : 1),
      inner(op.getDown().getType().getShape().back()),
      outputs(op.getY().getType().getDimSize(1)), slots(op.getSlots()),
      weights(op.getWeights() ? l[op.getWeights()] : Value()) {}

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
      put(row, out, valid, value);
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

void FeedForward::upTasks(VectorProduct &product) {
  if (isGrouped())
    product.runExperts([&](Val expert) { return rowsInWindow(expert); });
  else
    product.runDense(windowBegin, windowEnd);
}

Val FeedForward::sum(Val token, Val out, int64_t valid, Val model) {
  return e.loadLike(model, sums, {token - firstToken, out}, valid);
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
    return product.runDense(windowBegin, windowEnd);
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
      product.run(expert, begin, end, outBegin, outEnd, {expert + 1, outBegin});
    });
    if (!put)
      return;
    e.when(isLast, [&] {
      eachSum(outBegin, outEnd,
              [&](Val token, Val out, int64_t count, int64_t valid) {
                SmallVector<Val, 2> at = {token - firstToken, out};
                put(token, out, valid, e.loadVector(sums, at, count, valid));
              });
    });
  });
}

void FeedForward::runWindow() {
  Product upProduct = up(), downProduct = down();
  auto upNest = VectorProduct::make(l, upProduct),
       downNest = VectorProduct::make(l, downProduct);
  upTasks(*upNest);
  downTasks(*downNest);
}

void FeedForward::run(Val first, Val end, Put put) {
  Lowering::TemporaryRoom room(l);
  this->put = put;
  firstToken = first;
  endToken = end;
  int64_t rowBytes = inner * (op.getHidden().isF32() ? 4 : 2);
  int64_t window = std::clamp<int64_t>(windowBytes / rowBytes, 1, mostRows);
  hidden = l.scratch(op.getHidden(),
                     {Extent::constant(window), Extent::constant(inner)});
  if (isGrouped()) {
    slotOf = l.scratch(e.getI32Type(), {tokens.times(slots)});
    starts = l.scratch(e.getI32Type(), {Extent::constant(experts + 1)});
    listRows();
    first = e.index(0);
    end = e.asIndex(e.load(starts, {e.index(experts)}));
  }
  // Once even if there are no rows: sums of nothing are zero.
  e.loop(
      first, e.max(end, first + 1),
      [&](Val begin) {
        windowBegin = begin;
        windowEnd = e.min(begin + window, end);
        runWindow();
      },
      window);
}

void FeedForward::eachChunk(Value y, int64_t bytes,
                            llvm::function_ref<void(Val, Val)> body) {
  Val none = e.index(0), count = l.size(tokens);
  bool isWide = cast<MemRefType>(y.getType()).getElementType() == e.real;
  if (isGrouped() && isWide)
    sums = y;
  if (!isGrouped() || isWide)
    return body(none, count);
  int64_t chunk = std::clamp<int64_t>(bytes / (4 * outputs), 1, mostRows);
  sums =
      l.scratch(e.real, {Extent::constant(chunk), Extent::constant(outputs)});
  e.loop(
      none, count, [&](Val first) { body(first, e.min(first + chunk, count)); },
      chunk);
}

void FeedForward::reference(Value y) {
  auto store = [&](Val token, Val out, int64_t valid, Val value) {
    e.storeLike(value, y, {token, out}, valid);
  };
  put = store;
  sums = y;
  windowBegin = firstToken = e.index(0);
  hidden = l.scratch(e.real, {tokens.times(slots), Extent::constant(inner)});
  Value offsets;
  if (isGrouped()) {
    offsets = l[op.getOffsets()];
    slotOf = l[op.getRows()];
    l.forEach(l.shape(op.getY()),
              [&](ArrayRef<Val> at) { e.store(e.real_(0), y, at); });
  }
  for (Product product : {up(), down()}) {
    product.offsets = offsets;
    product.rows = l.size(tokens);
    emitReferenceProduct(l, product);
  }
}

/// Whether it is where it is for rows to travel meanwhile.
static bool isBeforeWait(FeedForwardOp op, Operation *user) {
  for (Operation *at = op; at && at != user; at = at->getNextNode())
    if (isa<coll::WaitOp>(at))
      return true;
  return false;
}

static bool isRunByMix(const Lowering &l, FeedForwardOp op) {
  if (l.reference || l.gpu || !op->hasOneUse())
    return false;
  auto mix = dyn_cast<MixOp>(*op->user_begin());
  if (mix && isBeforeWait(op, mix))
    return false;
  // Sums of routed experts are complete before the shared one adds to them.
  return mix &&
         op.getY() == (op.getOffsets() ? mix.getRouted() : mix.getShared());
}

FeedForwardOp moe::runByMix(const Lowering &l, Value value) {
  auto op = value ? value.getDefiningOp<FeedForwardOp>() : FeedForwardOp();
  return op && isRunByMix(l, op) ? op : FeedForwardOp();
}

void moe::lower(Lowering &l, FeedForwardOp op) {
  Extent tokens = l.extent(op.getXs(), 0);
  if (isRunByMix(l, op))
    return l.bind(
        op.getY(), Value(),
        {tokens, Extent::constant(op.getY().getType().getDimSize(1))});
  if (l.gpu)
    return l.fail("expected products by themselves for a gpu, found both of "
                  "the experts' in one");
  Value y = l.result(op.getY(), {tokens});
  FeedForward both(l, op);
  // Sums of the reference are as precise as its arithmetic.
  if (l.reference)
    return both.reference(y);
  auto store = [&](Val token, Val out, int64_t valid, Val value) {
    l.e.storeLike(value, y, {token, out}, valid);
  };
  both.eachChunk(y, chunkBytes, [&](Val first, Val end) {
    both.run(first, end, both.hasSumsIn(y) ? FeedForward::Put() : store);
  });
}
