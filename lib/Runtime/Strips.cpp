//===- Strips.cpp - Packed weights ----------------------------------------===//
//
// Part of moe-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Strips.h"
#include "Threads.h"
#include "Turn.h"

namespace moe::runtime {

static int64_t rowBytes(const Tensor &tensor) {
  return tensor.shape.back() * bytes(tensor.dtype);
}

bool fillsStrips(const Tensor &tensor, StripOrder order) {
  size_t rank = tensor.shape.size();
  int64_t outputs = stripOutputs * stripsTogether(order);
  return rank >= 2 && tensor.shape[rank - 2] % outputs == 0 &&
         rowBytes(tensor) % unitBytes(order) == 0;
}

namespace {
/// Where a matrix is, and how many bytes a row is after the one before.
struct StripRows {
  char *first;
  int64_t pitch;
};
} // namespace

/// A matrix of units, turned.
template <typename Unit>
static void turnUnits(StripRows from, int64_t rows, int64_t columns,
                      StripRows to) {
  constexpr int64_t bytes = sizeof(Unit), size = Tile<Unit>::size;
  auto source = [&](int64_t row, int64_t column) {
    return from.first + row * from.pitch + column * bytes;
  };
  auto target = [&](int64_t column, int64_t row) {
    return to.first + column * to.pitch + row * bytes;
  };
  int64_t wholeRows = rows / size * size, whole = columns / size * size;
  for (int64_t row = 0; row < wholeRows; row += size)
    for (int64_t column = 0; column < whole; column += size) {
      Tile<Unit> tile;
      tile.load(source(row, column), from.pitch);
      tile.turn();
      for (int64_t i = 0; i < size; ++i)
        tile.store(int(i), target(column + i, row));
    }
  for (int64_t row = 0; row < rows; ++row)
    for (int64_t column = row < wholeRows ? whole : 0; column < columns;
         ++column)
      std::memcpy(target(column, row), source(row, column), bytes);
}

/// The bits of `mask` change places with those `shift` above them.
static uint32_t swapBits(uint32_t word, uint32_t mask, int shift) {
  uint32_t differ = (word ^ word >> shift) & mask;
  return word ^ differ ^ differ << shift;
}

/// Eight values 0 1 2 3 4 5 6 7 become 0 2 4 6 1 3 5 7, or the other way.
static void orderNibbles(char *words, int64_t count, bool back) {
  for (int64_t i = 0; i < count; ++i) {
    uint32_t word;
    std::memcpy(&word, words + 4 * i, 4);
    if (back)
      word = swapBits(swapBits(word, 0xFF00, 8), 0x00F000F0, 4);
    else
      word = swapBits(swapBits(word, 0x00F000F0, 4), 0xFF00, 8);
    std::memcpy(words + 4 * i, &word, 4);
  }
}

/// In memory where it is: a strip, or a pair of strips, at a time goes aside.
static void turn(void *data, const Weight &weight, bool toRows) {
  if (!weight.byteSize)
    return;
  int64_t row = rowBytes(weight), together = stripsTogether(weight.packed);
  int64_t unit = unitBytes(weight.packed), columns = row / unit;
  int64_t strip = row * stripOutputs, size = strip * together;
  auto turned = unit == 1 ? turnUnits<uint8_t> : turnUnits<uint32_t>;
  bool isOfNibbles = unpaired(weight.packed) == StripOrder::nibbles;
  onAllThreads(weight.byteSize / size, [&](int64_t number, Buffer &scratch) {
    scratch.ensure(size);
    char *values = static_cast<char *>(data) + number * size;
    char *aside = static_cast<char *>(scratch.data());
    std::memcpy(aside, values, static_cast<size_t>(size));
    if (isOfNibbles)
      orderNibbles(aside, size / unit, toRows);
    for (int64_t i = 0; i < together; ++i) {
      auto outputs = [&](char *rows) {
        return StripRows{rows + i * row, together * row};
      };
      auto units = [&](char *strips) {
        return StripRows{strips + i * strip, stripOutputs * unit};
      };
      if (toRows)
        turned(units(aside), columns, stripOutputs, outputs(values));
      else
        turned(outputs(aside), stripOutputs, columns, units(values));
    }
  });
}

void toStrips(void *data, const Weight &weight) { turn(data, weight, false); }
void toRows(void *data, const Weight &weight) { turn(data, weight, true); }

bool isPackedBy(const moe_layer &layer, size_t weight) {
  return layer.manifest().weights[weight].packed != StripOrder::rows &&
         !layer.device;
}

void *rowsOf(const moe_layer &layer, size_t weight) {
  const SharedWeights::Slot &slot = layer.weights->slots[weight];
  const Weight &tensor = layer.manifest().weights[weight];
  RowsOfWeight &rows = layer.rowsOfWeights[weight];
  if (rows.version != slot.version) {
    rows.data.ensure(tensor.byteSize);
    std::memcpy(rows.data.data(), slot.data(),
                static_cast<size_t>(tensor.byteSize));
    toRows(rows.data.data(), tensor);
    rows.version = slot.version;
  }
  return rows.data.data();
}

} // namespace moe::runtime
