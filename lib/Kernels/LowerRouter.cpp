//===- LowerRouter.cpp - Logits -------------------------------------------===//
//
// Part of moe-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Product.h"
#include "Row.h"

using namespace mlir;
using namespace moe;

Val moe::emitSquares(const Row &row, Value matrix, Val index) {
  Emitter &e = row.e;
  return row.sum(e.getF64Type(), [&](RowPart c) {
    Val value = e.cast(row.load(matrix, {index, c.first}, c), e.getF64Type());
    return value * value;
  });
}

/// max(|row|, 1e-12) of each row.
static Value rowNorms(Lowering &l, Value matrix, const Extent &rows,
                      int64_t columns) {
  Emitter &e = l.e;
  Value norms = l.scratch(e.real, {rows});
  Row row(l, columns);
  l.eachRow(l.size(rows), columns, [&](Val r) {
    Val norm = e.sqrt(emitSquares(row, matrix, r));
    e.once([&] { e.store(e.max(norm, norm.like(1e-12)), norms, {r}); });
  });
  return norms;
}

void moe::lower(Lowering &l, RouterOp op) {
  Emitter &e = l.e;
  Value x = l[op.getX()], weight = l[op.getWeight()];
  Extent tokens = l.extent(op.getX(), 0);
  auto weightType = cast<RankedTensorType>(op.getWeight().getType());
  Value logits = l.result(op.getLogits(), {tokens});
  Value tokenNorms, weightNorms;
  if (op.getCosine()) {
    int64_t columns = weightType.getDimSize(1);
    tokenNorms = rowNorms(l, x, tokens, columns);
    weightNorms = rowNorms(l, weight,
                           Extent::constant(weightType.getDimSize(0)), columns);
  }
  double softcap = op.getSoftcap().convertToDouble();
  double temperature = op.getTemperature().convertToDouble();

  auto row = [](Val r) { return r; };
  auto finish = [&](Val, Val t, Val n, int64_t valid, ArrayRef<Val> sums) {
    Val logit = sums[0];
    if (op.getCosine())
      logit = logit /
              (e.like(logit, e.load(tokenNorms, {t})) *
               e.loadLike(logit, weightNorms, {n}, valid)) /
              temperature;
    if (op.getBias())
      logit = logit + e.loadLike(logit, l[op.getBias()], {n}, valid);
    if (softcap != 0)
      logit = e.tanh(logit / softcap) * softcap;
    if (std::optional<Type> round = op.getRound())
      logit = e.cast(e.cast(logit, *round), e.real);
    e.storeLike(logit, logits, {t, n}, valid);
  };
  emitProduct(l,
              {x, row, {Weight(l, weight)}, Value(), l.size(tokens), finish});
}

void moe::lower(Lowering &l, AddScaledOp op) {
  Emitter &e = l.e;
  Value x = l[op.getX()], y = l[op.getY()], scale = l[op.getScale()];
  Extent tokens = l.extent(op.getX(), 0);
  Value z = l.result(op.getZ(), {tokens});
  l.eachValue(l.size(tokens), l.size(op.getScale(), 0), [&](Val t, Val h) {
    Val term = e.load(y, {t, h}) * e.load(scale, {h});
    e.store(e.load(x, {t, h}) + term, z, {t, h});
  });
}

void moe::lower(Lowering &l, CheckFiniteOp op) {
  Emitter &e = l.e;
  Value values = l[op.getValues()];
  Value status = l.result(op.getStatus());
  Extent rows = l.extent(op.getValues(), 0);
  auto type = cast<RankedTensorType>(op.getValues().getType());
  Val found = emitFirstNotFinite(l, values, rows, type.getDimSize(1));
  if (op.getIndices()) {
    Value indices = l[op.getIndices()];
    Val without = emitFirstBad(l, rows, 64, [&](Val row) {
      return e.load(indices, {row, e.index(0)}) < 0;
    });
    found = e.select(found != 0, found, found.like(0) - without);
  }
  e.store(found, status, {});
}
