//===- CollOps.cpp - What an exchange must be -----------------------------===//
//
// Part of moe-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "moe/Dialect/Coll/Coll.h"

#include "../MoE/Verify.h"

#include "moe/Kernels/Extent.h"
#include "moe/Support/Suggest.h"

#include "mlir/IR/TypeUtilities.h"

using namespace mlir;
using namespace moe;
using namespace moe::coll;

//===----------------------------------------------------------------------===//
// Axes
//===----------------------------------------------------------------------===//

static ParseResult parseAxes(OpAsmParser &parser, ArrayAttr &axes) {
  SmallVector<Attribute> names;
  auto parseAxis = [&]() -> ParseResult {
    StringRef name;
    if (parser.parseKeyword(&name))
      return failure();
    names.push_back(parser.getBuilder().getStringAttr(name));
    return success();
  };
  if (parser.parseCommaSeparatedList(AsmParser::Delimiter::Square, parseAxis,
                                     " of axes"))
    return failure();
  axes = parser.getBuilder().getArrayAttr(names);
  return success();
}

static void printAxes(OpAsmPrinter &printer, Operation *, ArrayAttr axes) {
  printer << '[';
  llvm::interleaveComma(axes.getAsValueRange<StringAttr>(), printer);
  printer << ']';
}

static LogicalResult verifyAxes(Operation *op, ArrayAttr axes) {
  if (axes.empty())
    return op->emitOpError("expected at least 1 axis, found 0");
  int64_t last = -1;
  for (auto axis : axes.getAsValueRange<StringAttr>()) {
    int64_t number = llvm::find(kAxes, axis) - std::begin(kAxes);
    if (number == int64_t(std::size(kAxes)))
      return op->emitOpError("unknown axis '")
             << axis << "'; expected dp, ep or tp"
             << didYouMean(axis, {std::begin(kAxes), std::end(kAxes)});
    if (number == last)
      return op->emitOpError("expected each axis once, found '")
             << axis << "' again";
    if (number < last)
      return op->emitOpError("expected axes in the order dp, ep, tp, found '")
             << axis << "' after '" << kAxes[last] << "'";
    last = number;
  }
  for (Operation *around = op; around; around = around->getParentOp()) {
    auto grid = around->getAttrOfType<DictionaryAttr>(kGrid);
    if (!grid)
      continue;
    for (auto axis : axes.getAsValueRange<StringAttr>())
      if (!grid.contains(axis))
        return op->emitOpError("expected axes of the grid ")
               << grid << ", found '" << axis << "'";
    break;
  }
  return success();
}

/// A member of the group, as far as its size is known.
template <typename Op>
static LogicalResult verifyMember(Op op, StringRef name, int64_t member) {
  std::optional<int64_t> size = getGroupSize(op, op.getAxes());
  return verifyRange([&] { return op.emitOpError(); }, name, member, 0,
                     size.value_or(kMaxSize) - 1);
}

//===----------------------------------------------------------------------===//
// Shapes
//===----------------------------------------------------------------------===//

static LogicalResult verifySameElements(Operation *op, Value x, Value y) {
  Type from = getElementTypeOrSelf(x), to = getElementTypeOrSelf(y);
  if (from == to)
    return success();
  return op->emitOpError("expected 'y' of ")
         << from << ", the element type of 'x', found " << to;
}

/// Rows that are of any shape.
static LogicalResult checkRows(Dims &dims, StringRef what, Value value,
                               StringRef rows, int64_t rank) {
  SmallVector<std::string> names;
  for (int64_t i = 1; i < rank; ++i)
    names.push_back("d" + std::to_string(i));
  SmallVector<StringRef> shape = {rows};
  llvm::append_range(shape, names);
  return dims.check(what, value, shape);
}

/// Rows of x and of y are alike, and as many as the names say.
template <typename Op>
static LogicalResult verifyRows(Op op, Dims &dims, StringRef xRows,
                                StringRef yRows) {
  int64_t rank = op.getX().getType().getRank();
  return success(succeeded(checkRows(dims, "x", op.getX(), xRows, rank)) &&
                 succeeded(checkRows(dims, "y", op.getY(), yRows, rank)) &&
                 succeeded(verifySameElements(op, op.getX(), op.getY())));
}

