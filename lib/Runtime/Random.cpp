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

#include <cmath>
#include <cstring>

namespace moe::runtime {

static constexpr uint64_t step = 0x9E3779B97F4A7C15;

namespace {
struct Fill {
  uint64_t key;
  double scale; ///< bound, or unit of the exact values
  bool exact;
  DType type;
  void *to;

  int64_t small(uint64_t i) const {
    return static_cast<int64_t>((mix(key + step * (i + 1)) >> 32) % 9) - 4;
  }
  double value(uint64_t i) const {
    if (exact)
      return double(small(i)) * scale;
    uint64_t bits = mix(key + step * (i + 1)) >> 40;
    return (double(bits) * 0x1p-23 - 1) * scale;
  }
};
} // namespace

template <typename Element, typename Value>
static void fillRange(const Fill &fill, int64_t begin, int64_t end,
                      Value &&value) {
  Element *to = static_cast<Element *>(fill.to);
  for (int64_t i = begin; i < end; ++i)
    to[i] = static_cast<Element>(value(static_cast<uint64_t>(i)));
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
                              [&](uint64_t i) { return fill.small(i) + 4; });
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

static void randomize(moe_layer &layer, uint64_t seed, bool exact) {
  const Manifest &manifest = layer.manifest();
  // Into new memory and without the lock: the executor is the application's,
  // and may do anything while it waits.
  std::vector<Buffer> buffers(manifest.weights.size());
  for (size_t i = 0; i < buffers.size(); ++i) {
    const Weight &weight = manifest.weights[i];
    buffers[i].ensure(weight.byteSize);
    double scale =
        exact ? exactUnit(weight.fanIn) : 1 / std::sqrt(double(weight.fanIn));
    Fill fill{mix(seed + step) ^ fnv1a(weight.name), scale, exact, weight.dtype,
              buffers[i].data()};
    moe_parallel_for(fillPart, &fill, weight.byteSize / bytes(weight.dtype));
  }
  replaceWeights(*layer.weights, buffers);
}

} // namespace moe::runtime

using namespace moe::runtime;

moe_status moe_layer_randomize(moe_layer *layer, uint64_t seed, int exact) {
  return guard([&] {
    requireSet(layer, "layer");
    randomize(*layer, seed, exact != 0);
  });
}
