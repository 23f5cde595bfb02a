//===- LowerGroupMean.cpp - Slices of values and their means --------------===//
//
// Part of moe-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// What `average_group` computes between its exchanges, section 7 of
// docs/Spec.md.
//
//===----------------------------------------------------------------------===//

#include "Lowering.h"

#include "mlir/Dialect/SCF/IR/SCF.h"

using namespace mlir;
using namespace moe;

void moe::lower(Lowering &l, ResizeOp op) {
  Emitter &e = l.e;
  Value values = l[op.getValues()];
  Extent given = l.extent(op.getValues(), 0);
  Extent rows = l.namedExtent(op.getRows(), op.getResult());
  Value result = l.result(op.getResult(), {rows});
  Value status = l.result(op.getStatus());
  Val have = l.size(given), room = l.size(rows);
  Val kept = e.min(have, room);
  Type stored = cast<MemRefType>(result.getType()).getElementType();
  e.parallel(room, [&](Val i) {
    Val value = e.choose(
        i < kept, [&] { return e.cast(e.load(values, {i}), stored); },
        [&] { return e.constant(stored, 0); });
    e.store(value, result, {i});
  });
  // Of what the result can hold: a value may be too large for it.
  Type element = op.getResult().getType().getElementType();
  Val found = emitFirstBad(l, given, 4096, [&](Val i) {
    Val narrow = e.cast(e.load(values, {i}), element);
    return (e.isFinite(e.cast(narrow, e.real)) == 0) & (i < kept);
  });
  e.store(found, status, {});
}

void moe::lower(Lowering &l, SliceMeanOp op) {
  Emitter &e = l.e;
  Value slices = l[op.getSlices()];
  int64_t members = op.getMembers();
  Extent all = l.extent(op.getSlices(), 0);
  if (!all.isMultipleOf(members))
    return l.fail("expected values in " + Twine(members) +
                  " equal slices, found " + all.str());
  Value mean = l.result(op.getMean(), {all.dividedBy(members)});
  Val size = l.size(op.getMean(), 0);
  Type f64 = e.getF64Type();
  Val count = e.load(l[op.getCount()], {});
  Val divisor = e.cast(e.max(count, count.like(1)), f64);
  e.parallel(size, [&](Val i) {
    Val total = e.sum(e.index(members), e.constant(f64, 0), [&](Val m) {
      return e.cast(e.load(slices, {m * size + i}), f64);
    });
    e.store(total / divisor, mean, {i});
  });
}

void moe::lower(Lowering &l, ResidualOp op) {
  Emitter &e = l.e;
  Extent all = l.extent(op.getValues(), 0);
  Value values = l[op.getValues()], sent = l[op.getSent()];
  Value mean = l[op.getMean()], given = l[op.getGiven()];
  Value error = l.result(op.getError(), {all});
  Type f64 = e.getF64Type();
  auto read = [&](Value from, Val i) { return e.cast(e.load(from, {i}), f64); };
  Val count = e.cast(e.load(l[op.getCount()], {}), f64);
  Val size = l.size(op.getMean(), 0);
  Val begin = e.asIndex(e.load(l[op.getMember()], {})) * size;
  e.parallel(l.size(all), [&](Val i) {
    Val lost = read(values, i) - read(sent, i);
    Val isOwn = (begin <= i) & (i < begin + size);
    Val ofMean = e.choose(
        isOwn, [&] { return count * (read(mean, i - begin) - read(given, i)); },
        [&] { return lost.like(0); });
    e.store(lost + ofMean, error, {i});
  });
}

void moe::lower(Lowering &l, RequireOp op) {
  Emitter &e = l.e;
  l.publish(op.getStatus());
  Val status = l.gpu
                   ? l.callRuntime("moe_gpu_value", e.getI32Type(),
                                   {l.device, pointerTo(e, l[op.getStatus()])})
                   : e.load(l[op.getStatus()], {});
  auto branch = scf::IfOp::create(e, status == 0, /*withElseRegion=*/false);
  e.setInsertionPoint(branch.thenBlock()->getTerminator());
}
