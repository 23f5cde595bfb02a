//===- LowerRowExchange.cpp - Exchanges of as many rows as there are ------===//
//
// Part of moe-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "CollectiveCall.h"
#include "DeviceCollectives.h"

using namespace mlir;
using namespace moe;

/// What all ways of sending some rows to each have in common.
template <typename Op>
static CollectiveCall describeRows(Lowering &l, Op op,
                                   coll::PatternKind pattern) {
  CollectiveCall exchange(op);
  Builder &b = l.e;
  exchange.setKind(l.e.getContext(), coll::AllToAllVOp::getOperationName());
  exchange.about.set(entryAttr::kPattern,
                     b.getStringAttr(coll::stringifyPatternKind(pattern)));
  exchange.about.set(entryAttr::kMode,
                     b.getStringAttr(coll::stringifyModeKind(op.getMode())));
  if (std::optional<int64_t> members = coll::getGroupSize(op, op.getAxes()))
    exchange.about.set(
        entryAttr::kPlaces,
        b.getI64IntegerAttr(op.getSend().getType().getDimSize(0) / *members));
  if (op.getMode() == coll::ModeKind::padded)
    exchange.about.set(entryAttr::kBound, op.getPairAttr());
  exchange.send = toSend(l, op.getX());
  exchange.rows = rowsOf(l, op.getX());
  exchange.sendCounts = toSend(l, op.getSend());
  exchange.receiveCounts = toSend(l, op.getReceive());
  return exchange;
}

/// Makes an exchange of ragged rows one of blocks of equal size, so that nobody
/// waits for counts. Returns the blocks that come.
template <typename Op>
static Value padOnDevice(Lowering &l, Op op, const PaddedRows::Places &places,
                         CollectiveCall &exchange) {
  Extent bound = *Extent::parse(*op.getPair());
  auto type = cast<MemRefType>(exchange.send.getType());
  SmallVector<Extent, 3> shape = {bound.times(places.members)};
  for (int64_t size : type.getShape().drop_front())
    shape.push_back(Extent::constant(size));
  Value out = l.scratch(type.getElementType(), shape);
  Value in = l.scratch(type.getElementType(), shape);
  PaddedRows(l, exchange.send, exchange.sendCounts, places)
      .pack(out, l.size(bound));
  exchange.about.set(entryAttr::kPacked, l.e.getUnitAttr());
  exchange.send = out;
  exchange.receive = in;
  exchange.rows = l.size(shape[0]);
  exchange.sendCounts = exchange.receiveCounts = Value();
  return in;
}

template <typename Op> static bool isPackedOnDevice(Lowering &l, Op op) {
  return l.gpu && op.getMode() == coll::ModeKind::padded;
}

void moe::lower(Lowering &l, coll::AllToAllVOp op) {
  CollectiveCall exchange = describeRows(l, op, op.getPattern());
  Value y = exchange.result(l, op.getY(), op.getBound());
  exchange.receive = y;
  if (!isPackedOnDevice(l, op))
    return exchange.call(l);
  int64_t members = coll::getGroupSize(op, op.getAxes()).value_or(1);
  int64_t places = op.getSend().getType().getDimSize(0) / members;
  PaddedRows::Places all = {members, 0, places, false};
  Value counts = exchange.receiveCounts;
  Value in = padOnDevice(l, op, all, exchange);
  exchange.call(l);
  PaddedRows(l, y, counts, all)
      .unpack(in, l.size(*Extent::parse(*op.getPair())));
}

/// The places that a chunk moves, as they lie on one side.
static PaddedRows::Places placesOf(coll::StartAllToAllVOp op, int64_t members,
                                   coll::WholeKind side) {
  return {members, int64_t(op.getFirst()), int64_t(op.getEnd()),
          op.getWhole() == side};
}

/// Rows that come go to where the one that waits for them has them.
void moe::lower(Lowering &l, coll::StartAllToAllVOp op) {
  Emitter &e = l.e;
  auto wait = cast<coll::WaitOp>(*op.getPending().user_begin());
  Value y = wait.getY();
  if (!l[y]) {
    Extent rows = l.namedExtent(wait.getRows(), y);
    if (!l.isKnown(rows))
      return l.fail("expected the size '" + Twine(rows.size) +
                    "' of what comes to be known where it is started");
    l.result(y, {rows});
  }
  CollectiveCall exchange = describeRows(l, op, coll::PatternKind::all_to_all);
  exchange.receive = l[y];
  exchange.about.set(
      entryAttr::kChunk,
      e.getDenseI64ArrayAttr({int64_t(op.getFirst()), int64_t(op.getEnd())}));
  exchange.about.set(entryAttr::kWhole,
                     e.getStringAttr(coll::stringifyWholeKind(op.getWhole())));
  Lowering::PendingRows &pending = l.pending[op.getPending()];
  pending.number = l.collectives.size();
  Val room = rowsOf(l, y);
  if (isPackedOnDevice(l, op)) {
    int64_t members = coll::getGroupSize(op, op.getAxes()).value_or(1);
    pending.counts = exchange.receiveCounts;
    pending.blocks = padOnDevice(
        l, op, placesOf(op, members, coll::WholeKind::send), exchange);
    room = exchange.rows;
  }
  Val number = exchange.enter(l);
  callForStatus(
      l, "moe_collective_start",
      {l.exchange, number, pointerTo(e, exchange.send),
       pointerTo(e, exchange.receive), e.cast(exchange.rows, e.getI64Type()),
       e.cast(room, e.getI64Type()), pointerTo(e, exchange.sendCounts),
       pointerTo(e, exchange.receiveCounts)});
}

void moe::lower(Lowering &l, coll::WaitOp op) {
  for (Value pending : op.getPending()) {
    const Lowering::PendingRows &rows = l.pending.at(pending);
    callForStatus(l, "moe_collective_wait",
                  {l.exchange, l.e.bits(l.e.getI32Type(), rows.number)});
    if (!rows.blocks)
      continue;
    auto start = cast<coll::StartAllToAllVOp>(pending.getDefiningOp());
    int64_t members = coll::getGroupSize(start, start.getAxes()).value_or(1);
    PaddedRows(l, l[op.getY()], rows.counts,
               placesOf(start, members, coll::WholeKind::receive))
        .unpack(rows.blocks, l.size(*Extent::parse(*start.getPair())));
  }
}
