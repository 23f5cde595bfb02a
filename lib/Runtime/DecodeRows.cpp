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
#include <cmath>
#include <cstring>

namespace moe::runtime {

static float asFloat(uint32_t bits) {
  float value;
  std::memcpy(&value, &bits, sizeof value);
  return value;
}

/// Moved to the place that they have in f32, the exponent and the digits are
/// those of a number 2^120 times smaller, also where it is subnormal.
static float fromE4m3(uint8_t bits) {
  float value = asFloat(uint32_t(bits & 127) << 20) * 0x1p120f;
  value = (bits & 127) == 127 ? NAN : value;
  return bits & 128 ? -value : value;
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

/// The 16 values that four bits stand for under a scale.
static void makeTable(Coding coding, const Run &run, float *table) {
  for (int i = 0; i < 16; ++i)
    table[i] = coding == Coding::int4 ? (float(i) - run.zero) * run.scale
                                      : e2m1Values[i] * run.scale * run.global;
}

/// Inputs [begin, end) of a row, which share a scale.
static void decodeRun(Coding coding, const char *__restrict row, int64_t begin,
                      int64_t end, const Run &run, float *__restrict to) {
  const float scale = run.scale;
  if (coding == Coding::fp8_e4m3) {
    for (int64_t i = begin; i < end; ++i)
      to[i] = fromE4m3(static_cast<uint8_t>(row[i])) * scale;
  } else if (coding == Coding::int8) {
    for (int64_t i = begin; i < end; ++i)
      to[i] = float(static_cast<int8_t>(row[i])) * scale;
  } else {
    float table[16];
    makeTable(coding, run, table);
    for (int64_t i = begin; i < end; ++i)
      to[i] = table[static_cast<uint8_t>(row[i / 2]) >> (i % 2 * 4) & 15];
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

static void store(const float *__restrict values, int64_t count, DType dtype,
                  char *__restrict to) {
  if (dtype == DType::f32) {
    std::memcpy(to, values, size_t(count) * sizeof(float));
    return;
  }
  auto round = [&](auto &&toBits) {
    for (int64_t i = 0; i < count; ++i) {
      uint16_t bits = toBits(values[i]);
      std::memcpy(to + 2 * i, &bits, sizeof bits);
    }
  };
  if (dtype == DType::bf16)
    round([](float value) { return toBf16(value); });
  else
    round([](float value) { return toF16(value); });
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
