//===- PlacementOps.cpp - Which rank has which expert ---------------------===//
//
// Part of moe-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Numbers in brackets are constraints of docs/Spec.md. [O1], shapes, is what
// every use of Dims checks.
//
//===----------------------------------------------------------------------===//

#include "Verify.h"

#include "moe/Kernels/Extent.h"

#include "llvm/ADT/DenseMap.h"

using namespace mlir;
using namespace moe;

/// [O32]: one expert in each place, and no gap before a place.
static LogicalResult verifyPlaces(PlaceOp op) {
  auto places = dyn_cast<DenseIntElementsAttr>(op.getPlaces());
  auto type = cast<ShapedType>(op.getPlaces().getType());
  if (!places || type.getRank() != 2 || type.getNumElements() == 0)
    return op.emitOpError()
           << "expected 'places' of shape [E, m], with an expert and a place, "
              "found "
           << type;
  int64_t columns = type.getDimSize(1), total = op.getTotal();
  llvm::DenseMap<int32_t, int64_t> expertOf;
  bool ended = false;
  for (auto [i, place] : llvm::enumerate(places.getValues<int32_t>())) {
    int64_t expert = i / columns, column = i % columns;
    if (column == 0)
      ended = false;
    if (place == -1 && column != 0) {
      ended = true;
      continue;
    }
    if (place < 0 || place >= total)
      return op.emitOpError()
             << "expected expert " << expert << " to have a place from 0 to "
             << total - 1 << ", found " << place;
    if (ended)
      return op.emitOpError()
             << "expected the places of expert " << expert
             << " to come before -1, found " << place << " after it";
    auto [it, isNew] = expertOf.try_emplace(place, expert);
    if (!isNew)
      return op.emitOpError()
             << "expected one expert in each place, found experts "
             << it->second << " and " << expert << " in place " << place;
  }
  return success();
}

LogicalResult PlaceOp::verify() {
  if (failed(
          verifyRange([&] { return emitOpError(); }, "total", getTotal(), 1)) ||
      failed(verifyPlaces(*this)))
    return failure();
  Dims dims(*this);
  return success(succeeded(dims.check("indices", getIndices(), {"T", "K"})) &&
                 succeeded(dims.check("slots", getSlots(), {"T", "K"})));
}

/// [O34]: a member's share is a whole number.
static LogicalResult verifyDivides(Operation *op, StringRef what, int64_t count,
                                   int64_t members) {
  if (count % members == 0)
    return success();
  return op->emitOpError() << "expected " << what << " that " << members
                           << " members have equal shares of, found " << count;
}

/// [O37]: some places, and a name for the number of their rows.
static LogicalResult verifyChunk(ArrivalsOp op, std::optional<int64_t> counts) {
  if (!op.getFirst() && !op.getEnd() && !op.getSize())
    return success();
  if (!op.getFirst() || !op.getEnd() || !op.getSize() || !op.getRows())
    return op.emitOpError(
        "expected 'places', 'size' and 'rows' together, found some of them");
  int64_t first = *op.getFirst(), end = *op.getEnd();
  int64_t places = counts ? *counts / int64_t(op.getMembers()) : end;
  if (first < 0 || end <= first || end > places)
    return op.emitOpError("expected some places of ")
           << places << ", found " << first << " to " << end;
  std::optional<Extent> size = Extent::parse(*op.getSize());
  std::optional<Extent> rows = Extent::parse(*op.getRows());
  if (!size || size->str() != size->size || size->size == rows->size)
    return op.emitOpError(
               "expected a name of its own such as \"C0\" in 'size', "
               "found '")
           << *op.getSize() << "'";
  if (rows->divisor != 1)
    return op.emitOpError("expected 'rows' such as \"8*R\", found '")
           << *op.getRows() << "'";
  return success();
}

LogicalResult ArrivalsOp::verify() {
  int64_t members = getMembers();
  if (failed(verifyRange([&] { return emitOpError(); }, "members", members, 1)))
    return failure();
  Dims dims(*this);
  if (failed(dims.check("counts", getCounts(), {"n*p"})) ||
      failed(dims.check("local", getLocal(), {"R", "1"})))
    return failure();
  if (std::optional<int64_t> count = dims.get("n*p");
      count && failed(verifyDivides(*this, "counts", *count, members)))
    return failure();
  if (failed(verifyExtent(*this, "rows", getRows(), getLocal())))
    return failure();
  return verifyChunk(*this, dims.get("n*p"));
}

LogicalResult GroupSizesOp::verify() {
  Dims dims(*this);
  if (failed(dims.check("offsets", getOffsets(), {"E+1"})) ||
      failed(dims.check("sizes", getSizes(), {"E"})))
    return failure();
  std::optional<int64_t> offsets = dims.get("E+1"), sizes = dims.get("E");
  if (!offsets || !sizes || *offsets == *sizes + 1)
    return success();
  return emitOpError() << "expected one offset more than sizes, found "
                       << *offsets << " and " << *sizes;
}

/// [O33] for a size that is no number of rows of the result.
static LogicalResult verifyFirst(Operation *op, StringRef first) {
  if (Extent::parse(first))
    return success();
  return op->emitOpError()
         << "expected a size such as \"P\" in 'first', found \"" << first
         << "\"";
}

LogicalResult RowNumbersOp::verify() {
  if (failed(Dims(*this).check("numbers", getNumbers(), {"R"})) ||
      (getFirst() && failed(verifyFirst(*this, *getFirst()))))
    return failure();
  return verifyExtent(*this, "rows", getRows(), getNumbers());
}

LogicalResult TakeRowsOp::verify() {
  Type from = getX().getType().getElementType();
  Type to = getY().getType().getElementType();
  if (from != to)
    return emitOpError() << "expected a result of " << from << ", found " << to;
  Dims dims(*this);
  if (failed(dims.check("x", getX(), {"N", "K"})) ||
      failed(dims.check("y", getY(), {"T", "K"})) ||
      failed(verifyFirst(*this, getFirst())))
    return failure();
  return verifyExtent(*this, "rows", getRows(), getY());
}

LogicalResult KeepPlacedOp::verify() {
  Dims dims(*this);
  return success(
      succeeded(dims.check("indices", getIndices(), {"T", "K"})) &&
      succeeded(dims.check("positions", getPositions(), {"T", "K"})) &&
      succeeded(dims.check("kept", getKept(), {"T", "K"})));
}

LogicalResult KeepLocalOp::verify() {
  auto error = [&] { return emitOpError(); };
  int64_t experts = getExperts(), members = getMembers();
  if (failed(verifyRange(error, "experts", experts, 1)) ||
      failed(verifyRange(error, "members", members, 1)) ||
      failed(verifyDivides(*this, "experts", experts, members)))
    return failure();
  Dims dims(*this);
  return success(succeeded(dims.check("indices", getIndices(), {"T", "K"})) &&
                 succeeded(dims.check("weights", getWeights(), {"T", "K"})) &&
                 succeeded(dims.check("member", getMember(), {})) &&
                 succeeded(dims.check("local", getLocal(), {"T", "K"})) &&
                 succeeded(dims.check("kept", getKept(), {"T", "K"})));
}
