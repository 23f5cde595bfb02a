//===- ReferenceProduct.cpp - Products as they are defined ----------------===//
//
// Part of moe-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Product.h"

using namespace mlir;
using namespace moe;

int64_t Product::experts() const {
  return isGrouped() ? weights.front().shape().front() : 1;
}
int64_t Product::outputs() const {
  ArrayRef<int64_t> shape = weights.front().shape();
  return transposed ? shape.back() : shape.drop_back().back();
}
int64_t Product::depth() const {
  ArrayRef<int64_t> shape = weights.front().shape();
  return transposed ? shape.drop_back().back() : shape.back();
}

/// Where a value of a weight is.
SmallVector<Val, 3> Product::at(Val expert, Val out, Val c) const {
  if (transposed)
    std::swap(out, c);
  if (isGrouped())
    return {expert, out, c};
  return {out, c};
}

void moe::emitReferenceProduct(Lowering &l, const Product &product) {
  Emitter &e = l.e;
  auto rowOfOutputs = [&](Val expert, Val r) {
    Val source = product.row(r);
    e.loop(e.index(product.outputs()), [&](Val o) {
      SmallVector<Val, 2> sums;
      for (const Weight &weight : product.weights)
        sums.push_back(e.sum(e.index(product.depth()), e.real_(0), [&](Val c) {
          return e.load(product.x, {source, c}) *
                 weight.load(product.at(expert, o, c));
        }));
      product.finish(expert, r, o, 1, sums);
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

void moe::emitReferenceOuter(Lowering &l, const OuterProduct &product) {
  Emitter &e = l.e;
  e.loop(e.index(product.experts()), [&](Val expert) {
    Val begin = e.asIndex(e.load(product.offsets, {expert}));
    Val end = e.asIndex(e.load(product.offsets, {expert + 1}));
    e.loop(e.index(product.lefts()), [&](Val a) {
      e.loop(e.index(product.rights()), [&](Val b) {
        Val sum = e.sum(end - begin, e.real_(0), [&](Val row) {
          return e.load(product.x, {begin + row, a}) *
                 e.load(product.y, {begin + row, b});
        });
        e.store(sum, product.sums, {expert, a, b});
      });
    });
  });
}
