//===- LowerMix.cpp - Results of routed and shared experts together -------===//
//
// Part of moe-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// A `mix` runs the experts that it alone reads. The sums of a chunk of tokens
// over the routed experts are all that lies in memory; what the shared one adds
// comes from registers.
//
//===----------------------------------------------------------------------===//

#include "FeedForward.h"
#include "Row.h"

using namespace mlir;
using namespace moe;

/// Each chunk reads the weights of the shared expert.
static constexpr int64_t mixChunkBytes = int64_t(32) << 20;

static Val sigmoid(Val x) {
  Val minus = x.like(0) - x;
  return x.like(1) / (x.e->exp(minus) + 1);
}

namespace {

class Mix {
public:
  Mix(Lowering &l, MixOp op)
      : l(l), e(l.e), op(op), tokens(l.extent(op.getRouted(), 0)),
        y(l.result(op.getY(), {tokens})) {}

  void lower();

private:
  Lowering &l;
  Emitter &e;
  MixOp op;
  Extent tokens;
  Value y;
  Value factors; // [T, 1]: of shared; [T, 2]: of routed and of shared

  using Read =
      llvm::function_ref<Val(Val token, Val out, int64_t valid, Val model)>;
  void findFactors();
  void put(Val token, Val out, int64_t valid, Val routed, Val shared);
  void addInMemory();
  void runRouted(FeedForwardOp routedOp, FeedForwardOp sharedOp);
  void runShared(FeedForwardOp op, Val first, Val end, Read routed);
};

} // namespace

void Mix::findFactors() {
  if (op.getGate() == GateKind::none)
    return;
  Value logits = l[op.getLogits()];
  bool both = op.getGate() == GateKind::softmax2;
  factors = l.scratch(e.real, {tokens, Extent::constant(both ? 2 : 1)});
  e.parallel(l.size(tokens), [&](Val t) {
    Val none = e.index(0), one = e.index(1);
    Val a = e.load(logits, {t, none});
    if (!both)
      return e.store(sigmoid(a), factors, {t, none});
    Val b = e.load(logits, {t, one});
    e.store(sigmoid(a - b), factors, {t, none});
    e.store(sigmoid(b - a), factors, {t, one});
  });
}

/// One value, or a vector of which `valid` count.
void Mix::put(Val token, Val out, int64_t valid, Val routed, Val shared) {
  auto factor = [&](int64_t column) {
    return e.like(routed, e.load(factors, {token, e.index(column)}));
  };
  Val value = routed;
  double scale = op.getSharedScale().convertToDouble();
  if (op.getBias())
    value = value + e.loadLike(value, l[op.getBias()], {out}, valid);
  if (op.getGate() == GateKind::softmax2)
    value = value * factor(0);
  if (shared.value) {
    if (scale != 1)
      shared = shared * scale;
    if (factors)
      shared = shared * factor(op.getGate() == GateKind::softmax2 ? 1 : 0);
    value = value + shared;
  }
  e.storeLike(value, y, {token, out}, valid);
}

void Mix::addInMemory() {
  int64_t width = op.getY().getType().getDimSize(1);
  if (l.gpu)
    return l.eachValue(l.size(tokens), e.index(width), [&](Val t, Val c) {
      auto read = [&](Value tensor) {
        return tensor ? e.load(l[tensor], {t, c}) : Val();
      };
      put(t, c, 1, read(op.getRouted()), read(op.getShared()));
    });
  Row row(l, width);
  e.parallel(l.size(tokens), [&](Val t) {
    row.forEach([&](RowPart c) {
      auto read = [&](Value tensor) {
        return tensor ? row.load(l[tensor], {t, c.first}, c) : Val();
      };
      put(t, c.first, c.valid, read(op.getRouted()), read(op.getShared()));
    });
  });
}

void Mix::runShared(FeedForwardOp op, Val first, Val end, Read routed) {
  Type narrow = op.getY().getType().getElementType();
  FeedForward(l, op).run(
      first, end, [&](Val token, Val out, int64_t valid, Val value) {
        Val rounded = e.cast(e.cast(value, narrow), e.real);
        put(token, out, valid, routed(token, out, valid, value), rounded);
      });
}

void Mix::runRouted(FeedForwardOp routedOp, FeedForwardOp sharedOp) {
  FeedForward routed(l, routedOp);
  routed.eachChunk(y, mixChunkBytes, [&](Val first, Val end) {
    if (!sharedOp)
      return routed.run(
          first, end, [&](Val token, Val out, int64_t valid, Val value) {
            Val shared;
            if (op.getShared())
              shared =
                  e.loadLike(value, l[op.getShared()], {token, out}, valid);
            put(token, out, valid, value, shared);
          });
    routed.run(first, end, nullptr);
    runShared(sharedOp, first, end,
              [&](Val token, Val out, int64_t valid, Val model) {
                return routed.sum(token, out, valid, model);
              });
  });
}

void Mix::lower() {
  findFactors();
  FeedForwardOp routed = runByMix(l, op.getRouted());
  FeedForwardOp shared = runByMix(l, op.getShared());
  if (routed)
    return runRouted(routed, shared);
  if (!shared)
    return addInMemory();
  runShared(shared, e.index(0), l.size(tokens),
            [&](Val token, Val out, int64_t valid, Val model) {
              return e.loadLike(model, l[op.getRouted()], {token, out}, valid);
            });
}

void moe::lower(Lowering &l, MixOp op) { Mix(l, op).lower(); }
