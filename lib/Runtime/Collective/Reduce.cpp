//===- Reduce.cpp - Sums in the order of members --------------------------===//
//
// Part of moe-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
// One loop for each element type and reduction, which compilers make vectors
// of. NaN wins over numbers in maxima and minima.
//
//===----------------------------------------------------------------------===//

#include "Reduce.h"
#include "../DType.h"

namespace moe::runtime {

namespace {
/// How elements lie in memory, and what they are added as.
struct F32 {
  using Stored = float;
  using Sum = float;
  static Sum widen(Stored value) { return value; }
  static Stored narrow(Sum value) { return value; }
};
struct F64 {
  using Stored = double;
  using Sum = double;
  static Sum widen(Stored value) { return value; }
  static Stored narrow(Sum value) { return value; }
};
struct BF16 {
  using Stored = uint16_t;
  using Sum = float;
  static Sum widen(Stored value) {
    uint32_t bits = uint32_t(value) << 16;
    float out;
    std::memcpy(&out, &bits, sizeof out);
    return out;
  }
  static Stored narrow(Sum value) { return toBf16(value); }
};
struct F16 {
  using Stored = uint16_t;
  using Sum = float;
  static Sum widen(Stored value) {
    uint32_t bits = f16ToF32Bits(value);
    float out;
    std::memcpy(&out, &bits, sizeof out);
    return out;
  }
  static Stored narrow(Sum value) { return toF16(value); }
};
template <typename T> struct Integer {
  using Stored = T;
  using Sum = T;
  static Sum widen(Stored value) { return value; }
  static Stored narrow(Sum value) { return value; }
};
using I32 = Integer<int32_t>;
using I64 = Integer<int64_t>;
} // namespace

static float plus(float a, float b) { return a + b; }
static double plus(double a, double b) { return a + b; }
static int32_t plus(int32_t a, int32_t b) {
  return static_cast<int32_t>(static_cast<uint32_t>(a) +
                              static_cast<uint32_t>(b));
}
static int64_t plus(int64_t a, int64_t b) {
  return static_cast<int64_t>(static_cast<uint64_t>(a) +
                              static_cast<uint64_t>(b));
}

/// Calls `body` with the type that stands for `dtype`.
template <typename Body> static void dispatch(moe_element dtype, Body body) {
  switch (dtype) {
  case MOE_F32:
    return body(F32());
  case MOE_F64:
    return body(F64());
  case MOE_BF16:
    return body(BF16());
  case MOE_F16:
    return body(F16());
  case MOE_I32:
    return body(I32());
  case MOE_I64:
    return body(I64());
  case MOE_BYTE:
    return;
  }
}

template <typename Element>
static typename Element::Sum get(const char *from, uint64_t i) {
  typename Element::Stored value;
  std::memcpy(&value, from + i * sizeof value, sizeof value);
  return Element::widen(value);
}

template <typename Element, typename Combine>
static void combine(char *memory, const char *from, uint64_t count,
                    Combine combineTwo) {
  auto *sums = reinterpret_cast<typename Element::Sum *>(memory);
  for (uint64_t i = 0; i < count; ++i)
    sums[i] = combineTwo(sums[i], get<Element>(from, i));
}

void Accumulator::load(moe_element dtype, const char *from, uint64_t count) {
  dispatch(dtype, [&](auto element) {
    using Element = decltype(element);
    auto *sums = reinterpret_cast<typename Element::Sum *>(memory);
    for (uint64_t i = 0; i < count; ++i)
      sums[i] = get<Element>(from, i);
  });
}

void Accumulator::apply(moe_reduction reduce, moe_element dtype,
                        const char *from, uint64_t count) {
  dispatch(dtype, [&](auto element) {
    using Element = decltype(element);
    if (reduce == MOE_REDUCE_SUM)
      combine<Element>(memory, from, count,
                       [](auto a, auto b) { return plus(a, b); });
    else if (reduce == MOE_REDUCE_MAX)
      combine<Element>(memory, from, count,
                       [](auto a, auto b) { return b > a || b != b ? b : a; });
    else
      combine<Element>(memory, from, count,
                       [](auto a, auto b) { return b < a || b != b ? b : a; });
  });
}

void Accumulator::store(moe_element dtype, char *to, uint64_t count) const {
  dispatch(dtype, [&](auto element) {
    using Element = decltype(element);
    auto *sums = reinterpret_cast<const typename Element::Sum *>(memory);
    for (uint64_t i = 0; i < count; ++i) {
      typename Element::Stored value = Element::narrow(sums[i]);
      std::memcpy(to + i * sizeof value, &value, sizeof value);
    }
  });
}

} // namespace moe::runtime
