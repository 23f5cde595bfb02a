//===- LowerCollectives.cpp - Exchanges to calls of the runtime -----------===//
//
// Part of moe-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// What does not change from call to call becomes an entry of the manifest; the
// call has its number. Everything after a call is in an `scf.if`, so that no
// failure is computed with.
//
//===----------------------------------------------------------------------===//

#include "DeviceCollectives.h"

#include "moe/Kernels/Entry.h"

#include "mlir/Conversion/LLVMCommon/MemRefBuilder.h"
#include "mlir/Conversion/LLVMCommon/TypeConverter.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/SCF/IR/SCF.h"

using namespace mlir;
using namespace moe;

namespace {

/// One exchange. Buffers that it does not have are null.
struct Exchange {
  /// As the operation's attributes, and what its tensors say.
  NamedAttrList about;
  Value send, receive;
  Val rows;
  Value sendCounts, receiveCounts;
};

} // namespace

Value moe::pointerTo(Emitter &e, Value buffer) {
  auto pointer = LLVM::LLVMPointerType::get(e.getContext());
  if (!buffer)
    return LLVM::ZeroOp::create(e, pointer);
  LLVMTypeConverter converter(e.getContext());
  auto type = cast<MemRefType>(buffer.getType());
  Value cast =
      UnrealizedConversionCastOp::create(e, converter.convertType(type), buffer)
          .getResult(0);
  return MemRefDescriptor(cast).bufferPtr(e, e.getLoc(), converter, type);
}

/// Adds what the manifest says of it. Returns its number.
static Val enter(Lowering &l, Exchange &exchange) {
  Emitter &e = l.e;
  Value buffer = exchange.send ? exchange.send : exchange.receive;
  if (buffer) {
    auto type = cast<MemRefType>(buffer.getType());
    int64_t row = 1;
    for (int64_t size : type.getShape().drop_front(type.getRank() != 0))
      row *= size;
    exchange.about.set(entryAttr::kDtype, TypeAttr::get(type.getElementType()));
    exchange.about.set(entryAttr::kRow, e.getI64IntegerAttr(row));
  }
  int64_t number = l.collectives.size();
  l.collectives.push_back(exchange.about.getDictionary(e.getContext()));
  return e.bits(e.getI32Type(), number);
}

/// Calls the runtime, and puts what is lowered from now on under its success.
static void callFor(Lowering &l, StringRef function, ValueRange operands) {
  Emitter &e = l.e;
  Val status = l.callRuntime(function, e.getI32Type(), operands);
  auto branch = scf::IfOp::create(e, status == 0, /*withElseRegion=*/false);
  e.setInsertionPoint(branch.thenBlock()->getTerminator());
}

static void call(Lowering &l, Exchange exchange) {
  Emitter &e = l.e;
  Val number = enter(l, exchange);
  Value rows = exchange.rows.value ? e.cast(exchange.rows, e.getI64Type()).value
                                   : e.bits(e.getI64Type(), 0).value;
  callFor(l, "moe_collective",
          {l.exchange, number, pointerTo(e, exchange.send),
           pointerTo(e, exchange.receive), rows,
           pointerTo(e, exchange.sendCounts),
           pointerTo(e, exchange.receiveCounts)});
}

template <typename Op> static Exchange describe(Op op) {
  Exchange exchange;
  Builder b(op.getContext());
  exchange.about.set(entryAttr::kKind,
                     b.getStringAttr(op->getName().stripDialect()));
  exchange.about.set(entryAttr::kAxes, op.getAxes());
  if (!op.getName().empty())
    exchange.about.set(entryAttr::kName, op.getNameAttr());
  return exchange;
}

/// What `x` holds, in rows without gaps of what tensors of its type are kept
/// in: an argument need not be either.
static Value toSend(Lowering &l, Value x) {
  Value buffer = l[x];
  auto type = cast<MemRefType>(buffer.getType());
  Type element =
      l.storage(cast<RankedTensorType>(x.getType()).getElementType());
  if (type.getElementType() == element && type.getLayout().isIdentity())
    return buffer;
  Value copy = l.scratch(element, l.shape(x));
  l.copy(buffer, copy, l.shape(x));
  return copy;
}

static Val rowsOf(Lowering &l, Value tensor) {
  return l.shape(tensor).empty() ? l.e.index(1) : l.size(tensor, 0);
}

/// Room for a result that has the rows of an operand.
static Value resultLike(Lowering &l, Value y, Value x) {
  return l.result(y, l.shape(x).take_front());
}

/// Room for a result that `text` or its type says the rows of.
static Value resultOf(Lowering &l, Value y, std::optional<StringRef> text,
                      Exchange &exchange) {
  if (cast<RankedTensorType>(y.getType()).getRank() == 0)
    return l.result(y);
  Extent rows = l.namedExtent(text, y);
  exchange.about.set(entryAttr::kRows, l.e.getStringAttr(rows.str()));
  return l.result(y, rows);
}

template <typename Op>
static void setReduce(Exchange &exchange, Op op, Builder &b) {
  exchange.about.set(
      entryAttr::kReduce,
      b.getStringAttr(coll::stringifyReduceKind(op.getReduce())));
}

/// Calls a `reduce_scatter` that only brings the parts of all members.
static void bringParts(Lowering &l, Exchange exchange, Value parts) {
  exchange.about.set(
      entryAttr::kKind,
      l.e.getStringAttr(
          coll::ReduceScatterOp::getOperationName().split('.').second));
  exchange.about.set(entryAttr::kReduce, l.e.getStringAttr("none"));
  exchange.receive = parts;
  call(l, exchange);
}