/// Of one shape, of whatever rank.
template <typename Op> static LogicalResult verifySameShape(Op op) {
  Dims dims(op);
  if (op.getX().getType().getRank() != 0)
    return verifyRows(op, dims, "R", "R");
  return success(succeeded(dims.check("x", op.getX(), {})) &&
                 succeeded(dims.check("y", op.getY(), {})) &&
                 succeeded(verifySameElements(op, op.getX(), op.getY())));
}

/// What stands alone, of whatever rank.
static LogicalResult verifyShape(Operation *op, StringRef what, Value value) {
  Dims dims(op);
  int64_t rank = cast<RankedTensorType>(value.getType()).getRank();
  return rank == 0 ? dims.check(what, value, {})
                   : checkRows(dims, what, value, "R", rank);
}

/// One has the rows of all members, the other those of one. Where the number is
/// in the program it is that of each member.
template <typename Op>
static LogicalResult verifyGathered(Op op, bool isGathered) {
  std::optional<int64_t> members = getGroupSize(op, op.getAxes());
  Dims dims(op);
  auto rows = [](RankedTensorType type) -> std::optional<int64_t> {
    if (type.getRank() == 0 || type.isDynamicDim(0))
      return std::nullopt;
    return type.getDimSize(0);
  };
  Value one = isGathered ? op.getX() : op.getY();
  dims.set("n*R",
           product(rows(cast<RankedTensorType>(one.getType())), members));
  if (failed(isGathered ? verifyRows(op, dims, "R", "n*R")
                        : verifyRows(op, dims, "n*R", "R")))
    return failure();
  return verifyExtent(op, "rows", op.getRows(), op.getY());
}

/// Each member has an equal share of the first dimension.
template <typename Op>
static LogicalResult verifyShares(Op op, StringRef what, Value value) {
  std::optional<int64_t> members = getGroupSize(op, op.getAxes());
  int64_t size = cast<RankedTensorType>(value.getType()).getDimSize(0);
  if (!members || ShapedType::isDynamic(size) || size % *members == 0)
    return success();
  return op.emitOpError() << "expected '" << what << "' of a multiple of "
                          << *members << " rows, one share for each member, "
                          << "found " << size;
}

//===----------------------------------------------------------------------===//
// Verifiers
//===----------------------------------------------------------------------===//

LogicalResult AllReduceOp::verify() {
  if (failed(verifyAxes(*this, getAxes())))
    return failure();
  return verifySameShape(*this);
}

LogicalResult ReduceScatterOp::verify() {
  if (failed(verifyAxes(*this, getAxes())))
    return failure();
  return verifyGathered(*this, /*isGathered=*/false);
}

LogicalResult AllGatherOp::verify() {
  if (failed(verifyAxes(*this, getAxes())))
    return failure();
  return verifyGathered(*this, /*isGathered=*/true);
}

LogicalResult BroadcastOp::verify() {
  if (failed(verifyAxes(*this, getAxes())) ||
      failed(verifyMember(*this, "root", getRoot())))
    return failure();
  return verifySameShape(*this);
}

LogicalResult AllToAllOp::verify() {
  Dims dims(*this);
  if (failed(verifyAxes(*this, getAxes())) ||
      failed(verifyRows(*this, dims, "R", "R")))
    return failure();
  return verifyShares(*this, "x", getX());
}

/// Both count rows of the same places of the members.
template <typename Op> static LogicalResult verifyCounts(Op op, Dims &dims) {
  return success(succeeded(dims.check("send", op.getSend(), {"n*p"})) &&
                 succeeded(dims.check("receive", op.getReceive(), {"n*p"})) &&
                 succeeded(verifyShares(op, "send", op.getSend())) &&
                 succeeded(verifyShares(op, "receive", op.getReceive())));
}

template <typename Op> static LogicalResult verifyPair(Op op) {
  bool isPadded = op.getMode() == ModeKind::padded;
  if (isPadded == op.getPair().has_value() &&
      (!isPadded || Extent::parse(*op.getPair())))
    return success();
  if (!isPadded)
    return op.emitOpError("expected no 'pair' with the mode exact");
  return op.emitOpError("expected a size such as \"R\" or \"8*R\" in 'pair' "
                        "with the mode padded");
}

