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

namespace {

class Loss {
public:
  Loss(Lowering &l, LossOp op)
      : l(l), e(l.e), op(op), logits(l[op.getLogits()]),
        tokens(l.extent(op.getLogits(), 0)), f64(e.getF64Type()),
        experts(cast<RankedTensorType>(op.getLogits().getType()).getDimSize(1)),
        slots(cast<RankedTensorType>(op.getIndices().getType()).getDimSize(1)) {
  }

  Val value();

private:
  Lowering &l;
  Emitter &e;
  LossOp op;
  Value logits;
  Extent tokens;
  Type f64;
  const int64_t experts, slots;

  Val zero() { return e.constant(f64, 0); }
  Val count() { return e.index(experts); }
  Val numTokens() { return e.cast(l.size(tokens), f64); }
  Value probabilitySums();
  Val loadBalance();
  Val importance();
  Val routerZ();
};

/// Sum over tokens of softmax(logits), per expert.
Value Loss::probabilitySums() {
  Value sums = l.scratch(f64, {Extent::constant(experts)});
  Value row = l.scratch(f64, {Extent::constant(experts)});
  e.loop(count(), [&](Val i) { e.store(zero(), sums, {i}); });
  auto read = [&](Val i) { return e.cast(e.load(row, {i}), f64); };
  e.loop(l.size(tokens), [&](Val t) {
    e.loop(count(), [&](Val i) { e.store(e.load(logits, {t, i}), row, {i}); });
    emitSoftmax(
        Row(e, experts, 1), [&](RowPart i) { return read(i.first); },
        [&](RowPart i, Val value) { e.store(value, row, {i.first}); });
    e.loop(count(), [&](Val i) {
      e.store(e.cast(e.load(sums, {i}), f64) + read(i), sums, {i});
    });
  });
  return sums;
}

/// N * sum over experts of the share of tokens and their mean probability.
Val Loss::loadBalance() {
  Value sums = probabilitySums();
  Value chosen = l.scratch(e.getI64Type(), {Extent::constant(experts)});
  e.loop(count(),
         [&](Val i) { e.store(e.constant(e.getI64Type(), 0), chosen, {i}); });
  e.loop(l.size(tokens), [&](Val t) {
    e.loop(e.index(slots), [&](Val j) {
      Val expert = e.load(l[op.getIndices()], {t, j});
      e.when(expert >= 0, [&] {
        Val at = e.asIndex(expert);
        e.store(e.load(chosen, {at}) + 1, chosen, {at});
      });
    });
  });
  Val total = e.sum(count(), zero(), [&](Val i) {
    return e.cast(e.load(chosen, {i}), f64) * e.cast(e.load(sums, {i}), f64);
  });
  Val scale = total.like(double(experts)) / (numTokens() * numTokens());
  if (op.getKind() == LossKind::load_balance_switch)
    scale = scale / double(slots);
  return total * scale;
}

/// Population variance of the summed probabilities over their squared mean.
Val Loss::importance() {
  Value sums = probabilitySums();
  auto read = [&](Val i) { return e.cast(e.load(sums, {i}), f64); };
  Val mean = e.sum(count(), zero(), read) / double(experts);
  Val variance = e.sum(count(), zero(), [&](Val i) {
    Val off = read(i) - mean;
    return off * off;
  });
  return variance / double(experts) / (mean * mean);
}

Val Loss::routerZ() {
  Val total = e.sum(l.size(tokens), zero(), [&](Val t) {
    auto read = [&](Val i) { return e.cast(e.load(logits, {t, i}), f64); };
    Val first = read(e.index(0));
    Val largest =
        e.carry(e.index(0), count(), first, [&](Val i, ArrayRef<Val> m) {
          return Emitter::Vals{e.max(m[0], read(i))};
        })[0];
    Val sum =
        e.sum(count(), zero(), [&](Val i) { return e.exp(read(i) - largest); });
    Val z = e.log(sum) + largest;
    return z * z;
  });
  return total / numTokens();
}

Val Loss::value() {
  switch (op.getKind()) {
  case LossKind::load_balance_hf:
  case LossKind::load_balance_switch:
    return loadBalance();
  case LossKind::importance:
    return importance();
  case LossKind::router_z:
    return routerZ();
  }
  llvm_unreachable("every loss is one of the above");
}

} // namespace

void moe::lower(Lowering &l, LossOp op) {
  Emitter &e = l.e;
  Value loss = l.result(op.getLoss());
  Val value = Loss(l, op).value();
  // Without tokens there is nothing to average.
  Val some = l.size(op.getLogits(), 0) > 0;
  value = e.select(some, value * op.getCoefficient().convertToDouble(),
                   value.like(0));
  e.store(value, loss, {});
}

void moe::lower(Lowering &l, ImbalanceOp op) {
  Emitter &e = l.e;
  Value counts = l[op.getCounts()];
  Value result = l.result(op.getImbalance());
  Type f64 = e.getF64Type();
  Row row(l, cast<RankedTensorType>(op.getCounts().getType()).getDimSize(0));
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
  e.store(e.select(mean > 0, imbalance, mean.like(0)), result, {});
}

void moe::lower(Lowering &l, RebalanceOp op) {
  Emitter &e = l.e;
  Value bias = l[op.getBias()], loads = l[op.getLoads()];
  Value newBias = l.result(op.getNewBias());
  Value newLoads = l.result(op.getNewLoads());
  Type i64 = e.getI64Type();
  Val count = l.size(op.getLoads(), 0);
  Val total = e.sum(count, e.constant(i64, 0),
                    [&](Val i) { return e.load(loads, {i}); });
  Val rate = e.real_(op.getRate().convertToDouble());
  e.loop(count, [&](Val i) {
    // load < mean, in integers.
    Val scaled = e.load(loads, {i}) * e.cast(count, i64);
    Val step =
        e.select(scaled < total, rate,
                 e.select(scaled > total, rate.like(0) - rate, rate.like(0)));
    e.store(e.load(bias, {i}) + step, newBias, {i});
    e.store(e.constant(i64, 0), newLoads, {i});
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