/// Each member adds up a share of the rows and gives it to all.
static void allReduceOnDevice(Lowering &l, coll::AllReduceOp op) {
  Emitter &e = l.e;
  int64_t members = coll::getGroupSize(op, op.getAxes()).value_or(1);
  Exchange exchange = describe(op);
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
  exchange.about.set(
      entryAttr::kKind,
      e.getStringAttr(coll::AllGatherOp::getOperationName().split('.').second));
  exchange.send = sum;
  exchange.receive = resultLike(l, op.getY(), op.getX());
  call(l, exchange);
}

static void reduceScatterOnDevice(Lowering &l, coll::ReduceScatterOp op) {
  int64_t members = coll::getGroupSize(op, op.getAxes()).value_or(1);
  Exchange exchange = describe(op);
  exchange.send = toSend(l, op.getX());
  Value y = resultOf(l, op.getY(), op.getRows(), exchange);
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
  Exchange exchange = describe(op);
  setReduce(exchange, op, l.e);
  exchange.send = toSend(l, op.getX());
  exchange.receive = resultLike(l, op.getY(), op.getX());
  exchange.rows = rowsOf(l, op.getX());
  call(l, exchange);
}

void moe::lower(Lowering &l, coll::ReduceScatterOp op) {
  if (l.gpu)
    return reduceScatterOnDevice(l, op);
  Exchange exchange = describe(op);
  setReduce(exchange, op, l.e);
  exchange.send = toSend(l, op.getX());
  exchange.receive = resultOf(l, op.getY(), op.getRows(), exchange);
  exchange.rows = rowsOf(l, op.getY());
  call(l, exchange);
}

void moe::lower(Lowering &l, coll::AllGatherOp op) {
  Exchange exchange = describe(op);
  exchange.send = toSend(l, op.getX());
  exchange.receive = resultOf(l, op.getY(), op.getRows(), exchange);
  exchange.rows = rowsOf(l, op.getX());
  call(l, exchange);
}

void moe::lower(Lowering &l, coll::BroadcastOp op) {
  Exchange exchange = describe(op);
  exchange.about.set(entryAttr::kRoot, op.getRootAttr());
  exchange.send = toSend(l, op.getX());
  exchange.receive = resultLike(l, op.getY(), op.getX());
  exchange.rows = rowsOf(l, op.getX());
  call(l, exchange);
}

void moe::lower(Lowering &l, coll::AllToAllOp op) {
  const Extent &rows = l.extent(op.getX(), 0);
  int64_t members = coll::getGroupSize(op, op.getAxes()).value_or(1);
  if (!rows.isMultipleOf(members))
    return l.fail("expected rows in " + Twine(members) +
                  " equal blocks, found " + rows.str());
  Exchange exchange = describe(op);
  exchange.send = toSend(l, op.getX());
  exchange.receive = resultLike(l, op.getY(), op.getX());
  exchange.rows = rowsOf(l, op.getX());
  call(l, exchange);
}

/// What all ways of sending some rows to each have in common.
template <typename Op>
static Exchange describeRows(Lowering &l, Op op, coll::PatternKind pattern) {
  Exchange exchange = describe(op);
  Builder &b = l.e;
  exchange.about.set(
      entryAttr::kKind,
      b.getStringAttr(coll::AllToAllVOp::getOperationName().split('.').second));
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
                         Exchange &exchange) {
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
  Exchange exchange = describeRows(l, op, op.getPattern());
  Value y = resultOf(l, op.getY(), op.getBound(), exchange);
  exchange.receive = y;
  if (!isPackedOnDevice(l, op))
    return call(l, exchange);
  int64_t members = coll::getGroupSize(op, op.getAxes()).value_or(1);
  int64_t places = op.getSend().getType().getDimSize(0) / members;
  PaddedRows::Places all = {members, 0, places, false};
  Value counts = exchange.receiveCounts;
  Value in = padOnDevice(l, op, all, exchange);
  call(l, exchange);
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
  Exchange exchange = describeRows(l, op, coll::PatternKind::all_to_all);
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
  Val number = enter(l, exchange);
  callFor(l, "moe_collective_start",
          {l.exchange, number, pointerTo(e, exchange.send),
           pointerTo(e, exchange.receive),
           e.cast(exchange.rows, e.getI64Type()), e.cast(room, e.getI64Type()),
           pointerTo(e, exchange.sendCounts),
           pointerTo(e, exchange.receiveCounts)});
}

void moe::lower(Lowering &l, coll::WaitOp op) {
  for (Value pending : op.getPending()) {
    const Lowering::PendingRows &rows = l.pending.at(pending);
    callFor(l, "moe_collective_wait",
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

void moe::lower(Lowering &l, coll::SendOp op) {
  Exchange exchange = describe(op);
  exchange.about.set(entryAttr::kPeer, op.getToAttr());
  exchange.send = toSend(l, op.getX());
  exchange.rows = rowsOf(l, op.getX());
  call(l, exchange);
}

void moe::lower(Lowering &l, coll::RecvOp op) {
  Exchange exchange = describe(op);
  exchange.about.set(entryAttr::kPeer, op.getFromAttr());
  exchange.receive = resultOf(l, op.getY(), op.getRows(), exchange);
  exchange.rows = rowsOf(l, op.getY());
  call(l, exchange);
}

void moe::lower(Lowering &l, coll::BarrierOp op) { call(l, describe(op)); }

void moe::lower(Lowering &l, coll::IndexOp op) {
  Emitter &e = l.e;
  Val axes = e.bits(e.getI32Type(), coll::getMask(op.getAxes()));
  Val member = l.callRuntime("moe_member", e.getI32Type(), {l.exchange, axes});
  e.store(member, l.result(op.getIndex()), {});
}
