//===- Random.cpp - Random weights for tests ------------------------------===//
//
// Part of moe-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
// Test data, the same everywhere: element i of a weight depends on the seed,
// the weight's name and i alone. moe.h says how.
//
//===----------------------------------------------------------------------===//

#include "Layer.h"
#include "Status.h"
#include "moe/Support/Hash.h"

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <cstring>

namespace moe::runtime {

static constexpr uint64_t step = 0x9E3779B97F4A7C15;

namespace {
/// What the values of a weight stand for.
enum class Meaning {
  numbers,
  e4m3,    ///< u8
  nibbles, ///< u8, two codes of any kind
  scales,  ///< f32
  e8m0Scales,
  e4m3Scales,
  zeros
};

struct Fill {
  uint64_t key;
  double scale; ///< bound, or unit of the exact values
  bool exact;
  DType type;
  Meaning meaning;
  void *to;
  /// Of a slice: where its rows and columns are in the whole.
  std::vector<int64_t> rows, columns;
  int64_t rowLength = 0; ///< of the whole; 0: all of it is here

  /// Where an element is in the whole; -1: nowhere, it is zero.
  int64_t wholeIndex(int64_t i) const {
    if (!rowLength)
      return i;
    int64_t width = static_cast<int64_t>(columns.size());
    int64_t row = rows[i / width], column = columns[i % width];
    return row < 0 || column < 0 ? -1 : row * rowLength + column;
  }

