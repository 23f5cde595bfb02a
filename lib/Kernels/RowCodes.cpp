//===- RowCodes.cpp - Rows in formats of blocks along them ----------------===//
//
// Part of moe-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "RowCodes.h"

#include "TileProduct.h"

using namespace mlir;
using namespace moe;

BlockOfRow::BlockOfRow(const Row &row, QuantKind kind,
                       llvm::function_ref<Val(RowPart)> read)
    : row(row), kind(kind), read(read) {
  Emitter &e = row.e;
  // NaN if one is.
  Val largest = row.fold(
      e.constant(e.getF32Type(), 0),
      [&](RowPart part) { return e.abs(read(part)); },
      [&](Val a, Val b) { return e.max(a, b); });
  scale = largest / largestValue(kind);
  isUseful = (scale > 0) & e.isFinite(scale);
}

/// Infinity times 0 is not a number either.
Val BlockOfRow::codes(RowPart part) const {
  Val value = read(part);
  Val scaled = row.e.select(isUseful, value / row.fill(scale), value.like(0));
  return toCode(scaled, kind);
}

/// Blocks of rows in parallel; on a gpu a warp shares one.
static void
eachBlock(Lowering &l, Val rows, int64_t width, int64_t block,
          llvm::function_ref<void(const Row &, Val row, Val number)> body) {
  Emitter &e = l.e;
  int64_t whole = width / block, rest = width % block;
  Val last = e.index(whole);
  if (l.gpu) {
    if (whole)
      l.eachRow(rows * double(whole), block, [&](Val i) {
        body(Row(l, block), i / double(whole), i % double(whole));
      });
    if (rest)
      l.eachRow(rows, rest, [&](Val r) { body(Row(l, rest), r, last); });
    return;
  }
  e.parallel(rows, [&](Val r) {
    if (whole)
      e.loop(last, [&](Val number) { body(Row(l, block), r, number); });
    if (rest)
      body(Row(l, rest), r, last);
  });
}

void moe::roundRows(Lowering &l, Product &product, QuantAttr format,
                    const Extent &rows, bool areAllThere) {
  Emitter &e = l.e;
  Value x = product.x;
  int64_t width = product.depth();
  int64_t block = std::min(format.getBlock(), width);
  Extent columns = Extent::constant(width);
  bool asCodes = l.gpu && takesCodes(product, block);
  Value to =
      l.scratch(asCodes ? Type(e.getI8Type()) : Type(e.real), {rows, columns});
  Value scales;
  if (asCodes)
    scales = l.scratch(
        e.getF32Type(),
        {rows, Extent::constant(llvm::divideCeilSigned(width, block))});

  auto round = [&](const Row &row, Val source, Val r, Val number) {
    Val first = number * double(block);
    auto read = [&](RowPart part) {
      return e.cast(row.load(x, {source, first + part.first}, part),
                    e.getF32Type());
    };
    BlockOfRow values(row, format.getKind(), read);
    if (asCodes)
      e.once([&] { e.store(values.scale, scales, {r, number}); });
    Val scale = e.cast(values.scale, e.real);
    row.forEach([&](RowPart part) {
      Val code = values.codes(part);
      Val stored = asCodes ? e.cast(code, e.getI8Type())
                           : e.cast(fromCode(code, format.getKind()), e.real) *
                                 row.fill(scale);
      row.store(stored, to, {r, first + part.first}, part);
    });
  };
  eachBlock(
      l, l.size(rows), width, block, [&](const Row &row, Val r, Val number) {
        if (areAllThere)
          return round(row, r, r, number);
        Val end =
            e.asIndex(e.load(product.offsets, {e.index(product.experts())}));
        e.when(r < end, [&] { round(row, product.row(r), r, number); });
      });
  product.x = to;
  product.rowScales = scales;
  if (!areAllThere)
    product.row = [](Val r) { return r; };
}
