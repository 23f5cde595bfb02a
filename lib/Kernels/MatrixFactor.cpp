//===- MatrixFactor.cpp - Factors as matrix instructions take them --------===//
//
// Part of moe-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Instructions want places of the depth side by side in a register. Where lines
// are, ldmatrix turns values of 16 bits round on their way to registers; of 32
// bits a register has one value, and each lane reads its own.
//
//===----------------------------------------------------------------------===//

#include "MatrixFactor.h"

#include "mlir/Dialect/NVGPU/IR/NVGPUDialect.h"

using namespace mlir;
using namespace moe;

namespace {
/// Rows of a stage, values of one, and how far rows are apart: so that what is
/// read at a time lies in different banks.
struct StageShape {
  int64_t rows, columns, pitch;

  StageShape(Type element, bool isAcross) {
    constexpr int64_t lines = MatrixFactor::lines;
    int64_t depth = MatrixFactor::depth(element), perCopy = depth / 4;
    rows = isAcross ? depth : lines;
    columns = isAcross ? lines : depth;
    pitch = columns + (isAcross ? 8 : perCopy);
  }
};
} // namespace

static MemRefType typeOf(Value buffer) {
  return cast<MemRefType>(buffer.getType());
}

bool MatrixFactor::fits(Value buffer) {
  if (!buffer)
    return false;
  MemRefType type = typeOf(buffer);
  int64_t columns = type.getShape().back();
  return type.getLayout().isIdentity() &&
         columns * type.getElementTypeBitWidth() % (8 * copyBytes) == 0;
}

int64_t MatrixFactor::bytes(Type element, bool isAcross) {
  StageShape stage(element, isAcross);
  return mmaStages * stage.rows * stage.pitch *
         int64_t(element.getIntOrFloatBitWidth()) / 8;
}

MatrixFactor::MatrixFactor(Emitter &e, const FactorTile &tile,
                           const TileFactor &factor, int64_t begin)
    : e(e), tile(tile), factor(factor),
      element(typeOf(factor.buffer).getElementType()),
      lane(tile.thread % double(Emitter::lanesOfWarp)) {
  StageShape stage(element, factor.isAcross);
  memory = e.shared(tile.shared, begin, element,
                    {mmaStages, stage.rows, stage.pitch});
  planCopies();
}

/// Where lines are is the same in every step.
void MatrixFactor::planCopies() {
  StageShape stage(element, factor.isAcross);
  int64_t perRow = stage.columns / perCopy();
  for (int64_t first = 0; first < stage.rows * perRow;
       first += mmaShape.threads) {
    Val number = tile.thread + double(first);
    Copy copy;
    copy.row = number / double(perRow);
    copy.column = number % double(perRow) * double(perCopy());
    Val line = factor.begin + (factor.isAcross ? copy.column : copy.row);
    copy.isInside = line < factor.end;
    // The first line of a tile is always there.
    copy.source =
        factor.at(e.select(copy.isInside, line, factor.begin), tile.depthBegin);
    copies.push_back(copy);
  }
}

void MatrixFactor::copyStep(Val begin, Val stage) const {
  auto token = nvgpu::DeviceAsyncTokenType::get(e.getContext());
  Val none = e.index(0), all = e.index(perCopy());
  for (const Copy &copy : copies) {
    Val c = begin + (factor.isAcross ? copy.row : copy.column);
    Val isInside = copy.isInside & (c < tile.depthEnd);
    SmallVector<Val, 3> source(copy.source);
    source.end()[factor.isAcross ? -2 : -1] = e.select(isInside, c, begin);
    nvgpu::DeviceAsyncCopyOp::create(
        e, token, memory, values({stage, copy.row, copy.column}), factor.buffer,
        values(source), e.getIndexAttr(perCopy()),
        e.select(isInside, all, none), e.getUnitAttr());
  }
}

/// One value of f32.
Value MatrixFactor::word(Val stage, Val place, Val line) const {
  return roundToTf32(e, e.load(memory, {stage, place, line}));
}

SmallVector<Value> MatrixFactor::fragments(Val stage, Val line,
                                           int64_t place) const {
  // Of each matrix of eight lines, a row of 16 bytes is where a lane says.
  if (!factor.isAcross)
    return loadMatrices(e, memory,
                        {stage, line + lane % 16.0,
                         lane / 16.0 * double(perCopy()) + double(place)});
  if (!element.isF32())
    return loadMatrices(e, memory,
                        {stage, lane % 8.0 + lane / 16.0 * 8.0 + double(place),
                         line + lane / 8.0 % 2.0 * 8.0},
                        /*transposed=*/true);
  SmallVector<Value> words;
  for (int64_t later : {0, 4})
    for (int64_t below : {0, 8})
      words.push_back(word(stage, lane % 4.0 + double(place + later),
                           line + lane / 4.0 + double(below)));
  return words;
}
