//===- Place.cpp - From rows of a tensor to a weight ----------------------===//
//
// Part of moe-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
// One loop for rows that stay rows, one for those that become columns, and two
// for words of eight numbers.
//
//===----------------------------------------------------------------------===//

#include "Place.h"
#include "Status.h"
#include "Turn.h"

#include <algorithm>
#include <cstring>

namespace moe::runtime {

namespace {
template <typename T> struct Same {
  using From = T;
  using To = T;
  static To convert(From value) { return value; }
};
struct Bf16ToF32 {
  using From = uint16_t;
  using To = uint32_t;
  static To convert(From value) { return uint32_t(value) << 16; }
};
struct F16ToF32 {
  using From = uint16_t;
  using To = uint32_t;
  static To convert(From value) { return f16ToF32Bits(value); }
};
struct E8m0ToF32 {
  using From = uint8_t;
  using To = uint32_t;
  static To convert(From value) { return e8m0ToF32Bits(value); }
};
struct I64ToI32 {
  using From = int64_t;
  using To = int32_t;
  static To convert(From value) {
    if (value < INT32_MIN || value > INT32_MAX)
      fail(MOE_BAD_FILE, "found ", value, ", expected a number of 32 bits");
    return static_cast<To>(value);
  }
};

template <typename T> T get(const char *from) {
  T value;
  std::memcpy(&value, from, sizeof value);
  return value;
}
template <typename T> void put(char *to, T value) {
  std::memcpy(to, &value, sizeof value);
}
} // namespace

template <typename C>
static void convertRow(const char *from, char *to, int64_t count) {
  using From = typename C::From;
  using To = typename C::To;
  if constexpr (std::is_same_v<From, To>)
    std::memcpy(to, from, size_t(count) * sizeof(To));
  else
    for (int64_t i = 0; i < count; ++i)
      put<To>(to + i * int64_t(sizeof(To)),
              C::convert(get<From>(from + i * int64_t(sizeof(From)))));
}

/// Rows of the file are outputs.
template <typename C>
static void placeStraight(const Piece &piece, const Rows &rows, char *unit) {
  int64_t skipped = piece.firstInput * int64_t(sizeof(typename C::From));
  for (int64_t row = rows.begin; row < rows.end; ++row) {
    int64_t after = row - piece.firstOutput;
    int64_t output = after / piece.outputStep;
    if (after >= 0 && after % piece.outputStep == 0 && output < piece.outputs)
      convertRow<C>(rows.data + (row - rows.begin) * rows.pitch + skipped,
                    unit + output * piece.pitch, piece.inputs);
  }
}

/// Where the file has an output of this piece.
static int64_t columnOf(const Piece &piece, int64_t output) {
  return piece.firstOutput + output * piece.outputStep;
}

/// Element by element: rows [firstRow, lastRow) and outputs from `output` on.
template <typename C>
static void turnElements(const Piece &piece, const Rows &rows, char *unit,
                         int64_t firstRow, int64_t lastRow, int64_t output) {
  using From = typename C::From;
  using To = typename C::To;
  for (; output < piece.outputs; ++output) {
    const char *from = rows.data + (firstRow - rows.begin) * rows.pitch +
                       columnOf(piece, output) * int64_t(sizeof(From));
    char *to = unit + output * piece.pitch +
               (firstRow - piece.firstInput) * int64_t(sizeof(To));
    for (int64_t row = firstRow; row < lastRow; ++row) {
      put<To>(to, C::convert(get<From>(from)));
      from += rows.pitch;
      to += sizeof(To);
    }
  }
}

/// A line of the cache of as many outputs as a tile has columns of the part.
/// Returns the first output that is left.
template <typename T>
static int64_t turnTiles(const Piece &piece, const Rows &rows, char *unit,
                         int64_t firstRow, int64_t lastRow) {
  constexpr int64_t size = Tile<T>::size;
  int64_t step = piece.outputStep;
  if (size % step != 0 || (lastRow - firstRow) % size != 0)
    return 0;
  int64_t output = 0, taken = size / step;
  // A tile reads all columns, those of the other parts too.
  for (; output + taken <= piece.outputs; output += taken) {
    int64_t column = columnOf(piece, output), first = column % step;
    for (int64_t row = firstRow; row < lastRow; row += size) {
      Tile<T> tile;
      tile.load(rows.data + (row - rows.begin) * rows.pitch +
                    (column - first) * int64_t(sizeof(T)),
                rows.pitch);
      tile.turn();
      for (int64_t i = 0; i < taken; ++i)
        tile.store(int(i * step + first),
                   unit + (output + i) * piece.pitch +
                       (row - piece.firstInput) * int64_t(sizeof(T)));
    }
  }
  return output;
}

/// Rows of the file are inputs: the few that fill a line of the cache are
/// turned together, so that it is written whole.
template <typename C>
static void placeTurned(const Piece &piece, const Rows &rows, char *unit) {
  using From = typename C::From;
  constexpr int64_t line = 64 / sizeof(typename C::To);
  for (int64_t row = rows.begin; row < rows.end; row += line) {
    int64_t lastRow = std::min(row + line, rows.end), output = 0;
    if constexpr (std::is_same_v<From, typename C::To> && sizeof(From) < 8)
      output = turnTiles<From>(piece, rows, unit, row, lastRow);
    turnElements<C>(piece, rows, unit, row, lastRow, output);
  }
}

template <typename C>
static void place(const Piece &piece, const Rows &rows, char *unit) {
  if (piece.transposed)
    placeTurned<C>(piece, rows, unit);
  else
    placeStraight<C>(piece, rows, unit);
}

/// Which of eight outputs number `i` of a word is.
static int outputOf(Conversion conversion, int i) {
  constexpr int awqOrder[] = {0, 2, 4, 6, 1, 3, 5, 7};
  bool awq = conversion == Conversion::awqWeights ||
             conversion == Conversion::awqZeros;
  return awq ? awqOrder[i] : i;
}

/// Two rows of the file are two inputs, which share a byte.
static void placeAwqWeights(const Piece &piece, const Rows &rows, char *unit) {
  int64_t first = piece.firstOutput, last = first + piece.outputs - 1;
  for (int64_t w = first / 8; w <= last / 8; ++w)
    for (int64_t row = rows.begin; row + 1 < rows.end; row += 2) {
      const char *from = rows.data + (row - rows.begin) * rows.pitch + w * 4;
      uint32_t even = get<uint32_t>(from);
      uint32_t odd = get<uint32_t>(from + rows.pitch);
      for (int i = 0; i < 8; ++i) {
        int64_t output = 8 * w + outputOf(piece.conversion, i);
        uint32_t both = (even >> 4 * i & 15) | (odd >> 4 * i & 15) << 4;
        if (output >= first && output <= last)
          put(unit + (output - first) * piece.pitch + row / 2 -
                  piece.firstInput,
              uint8_t(both));
      }
    }
}

/// A byte for each of the numbers.
static void placeZeros(const Piece &piece, const Rows &rows, char *unit) {
  int64_t first = piece.firstOutput, last = first + piece.outputs - 1;
  uint32_t less = piece.conversion == Conversion::gptqZeros;
  bool alongRows = piece.conversion == Conversion::compressedZeros;
  for (int64_t row = rows.begin; row < rows.end; ++row)
    for (int64_t column = 0; column < piece.columns; ++column) {
      int64_t word = alongRows ? row : column;
      int64_t group = (alongRows ? column : row) - piece.firstInput;
      if (word < first / 8 || word > last / 8 || group < 0 ||
          group >= piece.inputs)
        continue;
      uint32_t all = get<uint32_t>(rows.data + (row - rows.begin) * rows.pitch +
                                   column * 4);
      for (int i = 0; i < 8; ++i) {
        int64_t output = 8 * word + outputOf(piece.conversion, i);
        if (output >= first && output <= last)
          put(unit + (output - first) * piece.pitch + group,
              uint8_t((all >> 4 * i & 15) + less));
      }
    }
}

void placeRows(const Piece &piece, const Rows &rows, char *unit) {
  switch (piece.conversion) {
  case Conversion::none:
    switch (piece.fileBytes) {
    case 1:
      return place<Same<uint8_t>>(piece, rows, unit);
    case 2:
      return place<Same<uint16_t>>(piece, rows, unit);
    case 4:
      return place<Same<uint32_t>>(piece, rows, unit);
    default:
      return place<Same<uint64_t>>(piece, rows, unit);
    }
  case Conversion::bf16ToF32:
    return place<Bf16ToF32>(piece, rows, unit);
  case Conversion::f16ToF32:
    return place<F16ToF32>(piece, rows, unit);
  case Conversion::e8m0ToF32:
    return place<E8m0ToF32>(piece, rows, unit);
  case Conversion::i64ToI32:
    return place<I64ToI32>(piece, rows, unit);
  case Conversion::awqWeights:
    return placeAwqWeights(piece, rows, unit);
  case Conversion::gptqZeros:
  case Conversion::awqZeros:
  case Conversion::compressedZeros:
    return placeZeros(piece, rows, unit);
  }
}

void placeNumber(const Piece &piece, const char *number, char *unit) {
  Piece one = piece;
  one.rows = one.columns = one.outputs = one.inputs = 1;
  one.firstOutput = one.firstInput = 0;
  char converted[8];
  placeRows(one, {number, 0, 1, piece.fileBytes}, converted);
  for (int64_t output = 0; output < piece.outputs; ++output)
    for (int64_t i = 0; i < piece.inputs; ++i)
      std::memcpy(unit + output * piece.pitch + i * piece.elementBytes,
                  converted, size_t(piece.elementBytes));
}

int64_t rowsTogether(const Piece &piece) {
  // A line of the cache is written whole; and two inputs share a byte.
  bool turned = piece.transposed || piece.conversion >= Conversion::awqWeights;
  return turned ? std::max<int64_t>(64 / piece.elementBytes, 2) : 1;
}

} // namespace moe::runtime
