//===- LowerPack.cpp - Rows on their way in fewer bytes -------------------===//
//
// Part of moe-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// A row is read once where its blocks are in the nearest cache when their codes
// are made.
//
//===----------------------------------------------------------------------===//

#include "RowCodes.h"

using namespace mlir;
using namespace moe;

namespace {

/// Both directions, between rows of `width` values and of bytes.
class Packing {
public:
  Packing(Lowering &l, int64_t width, QuantAttr format)
      : l(l), e(l.e), width(width), format(format) {}

  void forRows(Value rows, Value counts, Emitter::Body body);
  void pack(Value from, Value to, Val r);
  void unpack(Value from, Value to, Val r);

private:
  Lowering &l;
  Emitter &e;
  const int64_t width;
  QuantAttr format;

  using Block = llvm::function_ref<void(const Row &, Val number, Val first)>;
  void forBlocks(Block body);
  void copy(Value from, Value to, Val r);
  Val read(const Row &row, Value from, Val r, Val first, RowPart part) {
    return e.cast(row.load(from, {r, first + part.first}, part),
                  e.getF32Type());
  }
  /// Where the scale of a block begins.
  Val scaleAt(Val number) { return number * 4 + double(width); }
};

} // namespace

/// Of those that count, in parallel.
void Packing::forRows(Value rows, Value counts, Emitter::Body body) {
  Val all = l.size(rows, 0);
  if (!counts)
    return e.parallel(all, body);
  int64_t many = cast<RankedTensorType>(counts.getType()).getDimSize(0);
  Val some = e.sum(e.index(many), e.index(0),
                   [&](Val i) { return e.asIndex(e.load(l[counts], {i})); });
  if (!l.gpu)
    return e.parallel(e.min(some, all), body);
  // The host does not know how many.
  e.parallel(all, [&](Val r) { e.when(r < some, [&] { body(r); }); });
}

void Packing::forBlocks(Block body) {
  int64_t block = format.getBlock(), whole = width / block;
  if (whole)
    e.loop(e.index(whole), [&](Val number) {
      body(Row(l, block), number, number * double(block));
    });
  if (int64_t rest = width % block)
    body(Row(l, rest), e.index(whole), e.index(whole * block));
}

void Packing::copy(Value from, Value to, Val r) {
  Row row(l, width);
  row.forEach([&](RowPart c) {
    row.store(row.load(from, {r, c.first}, c), to, {r, c.first}, c);
  });
}

void Packing::pack(Value from, Value to, Val r) {
  if (!format)
    return copy(from, to, r);
  forBlocks([&](const Row &row, Val number, Val first) {
    auto value = [&](RowPart c) { return read(row, from, r, first, c); };
    BlockOfRow block(row, format.getKind(), value);
    Val bytes =
        e.regroup(e.gather({block.scale}), VectorType::get(4, e.getI8Type()));
    e.storeVector(bytes, to, {r, scaleAt(number)}, 4);
    row.forEach([&](RowPart c) {
      Val code = e.cast(block.codes(c), e.getI8Type());
      row.store(code, to, {r, first + c.first}, c);
    });
  });
}

void Packing::unpack(Value from, Value to, Val r) {
  if (!format)
    return copy(from, to, r);
  forBlocks([&](const Row &row, Val number, Val first) {
    Val bytes = e.loadRaw(from, {r, scaleAt(number)}, 4, 4);
    Val scale =
        e.extract(e.regroup(bytes, VectorType::get(1, e.getF32Type())), 0);
    row.forEach([&](RowPart c) {
      Val code = row.load(from, {r, first + c.first}, c);
      Val value = fromCode(e.cast(code, e.getI32Type()), format.getKind());
      row.store(value * row.fill(scale), to, {r, first + c.first}, c);
    });
  });
}

void moe::lower(Lowering &l, PackRowsOp op) {
  Value from = l[op.getRows()];
  Value to = l.result(op.getPacked(), {l.extent(op.getRows(), 0)});
  Packing packing(l, op.getRows().getType().getDimSize(1), op.getFormatAttr());
  packing.forRows(op.getRows(), op.getCounts(),
                  [&](Val r) { packing.pack(from, to, r); });
}

void moe::lower(Lowering &l, UnpackRowsOp op) {
  Value from = l[op.getPacked()];
  Value to = l.result(op.getRows(), {l.extent(op.getPacked(), 0)});
  Packing packing(l, op.getRows().getType().getDimSize(1), op.getFormatAttr());
  packing.forRows(op.getPacked(), op.getCounts(),
                  [&](Val r) { packing.unpack(from, to, r); });
}
