//===- LowerCollectives.cpp - Exchanges of rows that all know -------------===//
//
// Part of moe-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "CollectiveCall.h"
#include "DeviceCollectives.h"

using namespace mlir;
using namespace moe;

/// Room for a result that has the rows of an operand.
static Value resultLike(Lowering &l, Value y, Value x) {
  return l.result(y, l.shape(x).take_front());
}

template <typename Op>
static void setReduce(CollectiveCall &exchange, Op op, Builder &b) {
  exchange.about.set(
      entryAttr::kReduce,
      b.getStringAttr(coll::stringifyReduceKind(op.getReduce())));
}

/// Calls a `reduce_scatter` that only brings the parts of all members.
static void bringParts(Lowering &l, CollectiveCall exchange, Value parts) {
  exchange.setKind(l.e.getContext(), coll::ReduceScatterOp::getOperationName());
  exchange.about.set(entryAttr::kReduce, l.e.getStringAttr("none"));
  exchange.receive = parts;
  exchange.call(l);
}

/// Each member adds up a share of the rows and gives it to all.
static void allReduceOnDevice(Lowering &l, coll::AllReduceOp op) {
  Emitter &e = l.e;
  int64_t members = coll::getGroupSize(op, op.getAxes()).value_or(1);
  CollectiveCall exchange(op);
  exchange.about.set(entryAttr::kEven, e.getUnitAttr());
  exchange.send = toSend(l, op.getX());
  exchange.rows = rowsOf(l, op.getX());
  auto type = cast<MemRefType>(exchange.send.getType());
  SmallVector<Extent, 3> shape(l.shape(op.getX()));
  if (shape.empty())
    shape.push_back(Extent::constant(1));
  Extent share = shape[0].dividedBy(members);
  Val most = (exchange.rows + double(members - 1)) / double(members);
  Val axes = e.bits(e.getI32Type(), coll::getMask(op.getAxes()));
  Val begin = e.asIndex(l.callRuntime("moe_member", e.getI32Type(),
                                      {l.exchange, axes})) *
              most;
  Val own = e.min(
      e.min(begin + most, exchange.rows) - e.min(begin, exchange.rows), most);
  shape[0] = share.times(members);
  Value parts = l.scratch(type.getElementType(), shape);
  shape[0] = share;
  Value sum = l.scratch(type.getElementType(), shape);
  bringParts(l, exchange, parts);
  emitSumOfParts(l, op.getReduce(), members, parts, sum, own);
  exchange.setKind(l.e.getContext(), coll::AllGatherOp::getOperationName());
  exchange.send = sum;
  exchange.receive = resultLike(l, op.getY(), op.getX());
  exchange.call(l);
}

static void reduceScatterOnDevice(Lowering &l, coll::ReduceScatterOp op) {
  int64_t members = coll::getGroupSize(op, op.getAxes()).value_or(1);
  CollectiveCall exchange(op);
  exchange.send = toSend(l, op.getX());
  Value y = exchange.result(l, op.getY(), op.getRows());
  exchange.rows = rowsOf(l, op.getY());
  auto type = cast<MemRefType>(exchange.send.getType());
  SmallVector<Extent, 3> shape(l.shape(op.getY()));
  if (shape.empty())
    shape.push_back(Extent::constant(1));
  shape[0] = shape[0].times(members);
  Value parts = l.scratch(type.getElementType(), shape);
  bringParts(l, exchange, parts);
  emitSumOfParts(l, op.getReduce(), members, parts, y, exchange.rows);
}

void moe::lower(Lowering &l, coll::AllReduceOp op) {
  if (l.gpu)
    return allReduceOnDevice(l, op);
  CollectiveCall exchange(op);
  setReduce(exchange, op, l.e);
  exchange.send = toSend(l, op.getX());
  exchange.receive = resultLike(l, op.getY(), op.getX());
  exchange.rows = rowsOf(l, op.getX());
  exchange.call(l);
}

void moe::lower(Lowering &l, coll::ReduceScatterOp op) {
  if (l.gpu)
    return reduceScatterOnDevice(l, op);
  CollectiveCall exchange(op);
  setReduce(exchange, op, l.e);
  exchange.send = toSend(l, op.getX());
  exchange.receive = exchange.result(l, op.getY(), op.getRows());
  exchange.rows = rowsOf(l, op.getY());
  exchange.call(l);
}

void moe::lower(Lowering &l, coll::AllGatherOp op) {
  CollectiveCall exchange(op);
  exchange.send = toSend(l, op.getX());
  exchange.receive = exchange.result(l, op.getY(), op.getRows());
  exchange.rows = rowsOf(l, op.getX());
  exchange.call(l);
}

void moe::lower(Lowering &l, coll::BroadcastOp op) {
  CollectiveCall exchange(op);
  exchange.about.set(entryAttr::kRoot, op.getRootAttr());
  exchange.send = toSend(l, op.getX());
  exchange.receive = resultLike(l, op.getY(), op.getX());
  exchange.rows = rowsOf(l, op.getX());
  exchange.call(l);
}

void moe::lower(Lowering &l, coll::AllToAllOp op) {
  const Extent &rows = l.extent(op.getX(), 0);
  int64_t members = coll::getGroupSize(op, op.getAxes()).value_or(1);
  if (!rows.isMultipleOf(members))
    return l.fail("expected rows in " + Twine(members) +
                  " equal blocks, found " + rows.str());
  CollectiveCall exchange(op);
  exchange.send = toSend(l, op.getX());
  exchange.receive = resultLike(l, op.getY(), op.getX());
  exchange.rows = rowsOf(l, op.getX());
  exchange.call(l);
}

void moe::lower(Lowering &l, coll::SendOp op) {
  CollectiveCall exchange(op);
  exchange.about.set(entryAttr::kPeer, op.getToAttr());
  exchange.send = toSend(l, op.getX());
  exchange.rows = rowsOf(l, op.getX());
  exchange.call(l);
}

void moe::lower(Lowering &l, coll::RecvOp op) {
  CollectiveCall exchange(op);
  exchange.about.set(entryAttr::kPeer, op.getFromAttr());
  exchange.receive = exchange.result(l, op.getY(), op.getRows());
  exchange.rows = rowsOf(l, op.getY());
  exchange.call(l);
}

void moe::lower(Lowering &l, coll::BarrierOp op) { CollectiveCall(op).call(l); }

void moe::lower(Lowering &l, coll::IndexOp op) {
  Emitter &e = l.e;
  Val axes = e.bits(e.getI32Type(), coll::getMask(op.getAxes()));
  Val member = l.callRuntime("moe_member", e.getI32Type(), {l.exchange, axes});
  e.store(member, l.result(op.getIndex()), {});
}
