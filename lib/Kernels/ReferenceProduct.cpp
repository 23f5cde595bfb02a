//===- ReferenceProduct.cpp - Products as they are defined ----------------===//
//
// Part of moe-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Product.h"

#include "mlir/IR/BuiltinTypes.h"

using namespace mlir;
using namespace moe;

static ArrayRef<int64_t> weightShape(const Product &product) {
  return cast<MemRefType>(product.weights.front().getType()).getShape();
}
int64_t Product::experts() const {
  return offsets ? weightShape(*this).front() : 1;
}
int64_t Product::outputs() const {
  return weightShape(*this).drop_back().back();
}
int64_t Product::depth() const { return weightShape(*this).back(); }

void moe::emitReferenceProduct(Lowering &l, const Product &product) {
  Emitter &e = l.e;
  auto rowOfOutputs = [&](Val expert, Val r) {
    Val source = product.row(r);
    e.loop(e.index(product.outputs()), [&](Val o) {
      SmallVector<Val, 2> sums;
      for (Value weight : product.weights)
        sums.push_back(e.sum(e.index(product.depth()), e.real_(0), [&](Val c) {
          Val w = product.offsets ? e.load(weight, {expert, o, c})
                                  : e.load(weight, {o, c});
          return e.load(product.x, {source, c}) * w;
        }));
      product.finish(expert, r, o, sums);
    });
  };
  if (!product.offsets)
    return e.loop(product.rows, [&](Val r) { rowOfOutputs(e.index(0), r); });
  e.loop(e.index(product.experts()), [&](Val expert) {
    Val begin = e.asIndex(e.load(product.offsets, {expert}));
    Val end = e.asIndex(e.load(product.offsets, {expert + 1}));
    e.loop(begin, end, [&](Val r) { rowOfOutputs(expert, r); });
  });
}
