//===- DecodeRows.cpp - Values of quantised weights -----------------------===//
//
// Part of moe-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
// A run of inputs under one scale is decoded in f32 and rounded once more to
// the type of the weight.
//
//===----------------------------------------------------------------------===//

#include "DecodeRows.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstring>

namespace moe::runtime {

static float asFloat(uint32_t bits) {
  float value;
  std::memcpy(&value, &bits, sizeof value);
  return value;
}

static float fromE4m3(int bits) {
  int exponent = bits >> 3 & 15, significand = bits & 7;
  float value = exponent == 15 && significand == 7 ? NAN
                : exponent ? std::ldexp(float(8 + significand), exponent - 10)
                           : std::ldexp(float(significand), -9);
  return bits & 128 ? -value : value;
}

static const std::array<float, 256> &e4m3Values() {
  static const std::array<float, 256> values = [] {
    std::array<float, 256> table;
    for (int i = 0; i < 256; ++i)
      table[size_t(i)] = fromE4m3(i);
    return table;
  }();
  return values;
}

static constexpr float e2m1Values[] = {0,    .5f,  1,  1.5f,  2,  3,  4,  6,
                                       -0.f, -.5f, -1, -1.5f, -2, -3, -4, -6};

namespace {
/// What one scale stands for.
struct Run {
  float scale, global, zero;
};

template <typename T> T at(const char *array, int64_t index) {
  T value;
  std::memcpy(&value, array + index * int64_t(sizeof value), sizeof value);
  return value;
}
} // namespace

static int nibble(const char *row, int64_t input) {
  return static_cast<uint8_t>(row[input / 2]) >> (input % 2 * 4) & 15;
}

/// Inputs [begin, end) of a row, which share a scale.
static void decodeRun(Coding coding, const char *row, int64_t begin,
                      int64_t end, const Run &run, float *to) {
  switch (coding) {
  case Coding::fp8_e4m3: {
    const std::array<float, 256> &values = e4m3Values();
    for (int64_t i = begin; i < end; ++i)
      to[i] = values[static_cast<uint8_t>(row[i])] * run.scale;
    return;
  }
  case Coding::int8:
    for (int64_t i = begin; i < end; ++i)
      to[i] = float(static_cast<int8_t>(row[i])) * run.scale;
    return;
  case Coding::int4:
    for (int64_t i = begin; i < end; ++i)
      to[i] = (float(nibble(row, i)) - run.zero) * run.scale;
    return;
  case Coding::mxfp4:
  case Coding::nvfp4:
    for (int64_t i = begin; i < end; ++i)
      to[i] = e2m1Values[nibble(row, i)] * run.scale * run.global;
    return;
  }
}

static Run runOf(const DecodedPiece &piece, const QuantisedUnit &unit,
                 int64_t scale) {
  Run run = {1, 1, 8};
  switch (piece.decode.coding) {
  case Coding::mxfp4:
    run.scale = asFloat(e8m0ToF32Bits(at<uint8_t>(unit.scales, scale)));
    return run;
  case Coding::nvfp4:
    run.scale = e4m3Values()[at<uint8_t>(unit.scales, scale)];
    run.global = at<float>(unit.globalScale, 0);
    return run;
  default:
    run.scale = at<float>(unit.scales, scale);
    if (piece.decode.zeroPoints)
      run.zero = at<uint8_t>(unit.zeros, scale);
    return run;
  }
}

static void store(const float *values, int64_t count, DType dtype, char *to) {
  if (dtype == DType::f32) {
    std::memcpy(to, values, size_t(count) * sizeof(float));
    return;
  }
  for (int64_t i = 0; i < count; ++i) {
    uint16_t bits = dtype == DType::bf16 ? toBf16(values[i]) : toF16(values[i]);
    std::memcpy(to + 2 * i, &bits, sizeof bits);
  }
}

void decodeRows(const DecodedPiece &piece, const QuantisedUnit &unit,
                int64_t begin, int64_t end, char *to) {
  int64_t columns = piece.scaleColumns();
  int64_t block = piece.decode.coding == Coding::mxfp4   ? 32
                  : piece.decode.coding == Coding::nvfp4 ? 16
                                                         : piece.decode.inputs;
  if (block == 0)
    block = std::max<int64_t>(piece.inputs, 1);
  int64_t outputsOfBlock = piece.hasByteScales()       ? 1
                           : piece.decode.outputs == 0 ? piece.outputs
                                                       : piece.decode.outputs;
  int64_t rowBytes = piece.weightBytes() / std::max<int64_t>(piece.outputs, 1);
  std::vector<float> values(static_cast<size_t>(piece.inputs));
  for (int64_t output = begin; output < end; ++output) {
    const char *row = unit.weights + output * rowBytes;
    for (int64_t i = 0, c = 0; i < piece.inputs; i += block, ++c) {
      Run run = runOf(piece, unit, output / outputsOfBlock * columns + c);
      decodeRun(piece.decode.coding, row, i, std::min(i + block, piece.inputs),
                run, values.data());
    }
    store(values.data(), piece.inputs, piece.dtype,
          to + output * piece.inputs * bytes(piece.dtype));
  }
}

} // namespace moe::runtime
