//===- LowerNorm.cpp - Rows over their root mean square -------------------===//
//
// Part of moe-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Row.h"

using namespace mlir;
using namespace moe;

void moe::lower(Lowering &l, RMSNormOp op) {
  Emitter &e = l.e;
  Value x = l[op.getX()], scale = l[op.getScale()];
  Extent tokens = l.extent(op.getX(), 0);
  Value y = l.result(op.getY(), {tokens});
  int64_t width = cast<RankedTensorType>(op.getX().getType()).getDimSize(1);
  double eps = op.getEps().convertToDouble();
  Row row(l, width);
  l.eachRow(l.size(tokens), width, [&](Val t) {
    // In f64 throughout: an eps too small for f32 keeps a row of zeros zero.
    Val mean = emitSquares(row, x, t) / double(width);
    Val factor = row.fill(mean.like(op.getFactor().convertToDouble()) /
                          e.sqrt(mean + eps));
    row.forEach([&](RowPart c) {
      Val value = e.cast(row.load(x, {t, c.first}, c), e.getF64Type()) * factor;
      row.store(e.cast(value, e.real) * row.load(scale, {c.first}, c), y,
                {t, c.first}, c);
    });
  });
}