  uint64_t bits(uint64_t i) const { return mix(key + step * (i + 1)); }
  int64_t small(uint64_t i) const {
    return static_cast<int64_t>((bits(i) >> 32) % 9) - 4;
  }
  int halvings(uint64_t i) const {
    return static_cast<int>((bits(i) >> 32) % 3);
  }
  double value(uint64_t i) const {
    bool isScale = meaning == Meaning::scales;
    if (exact)
      return isScale ? std::ldexp(scale, -halvings(i))
                     : double(small(i)) * scale;
    double fraction = double(bits(i) >> 40);
    return isScale ? (fraction * 0x1p-24 + 1) * scale / 8
                   : (fraction * 0x1p-23 - 1) * scale;
  }
  int64_t byte(uint64_t i) const;
};
} // namespace

int64_t Fill::byte(uint64_t i) const {
  // Codes of 0 to 4 in e4m3, and the code of 1 there.
  constexpr uint8_t magnitudes[] = {0, 0x38, 0x40, 0x44, 0x48}, one = 0x38;
  switch (meaning) {
  case Meaning::e4m3:
    return magnitudes[std::abs(small(i))] | (small(i) < 0 ? 0x80 : 0);
  case Meaning::nibbles:
    return bits(i) >> 32 & 0xFF;
  case Meaning::e8m0Scales:
    return 127 + std::ilogb(scale) - halvings(i);
  case Meaning::e4m3Scales:
    return one - 8 * halvings(i);
  case Meaning::zeros:
    return small(i) + 8;
  case Meaning::numbers:
  case Meaning::scales:
    break;
  }
  return small(i) + 4;
}

template <typename Element, typename Value>
static void fillRange(const Fill &fill, int64_t begin, int64_t end,
                      Value &&value) {
  Element *to = static_cast<Element *>(fill.to);
  for (int64_t i = begin; i < end; ++i) {
    int64_t at = fill.wholeIndex(i);
    to[i] = at < 0 ? Element(0)
                   : static_cast<Element>(value(static_cast<uint64_t>(at)));
  }
}

static void fillPart(void *context, int64_t begin, int64_t end) {
  const Fill &fill = *static_cast<const Fill *>(context);
  auto real = [&](uint64_t i) { return fill.value(i); };
  auto whole = [&](uint64_t i) { return fill.small(i); };
  switch (fill.type) {
  case DType::f32:
    return fillRange<float>(fill, begin, end, real);
  case DType::f64:
    return fillRange<double>(fill, begin, end, real);
  case DType::bf16:
    return fillRange<uint16_t>(fill, begin, end, [&](uint64_t i) {
      return toBf16(static_cast<float>(fill.value(i)));
    });
  case DType::f16:
    return fillRange<uint16_t>(fill, begin, end, [&](uint64_t i) {
      return toF16(static_cast<float>(fill.value(i)));
    });
  case DType::i8:
    return fillRange<int8_t>(fill, begin, end, whole);
  case DType::u8:
    return fillRange<uint8_t>(fill, begin, end,
                              [&](uint64_t i) { return fill.byte(i); });
  case DType::i32: // the experts of a table
    return fillRange<int32_t>(fill, begin, end,
                              [&](uint64_t i) { return fill.small(i) + 4; });
  case DType::i64:
    return fillRange<int64_t>(fill, begin, end, whole);
  }
}

/// 2^-s of the exact values.
static double exactUnit(int64_t fanIn) {
  int s = 2;
  while (s < 33 && (int64_t(1) << 2 * (s - 2)) < fanIn)
    ++s;
  return std::ldexp(1.0, -s);
}

/// Section 5.1 of docs/Spec.md names the parts of a weight and says how long
/// their rows are.
static Meaning meaningOf(const Weight &weight) {
  bool isByte = weight.dtype == DType::u8;
  int64_t row = weight.shape.empty() ? 1 : weight.wholeShape().back();
  auto isCalled = [&](std::string_view suffix) {
    return weight.name.size() >= suffix.size() &&
           weight.name.compare(weight.name.size() - suffix.size(),
                               suffix.size(), suffix) == 0;
  };
  if (weight.dtype == DType::f32 &&
      (isCalled(".scales") || isCalled(".global_scale")))
    return Meaning::scales;
  if (isByte && isCalled(".scales"))
    return row == weight.fanIn / 32 ? Meaning::e8m0Scales : Meaning::e4m3Scales;
  if (isByte && isCalled(".zeros"))
    return Meaning::zeros;
  if (isByte && isCalled(".weight") && row == weight.fanIn)
    return Meaning::e4m3;
  if (isByte && isCalled(".weight") && row == weight.fanIn / 2)
    return Meaning::nibbles;
  return Meaning::numbers;
}

static void place(const Slice &slice, Fill &fill) {
  size_t last = slice.indices.empty() ? 0 : slice.indices.size() - 1;
  fill.rows = slice.product(0, last);
  fill.columns = slice.product(last, slice.indices.size());
  fill.rowLength = slice.indices.empty() ? 1 : slice.whole[last];
  if (slice.zero)
    std::fill(fill.rows.begin(), fill.rows.end(), -1);
}

static void randomize(moe_layer &layer, uint64_t seed, bool exact) {
  const Manifest &manifest = layer.manifest();
  // Into new memory and without the lock: the executor is the application's,
  // and may do anything while it waits.
  std::vector<Buffer> buffers(manifest.weights.size());
  for (size_t i = 0; i < buffers.size(); ++i) {
    const Weight &weight = manifest.weights[i];
    buffers[i].ensure(weight.byteSize);
    Meaning meaning = meaningOf(weight);
    double scale = exact || meaning == Meaning::e8m0Scales
                       ? exactUnit(weight.fanIn)
                       : 1 / std::sqrt(double(weight.fanIn));
    Fill fill{mix(seed + step) ^ fnv1a(weight.name),
              scale,
              exact,
              weight.dtype,
              meaning,
              buffers[i].data(),
              {},
              {}};
    if (weight.shard)
      place(layer.slices[i], fill);
    moe_parallel_for(fillPart, &fill, weight.byteSize / bytes(weight.dtype));
  }
  replaceWeights(layer, buffers);
}

} // namespace moe::runtime

using namespace moe::runtime;

moe_status moe_layer_randomize(moe_layer *layer, uint64_t seed, int exact) {
  return guard([&] {
    requireSet(layer, "layer");
    randomize(*layer, seed, exact != 0);
  });
}
