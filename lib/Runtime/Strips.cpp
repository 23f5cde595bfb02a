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

static constexpr int64_t wordBytes = 4, lineBytes = stripOutputs * wordBytes;

static int64_t rowBytes(const Tensor &tensor) {
  return tensor.shape.back() * bytes(tensor.dtype);
}

bool fillsStrips(const Tensor &tensor) {
  size_t rank = tensor.shape.size();
  return rank >= 2 && tensor.shape[rank - 2] % stripOutputs == 0 &&
         rowBytes(tensor) % (wordBytes * Tile<uint32_t>::size) == 0;
}

/// A matrix of words, turned.
static void turnWords(const char *from, int64_t rows, int64_t columns,
                      char *to) {
  using Words = Tile<uint32_t>;
  int64_t pitch = columns * wordBytes, turned = rows * wordBytes;
  for (int64_t row = 0; row < rows; row += Words::size)
    for (int64_t column = 0; column < columns; column += Words::size) {
      Words tile;
      tile.load(from + row * pitch + column * wordBytes, pitch);
      tile.turn();
      for (int i = 0; i < Words::size; ++i)
        tile.store(i, to + (column + i) * turned + row * wordBytes);
    }
}

/// In memory where it is: a strip at a time goes aside.
static void turn(void *data, const Tensor &tensor, bool toRows) {
  if (!tensor.byteSize)
    return;
  int64_t columns = rowBytes(tensor) / wordBytes, size = columns * lineBytes;
  onAllThreads(tensor.byteSize / size, [&](int64_t strip, Buffer &scratch) {
    scratch.ensure(size);
    char *values = static_cast<char *>(data) + strip * size;
    char *aside = static_cast<char *>(scratch.data());
    std::memcpy(aside, values, static_cast<size_t>(size));
    if (toRows)
      turnWords(aside, columns, stripOutputs, values);
    else
      turnWords(aside, stripOutputs, columns, values);
  });
}

void toStrips(void *data, const Tensor &tensor) { turn(data, tensor, false); }
void toRows(void *data, const Tensor &tensor) { turn(data, tensor, true); }

bool isPackedBy(const moe_layer &layer, size_t weight) {
  return layer.manifest().weights[weight].packed && !layer.device;
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