LogicalResult AllToAllVOp::verify() {
  Dims dims(*this);
  if (failed(verifyAxes(*this, getAxes())) ||
      failed(verifyRows(*this, dims, "S", "R")) ||
      failed(verifyCounts(*this, dims)) ||
      failed(verifyExtent(*this, "bound", getBound(), getY())))
    return failure();
  return verifyPair(*this);
}

LogicalResult StartAllToAllVOp::verify() {
  Dims dims(*this);
  int64_t rank = getX().getType().getRank();
  if (failed(verifyAxes(*this, getAxes())) ||
      failed(checkRows(dims, "x", getX(), "S", rank)) ||
      failed(verifyCounts(*this, dims)) || failed(verifyPair(*this)))
    return failure();
  int64_t first = getFirst(), end = getEnd();
  std::optional<int64_t> members = getGroupSize(*this, getAxes());
  int64_t counts = getSend().getType().getDimSize(0);
  int64_t places = members && !ShapedType::isDynamic(counts)
                       ? counts / *members
                       : std::max(counts, end);
  if (first < 0 || end <= first || end > places)
    return emitOpError("expected some places of ")
           << places << ", found " << first << " to " << end;
  if (!getPending().hasOneUse() || !isa<WaitOp>(*getPending().user_begin()))
    return emitOpError("expected to be waited for by one coll.wait");
  return success();
}

/// Places of each member, as far as they are known.
static int64_t placesOf(StartAllToAllVOp op) {
  int64_t members = getGroupSize(op, op.getAxes()).value_or(0);
  int64_t counts = op.getSend().getType().getDimSize(0);
  return members == 0 || ShapedType::isDynamic(counts) ? 0 : counts / members;
}

LogicalResult WaitOp::verify() {
  if (getPending().empty())
    return emitOpError("expected something to wait for, found nothing");
  SmallVector<StartAllToAllVOp> starts;
  for (Value pending : getPending()) {
    auto start = pending.getDefiningOp<StartAllToAllVOp>();
    if (!start || start->getBlock() != (*this)->getBlock())
      return emitOpError("expected exchanges that were started before it in "
                         "its block");
    starts.push_back(start);
  }
  StartAllToAllVOp front = starts.front();
  bool isWhole = front.getWhole() == WholeKind::receive;
  if (!isWhole && starts.size() != 1)
    return emitOpError("expected one chunk of rows that are whole where they "
                       "are sent, found ")
           << starts.size();
  int64_t place = isWhole ? 0 : front.getFirst();
  for (StartAllToAllVOp start : starts) {
    Dims dims(*this);
    int64_t rank = start.getX().getType().getRank();
    if (failed(checkRows(dims, "x", start.getX(), "S", rank)) ||
        failed(checkRows(dims, "y", getY(), "R", rank)) ||
        failed(verifySameElements(*this, start.getX(), getY())))
      return failure();
    if (start.getWhole() != front.getWhole() ||
        start.getReceive() != front.getReceive() ||
        start.getAxes() != front.getAxes())
      return emitOpError("expected chunks of the same rows");
    if (int64_t first = start.getFirst(); first != place)
      return emitOpError("expected a chunk from place ")
             << place << ", found one from " << first;
    place = start.getEnd();
  }
  if (int64_t places = placesOf(front); isWhole && places && place != places)
    return emitOpError("expected chunks of all ")
           << places << " places, found those up to " << place;
  return verifyExtent(*this, "rows", getRows(), getY());
}

LogicalResult SendOp::verify() {
  if (failed(verifyAxes(*this, getAxes())))
    return failure();
  if (failed(verifyMember(*this, "to", getTo())))
    return failure();
  return verifyShape(*this, "x", getX());
}

LogicalResult RecvOp::verify() {
  if (failed(verifyAxes(*this, getAxes())) ||
      failed(verifyMember(*this, "from", getFrom())) ||
      failed(verifyShape(*this, "y", getY())))
    return failure();
  return verifyExtent(*this, "rows", getRows(), getY());
}

LogicalResult BarrierOp::verify() { return verifyAxes(*this, getAxes()); }

LogicalResult IndexOp::verify() {
  if (failed(verifyAxes(*this, getAxes())))
    return failure();
  return Dims(*this).check("index", getIndex(), {});
}

#define GET_OP_CLASSES
#include "moe/Dialect/Coll/CollOps.cpp.inc"
