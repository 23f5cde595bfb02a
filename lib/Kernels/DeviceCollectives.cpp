//===- DeviceCollectives.cpp - What kernels do around exchanges -----------===//
//
// Part of moe-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "DeviceCollectives.h"

using namespace mlir;
using namespace moe;

static int64_t columnsOf(Value buffer) {
  ArrayRef<int64_t> shape = cast<MemRefType>(buffer.getType()).getShape();
  int64_t columns = 1;
  for (int64_t size : shape.drop_front(!shape.empty()))
    columns *= size;
  return columns;
}

/// The index of value `column` of a row, counted through all dimensions.
static SmallVector<Val> indexOf(Emitter &e, Value buffer, Val row, Val column) {
  ArrayRef<int64_t> shape = cast<MemRefType>(buffer.getType()).getShape();
  if (shape.empty())
    return {};
  SmallVector<Val> index(shape.size());
  for (size_t dim = shape.size() - 1; dim > 0; --dim) {
    index[dim] = dim == 1 ? column : column % double(shape[dim]);
    column = column / double(shape[dim]);
  }
  index[0] = row;
  return index;
}

void moe::emitSumOfParts(Lowering &l, coll::ReduceKind reduce, int64_t members,
                         Value parts, Value sum, Val rows) {
  Emitter &e = l.e;
  auto combine = [&](Val a, Val b) {
    switch (reduce) {
    case coll::ReduceKind::sum:
      return a + b;
    case coll::ReduceKind::max:
      return e.max(a, b);
    case coll::ReduceKind::min:
      return e.min(a, b);
    }
    llvm_unreachable("all reductions are above");
  };
  l.eachValue(rows, e.index(columnsOf(sum)), [&](Val r, Val c) {
    Val total = e.load(parts, indexOf(e, parts, r, c));
    for (int64_t member = 1; member < members; ++member)
      total = combine(
          total,
          e.load(parts, indexOf(e, parts, rows * double(member) + r, c)));
    e.store(total, sum, indexOf(e, sum, r, c));
  });
}

PaddedRows::PaddedRows(Lowering &l, Value rows, Value counts,
                       const Places &places)
    : l(l), e(l.e), rows(rows), members(places.members) {
  begins = l.scratch(e.getI32Type(), {Extent::constant(2 * members)});
  int64_t all = cast<MemRefType>(counts.getType()).getDimSize(0) / members;
  Val zero = e.index(0);
  e.carry(zero, e.index(members), zero, [&](Val member, ArrayRef<Val> end) {
    Emitter::Vals found =
        e.carry(zero, e.index(all), {end[0], end[0], zero},
                [&](Val place, ArrayRef<Val> so) {
                  Val loaded = e.load(counts, {member * double(all) + place});
                  Val count = e.asIndex(e.max(loaded, loaded.like(0)));
                  Val isOurs = (place >= double(places.first)) &
                               (place < double(places.end));
                  Val ours = e.select(isOurs, count, zero);
                  Val begin = e.select(isOurs & (so[2] == 0), so[0], so[1]);
                  return Emitter::Vals{so[0] + (places.isWhole ? count : ours),
                                       begin, so[2] + ours};
                });
    e.store(e.asI32(found[1]), begins, {member * 2});
    e.store(e.asI32(found[2]), begins, {member * 2 + 1});
    return Emitter::Vals{found[0]};
  });
}

void PaddedRows::forEach(
    Value blocks, Val bound,
    llvm::function_ref<void(ArrayRef<Val>, ArrayRef<Val>, Val)> body) {
  Val room = e.val(memref::DimOp::create(e, rows, 0));
  l.eachValue(bound * double(members), e.index(columnsOf(blocks)),
              [&](Val r, Val c) {
                Val member = r / bound, number = r % bound;
                Val begin = e.asIndex(e.load(begins, {member * 2}));
                Val count = e.asIndex(e.load(begins, {member * 2 + 1}));
                // No count of another rank leads past the rows.
                Val isRow = (number < count) & (begin + number < room);
                body(indexOf(e, blocks, r, c),
                     indexOf(e, rows, begin + number, c), isRow);
              });
}

void PaddedRows::pack(Value blocks, Val bound) {
  forEach(blocks, bound,
          [&](ArrayRef<Val> inBlocks, ArrayRef<Val> inRows, Val isRow) {
            Val value = e.choose(
                isRow, [&] { return e.load(rows, inRows); },
                [&] {
                  Type stored =
                      cast<MemRefType>(rows.getType()).getElementType();
                  bool isNarrow =
                      isa<FloatType>(stored) &&
                      stored.getIntOrFloatBitWidth() < e.real.getWidth();
                  return e.constant(isNarrow ? Type(e.real) : stored, 0);
                });
            e.store(value, blocks, inBlocks);
          });
}

void PaddedRows::unpack(Value blocks, Val bound) {
  forEach(blocks, bound,
          [&](ArrayRef<Val> inBlocks, ArrayRef<Val> inRows, Val isRow) {
            e.when(isRow,
                   [&] { e.store(e.load(blocks, inBlocks), rows, inRows); });
          });
}
