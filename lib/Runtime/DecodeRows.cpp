//===- DecodeRows.cpp - Values of quantised weights -----------------------===//
//
// Part of moe-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
// What is under one scale is computed in f32 and rounded once more to the type
// of the weight. As there are few codes, that is done once for each of them
// where the scale is that of more weights than there are codes.
//
//===----------------------------------------------------------------------===//

#include "DecodeRows.h"

#include <algorithm>
#include <cmath>
#include <cstring>

namespace moe::runtime {

static float asFloat(uint32_t bits) {
  float value;
  std::memcpy(&value, &bits, sizeof value);
  return value;
}

static uint32_t asBits(float value) {
  uint32_t bits;
  std::memcpy(&bits, &value, sizeof bits);
  return bits;
}

/// Without branches and without the small numbers that machines are slow with:
/// what has no leading one is given one, which is then taken away. The bits of
/// NaN come out as those of 480 at first.
static float fromE4m3(uint8_t bits) {
  uint32_t digits = bits & 127, small = digits < 8, nan = digits == 127;
  float one = asFloat(small * asBits(0x1p-6f));
  float value = asFloat((digits << 20) + ((120 + small) << 23)) - one;
  uint32_t magnitude = asBits(value) + nan * (0x7fc00000 - asBits(480));
  return asFloat(magnitude | uint32_t(bits & 128) << 24);
}

static constexpr float e2m1Values[] = {0,    .5f,  1,  1.5f,  2,  3,  4,  6,
                                       -0.f, -.5f, -1, -1.5f, -2, -3, -4, -6};

namespace {
/// What one scale stands for.
struct Run {
  float scale, global, zero;
};

/// Codes of a byte.
struct E4m3 {
  static float value(char code) { return fromE4m3(static_cast<uint8_t>(code)); }
};
struct Int8 {
  static float value(char code) { return float(static_cast<int8_t>(code)); }
};

/// Types of weights.
struct ToF32 {
  using Type = float;
  static float round(float value) { return value; }
};
struct ToBf16 {
  using Type = uint16_t;
  static uint16_t round(float value) { return toBf16(value); }
};
struct ToF16 {
  using Type = uint16_t;
  static uint16_t round(float value) { return toF16(value); }
};

template <typename T> T at(const char *array, int64_t index) {
  T value;
  std::memcpy(&value, array + index * int64_t(sizeof value), sizeof value);
  return value;
}
} // namespace

static Run runOf(const DecodedPiece &piece, const QuantisedUnit &unit,
                 int64_t scale) {
  Run run = {1, 1, 8};
  switch (piece.decode.coding) {
  case Coding::mxfp4:
    run.scale = asFloat(e8m0ToF32Bits(at<uint8_t>(unit.scales, scale)));
    return run;
  case Coding::nvfp4:
    run.scale = fromE4m3(at<uint8_t>(unit.scales, scale));
    run.global = at<float>(unit.globalScale, 0);
    return run;
  default:
    run.scale = at<float>(unit.scales, scale);
    if (piece.decode.zeroPoints)
      run.zero = at<uint8_t>(unit.zeros, scale);
    return run;
  }
}

namespace {
template <typename To> class Decoder {
public:
  using T = typename To::Type;

  Decoder(const DecodedPiece &piece, const QuantisedUnit &unit, char *to)
      : piece(piece), taken(piece.taken), unit(unit), to(to),
        coding(piece.decode.coding),
        bytesOfCodes(coding == Coding::fp8_e4m3 || coding == Coding::int8),
        width(coding == Coding::mxfp4   ? 32
              : coding == Coding::nvfp4 ? 16
              : piece.decode.inputs     ? piece.decode.inputs
                                        : std::max<int64_t>(piece.inputs, 1)),
        height(piece.hasByteScales()  ? 1
               : piece.decode.outputs ? piece.decode.outputs
                                      : std::max<int64_t>(piece.outputs, 1)),
        rowBytes(piece.weightBytes() / std::max<int64_t>(piece.outputs, 1)) {}

  void decode(int64_t begin, int64_t end) const {
    for (int64_t row = begin, next = 0; row < end; row = next) {
      next = std::min(row - row % height + height, end);
      int64_t shared = (next - row) * std::min(width, piece.inputs);
      bool tabled = !bytesOfCodes || shared > 512;
      // Without a table nothing is gained from rows that are not whole.
      if (!tabled)
        next = row + 1;
      int64_t end = taken.firstInput + taken.inputs;
      for (int64_t i = taken.firstInput, last = i; i < end; i = last) {
        int64_t c = i / width;
        Run run = runOf(piece, unit, row / height * piece.scaleColumns() + c);
        last = std::min((c + 1) * width, end);
        if (!tabled)
          scaleRun(row, i, last, run.scale);
        else if (bytesOfCodes)
          lookUpBytes(row, next, i, last, run.scale);
        else
          lookUpHalves(row, next, i, last, run);
      }
    }
  }

private:
  const char *rowOf(int64_t row) const {
    return unit.weights + (row - unit.firstRow) * rowBytes;
  }
  char *place(int64_t row, int64_t input) const {
    return to + (row - taken.firstOutput) * piece.pitch +
           (input - taken.firstInput) * int64_t(sizeof(T));
  }

  /// The values of bytes, in vectors.
  template <typename Code>
  void scale(const char *__restrict codes, int64_t count, float scale,
             T *__restrict values) const {
    for (int64_t i = 0; i < count; ++i)
      values[i] = To::round(Code::value(codes[i]) * scale);
  }

  void scaleBytes(const char *codes, int64_t count, float by, T *values) const {
    if (coding == Coding::int8)
      scale<Int8>(codes, count, by, values);
    else
      scale<E4m3>(codes, count, by, values);
  }

  void scaleRun(int64_t row, int64_t begin, int64_t end, float by) const {
    constexpr int64_t step = 256;
    T values[step];
    for (int64_t i = begin; i < end; i += step) {
      int64_t count = std::min(step, end - i);
      scaleBytes(rowOf(row) + i, count, by, values);
      std::memcpy(place(row, i), values, size_t(count) * sizeof(T));
    }
  }

  void lookUpBytes(int64_t row, int64_t lastRow, int64_t begin, int64_t end,
                   float by) const {
    char codes[256];
    for (int i = 0; i < 256; ++i)
      codes[i] = static_cast<char>(i);
    T table[256];
    scaleBytes(codes, 256, by, table);
    for (; row < lastRow; ++row) {
      const char *__restrict from = rowOf(row) + begin;
      char *__restrict next = place(row, begin);
      for (int64_t i = 0; i < end - begin; ++i)
        put(next + i * int64_t(sizeof(T)),
            table[static_cast<uint8_t>(from[i])]);
    }
  }

  void lookUpHalves(int64_t row, int64_t lastRow, int64_t begin, int64_t end,
                    const Run &run) const {
    T table[16];
    for (int i = 0; i < 16; ++i)
      table[i] = To::round(coding == Coding::int4
                               ? (float(i) - run.zero) * run.scale
                               : e2m1Values[i] * run.scale * run.global);
    for (; row < lastRow; ++row) {
      const char *from = rowOf(row);
      auto one = [&](int64_t i) {
        put(place(row, i),
            table[static_cast<uint8_t>(from[i / 2]) >> (i % 2 * 4) & 15]);
      };
      int64_t first = begin + begin % 2, last = end - end % 2;
      if (first != begin)
        one(begin);
      char *__restrict next = place(row, first);
      for (int64_t i = first / 2; i < last / 2; ++i) {
        uint8_t both = static_cast<uint8_t>(from[i]);
        const T pair[] = {table[both & 15], table[both >> 4]};
        std::memcpy(next, pair, sizeof pair);
        next += sizeof pair;
      }
      if (last != end)
        one(last);
    }
  }

  static void put(char *place, T value) {
    std::memcpy(place, &value, sizeof value);
  }

  const DecodedPiece &piece;
  const DecodedPiece::Taken &taken;
  const QuantisedUnit &unit;
  char *to;
  Coding coding;
  bool bytesOfCodes;     ///< not halves of them
  int64_t width, height; ///< of what shares a scale
  int64_t rowBytes;
};
} // namespace

void decodeRows(const DecodedPiece &piece, const QuantisedUnit &unit,
                int64_t begin, int64_t end, char *to) {
  if (piece.dtype == DType::f32)
    Decoder<ToF32>(piece, unit, to).decode(begin, end);
  else if (piece.dtype == DType::bf16)
    Decoder<ToBf16>(piece, unit, to).decode(begin, end);
  else
    Decoder<ToF16>(piece, unit, to).decode(begin, end);
}

} // namespace moe::runtime
