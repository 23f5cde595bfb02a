//===- LowerBalance.cpp - Losses, statistics and balance ------------------===//
//
// Part of moe-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Sections 6 and 3.6 of docs/Spec.md. Sums over tokens are in f64: they are
// long, and cheap beside the experts.
//
//===----------------------------------------------------------------------===//

#include "Row.h"

#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/LLVMIR/NVVMDialect.h"
#include "mlir/IR/BuiltinOps.h"

using namespace mlir;
using namespace moe;

/// Tokens that are added up one after another; ranges of them at the same time.
static constexpr int64_t rangeTokens = 32;

namespace {

class Loss {
public:
  Loss(Lowering &l, LossOp op)
      : l(l), e(l.e), op(op), logits(l[op.getLogits()]),
        tokens(l.extent(op.getLogits(), 0)),
        ranges(tokens.dividedBy(rangeTokens)), f64(e.getF64Type()),
        experts(cast<RankedTensorType>(op.getLogits().getType()).getDimSize(1)),
        slots(cast<RankedTensorType>(op.getIndices().getType()).getDimSize(1)),
        row(e, experts, 1) {}

  void lower();

private:
  Lowering &l;
  Emitter &e;
  LossOp op;
  Value logits;
  const Extent tokens, ranges;
  Type f64;
  const int64_t experts, slots;
  const Row row;
  Value sums;     // over tokens, of each expert's probability
  Value ofRanges; // what each range adds

  Val zero() { return e.constant(f64, 0); }
  Val numTokens() { return e.cast(l.size(tokens), f64); }
  Val read(Value from, ArrayRef<Val> at) {
    return e.cast(e.load(from, at), f64);
  }
  void addProbabilities();
  void addTokens(llvm::function_ref<Val(Val token)> value);
  Val sumOfSlots(Val t);
  Val squaredZ(Val t);
  Val importance();
  Val value();
};

} // namespace

/// Sum over tokens of softmax(logits), per expert.
void Loss::addProbabilities() {
  Extent width = Extent::constant(experts);
  Value own = l.scratch(f64, {ranges, width});
  Value partial = l.scratch(f64, {ranges, width});
  l.eachRow(l.size(ranges), experts, [&](Val range) {
    Val begin = range * double(rangeTokens);
    Val end = e.min(begin + double(rangeTokens), l.size(tokens));
    row.forEach([&](RowPart i) { e.store(zero(), partial, {range, i.first}); });
    e.loop(begin, end, [&](Val t) {
      row.forEach([&](RowPart i) {
        e.store(e.load(logits, {t, i.first}), own, {range, i.first});
      });
      emitSoftmax(
          row, [&](RowPart i) { return read(own, {range, i.first}); },
          [&](RowPart i, Val value) { e.store(value, own, {range, i.first}); });
      row.forEach([&](RowPart i) {
        e.store(read(partial, {range, i.first}) + read(own, {range, i.first}),
                partial, {range, i.first});
      });
    });
  });
  sums = l.scratch(f64, {width});
  l.eachLongRow(e.index(experts), [&](Val i) {
    Val sum = e.sumByTurns(l.size(ranges), zero(), [&](Val range) {
      return read(partial, {range, i});
    });
    e.once([&] { e.store(sum, sums, {i}); });
  });
}

/// What each range of tokens adds up to.
void Loss::addTokens(llvm::function_ref<Val(Val)> value) {
  ofRanges = l.scratch(f64, {ranges});
  l.eachRow(l.size(ranges), experts, [&](Val range) {
    Val begin = range * double(rangeTokens);
    Val end = e.min(begin + double(rangeTokens), l.size(tokens));
    Val sum = e.carry(begin, end, zero(), [&](Val t, ArrayRef<Val> sum) {
      return Emitter::Vals{sum[0] + value(t)};
    })[0];
    e.once([&] { e.store(sum, ofRanges, {range}); });
  });
}

/// Over a token's slots, of the sum of their expert: all together are the sum
/// over experts of how often each is chosen times its sum.
Val Loss::sumOfSlots(Val t) {
  return e.sumByTurns(e.index(slots), zero(), [&](Val j) {
    Val expert = e.load(l[op.getIndices()], {t, j});
    return e.choose(
        expert >= 0, [&] { return read(sums, {e.asIndex(expert)}); },
        [&] { return zero(); });
  });
}

