//===- Cut.cpp - What a rank takes of a weight's pieces -------------------===//
//
// Part of moe-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
// Units, outputs and inputs of a slice are runs of those of the whole. A piece
// is cut where it meets each box of three runs.
//
//===----------------------------------------------------------------------===//

#include "Cut.h"
#include "Status.h"

#include <algorithm>

namespace moe::runtime {

namespace {
/// Part of a piece, in the piece's own numbers, and where it goes.
struct Box {
  IndexRun units, outputs, inputs;
};

class Cutter {
public:
  Cutter(const Target &whole, const Slice &slice)
      : elementBytes(bytes(whole.dtype)), outputs(whole.outputs),
        inputs(whole.inputs) {
    size_t rank = slice.indices.size();
    runs[0] = take(slice, 0, whole.outputAxis, nullptr);
    runs[1] = take(slice, whole.outputAxis, whole.inputAxis, &partOutputs);
    runs[2] = take(slice, whole.inputAxis, rank, &partInputs);
  }

  void cut(const Piece &piece, std::vector<Piece> &parts) const {
    visit(piece, [&](const Box &box) {
      Piece part = piece;
      part.firstUnit += box.units.from;
      part.firstOutput += box.outputs.from * piece.outputStep;
      if (!piece.broadcast)
        part.firstInput += elementsOf(piece, box.inputs.from);
      part.inputs = elementsOf(piece, box.inputs.count);
      part.units = box.units.count;
      part.outputs = box.outputs.count;
      place(box, part);
      parts.push_back(part);
    });
  }

  void cut(const DecodedPiece &piece, std::vector<DecodedPiece> &parts) const {
    visit(piece, [&](const Box &box) {
      DecodedPiece part = piece;
      part.taken = {box.units.from,  box.outputs.from,  box.inputs.from,
                    box.units.count, box.outputs.count, box.inputs.count};
      place(box, part);
      parts.push_back(std::move(part));
    });
  }

private:
  static std::vector<IndexRun> take(const Slice &slice, size_t begin,
                                    size_t end, int64_t *count) {
    std::vector<int64_t> indices = slice.product(begin, end);
    if (count)
      *count = int64_t(indices.size());
    return runsOf(indices);
  }

  /// What a run has of [begin, begin + count), counted from there.
  static IndexRun meet(const IndexRun &run, int64_t begin, int64_t count) {
    int64_t from = std::max(run.from, begin);
    int64_t end = std::min(run.from + run.count, begin + count);
    return {from - begin, run.to + from - run.from, end - from};
  }

  /// Calls `visit(box)` for each part that is not empty.
  template <typename AnyPiece, typename Visit>
  void visit(const AnyPiece &piece, Visit &&visit) const {
    int64_t row = inputs * elementBytes;
    if (row == 0 || outputs == 0)
      return;
    int64_t unit = piece.begin / (row * outputs);
    int64_t output = piece.begin / row % outputs;
    for (const IndexRun &units : runs[0])
      for (const IndexRun &rows : runs[1])
        for (const IndexRun &columns : runs[2]) {
          Box box = {meet(units, unit, piece.units),
                     meet(rows, output, piece.outputs), columns};
          if (box.units.count > 0 && box.outputs.count > 0)
            visit(box);
        }
  }

  template <typename AnyPiece>
  void place(const Box &box, AnyPiece &part) const {
    part.pitch = partInputs * elementBytes;
    part.unitStride = partOutputs * part.pitch;
    part.begin = box.units.to * part.unitStride + box.outputs.to * part.pitch +
                 box.inputs.to * elementBytes;
  }

  /// Inputs of the weight in elements of the piece, which may be words.
  int64_t elementsOf(const Piece &piece, int64_t count) const {
    int64_t size = count * elementBytes;
    if (size % piece.elementBytes != 0)
      fail(MOE_SHAPE_MISMATCH, piece.tensor.where(),
           "words of eight numbers cannot be split after ", 2 * count,
           " inputs");
    return size / piece.elementBytes;
  }

  int64_t elementBytes, outputs, inputs;
  int64_t partOutputs = 1, partInputs = 1;
  std::vector<IndexRun> runs[3]; ///< units, outputs, inputs
};
} // namespace

WeightPieces cut(const WeightPieces &pieces, const Target &whole,
                 const Slice &slice) {
  WeightPieces parts;
  if (slice.zero)
    return parts;
  Cutter cutter(whole, slice);
  for (const Piece &piece : pieces.plain)
    cutter.cut(piece, parts.plain);
  for (const DecodedPiece &piece : pieces.decoded)
    cutter.cut(piece, parts.decoded);
  return parts;
}

} // namespace moe::runtime