Val Loss::squaredZ(Val t) {
  auto logit = [&](RowPart i) { return read(logits, {t, i.first}); };
  Val lowest = e.constant(f64, -infinity);
  Val largest =
      row.fold(lowest, logit, [&](Val a, Val b) { return e.max(a, b); });
  Val sum = row.sum(f64, [&](RowPart i) { return e.exp(logit(i) - largest); });
  Val z = e.log(sum) + largest;
  return z * z;
}

/// Population variance of the summed probabilities over their squared mean.
Val Loss::importance() {
  auto sum = [&](RowPart i) { return read(sums, {i.first}); };
  Val mean = row.sum(f64, sum) / double(experts);
  Val variance = row.sum(f64, [&](RowPart i) {
    Val off = sum(i) - mean;
    return off * off;
  });
  return variance / double(experts) / (mean * mean);
}

Val Loss::value() {
  if (op.getKind() == LossKind::importance)
    return importance();
  Val total = e.sumByTurns(l.size(ranges), zero(),
                           [&](Val range) { return read(ofRanges, {range}); });
  if (op.getKind() == LossKind::router_z)
    return total / numTokens();
  // N * sum over experts of the share of tokens and their mean probability.
  Val scale = total.like(double(experts)) / (numTokens() * numTokens());
  if (op.getKind() == LossKind::load_balance_switch)
    scale = scale / double(slots);
  return total * scale;
}

void Loss::lower() {
  Value loss = l.result(op.getLoss());
  if (op.getKind() == LossKind::router_z) {
    addTokens([&](Val t) { return squaredZ(t); });
  } else {
    addProbabilities();
    if (op.getKind() != LossKind::importance)
      addTokens([&](Val t) { return sumOfSlots(t); });
  }
  l.together([&] {
    // Without tokens there is nothing to average.
    Val some = l.size(tokens) > 0;
    Val scaled = value() * op.getCoefficient().convertToDouble();
    e.once([&] { e.store(e.select(some, scaled, zero()), loss, {}); });
  });
}

void moe::lower(Lowering &l, LossOp op) { Loss(l, op).lower(); }

void moe::lower(Lowering &l, ImbalanceOp op) {
  Emitter &e = l.e;
  Value counts = l[op.getCounts()];
  Value result = l.result(op.getImbalance());
  Type f64 = e.getF64Type();
  Row row(l, cast<RankedTensorType>(op.getCounts().getType()).getDimSize(0));
  l.together([&] {
    Val total = e.constant(f64, row.count);
    auto read = [&](RowPart i) {
      return e.cast(row.load(counts, {i.first}, i), f64);
    };
    Val mean = row.sum(f64, read) / total;
    Val variance = row.sum(f64, [&](RowPart i) {
      Val off = read(i) - row.fill(mean);
      return off * off;
    });
    Val imbalance = e.sqrt(variance / total) / mean;
    imbalance = e.select(mean > 0, imbalance, mean.like(0));
    e.once([&] { e.store(imbalance, result, {}); });
  });
}

void moe::lower(Lowering &l, RebalanceOp op) {
  Emitter &e = l.e;
  Value bias = l[op.getBias()], loads = l[op.getLoads()];
  Value newBias = l.result(op.getNewBias());
  Value newLoads = l.result(op.getNewLoads());
  Type i64 = e.getI64Type();
  Val count = l.size(op.getLoads(), 0);
  Val rate = e.real_(op.getRate().convertToDouble());
  l.together([&] {
    Val total = e.sumByTurns(count, e.constant(i64, 0),
                             [&](Val i) { return e.load(loads, {i}); });
    e.byTurns(count, [&](Val i) {
      // load < mean, in integers.
      Val scaled = e.load(loads, {i}) * e.cast(count, i64);
      Val step =
          e.select(scaled < total, rate,
                   e.select(scaled > total, rate.like(0) - rate, rate.like(0)));
      e.store(e.load(bias, {i}) + step, newBias, {i});
      e.store(e.constant(i64, 0), newLoads, {i});
    });
  });
}

void moe::lower(Lowering &l, ClockOp op) {
  Emitter &e = l.e;
  Value times = l.result(op.getTimes());
  // What is in a stream is not over when the host has put it there.
  Val now = l.gpu ? e.val(NVVM::GlobalTimerOp::create(e, e.getI64Type()))
                  : l.callRuntime("moe_clock", e.getI64Type());
  int64_t last = op.getTimes().getType().getDimSize(0) - 1;
  if (op.getEarlier())
    e.loop(e.index(last), [&](Val i) {
      e.store(e.load(l[op.getEarlier()], {i}), times, {i});
    });
  e.store(now, times, {e.index(last)});
}
