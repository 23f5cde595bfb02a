//===- Array.cpp - A tensor with its data ---------------------------------===//
//
// Part of moe-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
// Element access by type. Speed does not matter here, exactness does.
//
//===----------------------------------------------------------------------===//

#include "Array.h"
#include "moe/Support/Hash.h"

#include <cmath>
#include <cstring>

namespace moe::run {

Array::Array(DType type, std::vector<int64_t> sizes)
    : dtype(type), shape(std::move(sizes)) {
  std::optional<int64_t> size =
      runtime::byteCount(shape.data(), shape.size(), dtype);
  if (!size)
    throw RunError("a tensor of shape " + runtime::describe(shape) +
                   " is too large");
  data.resize(static_cast<size_t>(*size));
}

template <typename T> static T load(const char *from) {
  T value;
  std::memcpy(&value, from, sizeof value);
  return value;
}

template <typename T> static void store(char *to, T value) {
  std::memcpy(to, &value, sizeof value);
}

static double fromF16(uint16_t bits) {
  int exponent = bits >> 10 & 31, fraction = bits & 1023;
  double value = exponent == 31 ? (fraction ? NAN : INFINITY)
                 : exponent     ? std::ldexp(1024 + fraction, exponent - 25)
                                : std::ldexp(fraction, -24);
  return bits & 0x8000 ? -value : value;
}

/// To f32 so that a second rounding, to a narrower type, cannot be off: of the
/// two neighbours the one with an odd last bit, where the value is between.
static float toOddF32(double value) {
  float near = static_cast<float>(value);
  if (!std::isfinite(near) || static_cast<double>(near) == value)
    return near;
  uint32_t bits;
  std::memcpy(&bits, &near, sizeof bits);
  if (bits & 1)
    return near;
  float towards = static_cast<double>(near) < value ? INFINITY : -INFINITY;
  return std::nextafter(near, towards);
}

double Array::get(int64_t i) const {
  const char *at = data.data() + i * bytes(dtype);
  switch (dtype) {
  case DType::f32:
    return load<float>(at);
  case DType::f64:
    return load<double>(at);
  case DType::bf16: {
    uint32_t wide = uint32_t(load<uint16_t>(at)) << 16;
    return load<float>(reinterpret_cast<const char *>(&wide));
  }
  case DType::f16:
    return fromF16(load<uint16_t>(at));
  case DType::i8:
    return load<int8_t>(at);
  case DType::u8:
    return load<uint8_t>(at);
  case DType::i32:
    return load<int32_t>(at);
  case DType::i64:
    return static_cast<double>(load<int64_t>(at));
  }
  return 0;
}

void Array::set(int64_t i, double value) {
  char *at = data.data() + i * bytes(dtype);
  switch (dtype) {
  case DType::f32:
    return store(at, static_cast<float>(value));
  case DType::f64:
    return store(at, value);
  case DType::bf16:
    return store(at, runtime::toBf16(toOddF32(value)));
  case DType::f16:
    return store(at, runtime::toF16(toOddF32(value)));
  case DType::i8:
    return store(at, static_cast<int8_t>(value));
  case DType::u8:
    return store(at, static_cast<uint8_t>(value));
  case DType::i32:
    return store(at, static_cast<int32_t>(value));
  case DType::i64:
    return store(at, static_cast<int64_t>(value));
  }
}

DLTensor Array::view() {
  DLTensor view = {};
  view.data = data.data();
  view.device = {kDLCPU, 0};
  view.ndim = static_cast<int32_t>(shape.size());
  view.dtype = runtime::dlpack(dtype);
  view.shape = shape.data();
  return view;
}

Array copyOf(const DLTensor &view) {
  std::optional<DType> dtype = runtime::dtypeOf(view.dtype);
  if (!dtype)
    throw RunError("a tensor of " + runtime::describe(view.dtype) +
                   " cannot be read");
  Array array(*dtype, {view.shape, view.shape + view.ndim});
  if (!array.data.empty())
    std::memcpy(array.data.data(),
                static_cast<const char *>(view.data) + view.byte_offset,
                array.data.size());
  return array;
}

bool isFloat(DType dtype) {
  return dtype == DType::f32 || dtype == DType::f64 || dtype == DType::bf16 ||
         dtype == DType::f16;
}

/// Integers do not go through f64, which has 53 bits.
static int64_t integer(const Array &array, int64_t i) {
  return array.dtype == DType::i64 ? load<int64_t>(array.data.data() + 8 * i)
                                   : static_cast<int64_t>(array.get(i));
}

Array convert(const Array &from, DType dtype, const std::string &name) {
  if (from.dtype == dtype)
    return from;
  auto refuse = [&](const std::string &reason) {
    throw RunError("'" + name + "' is " + runtime::name(from.dtype) +
                   " and cannot become " + runtime::name(dtype) + reason);
  };
  if (isFloat(from.dtype) != isFloat(dtype))
    refuse("");
  Array to(dtype, from.shape);
  for (int64_t i = 0, e = from.count(); i < e; ++i) {
    if (isFloat(dtype)) {
      to.set(i, from.get(i));
      continue;
    }
    int64_t value = integer(from, i);
    if (dtype == DType::i64)
      store(to.data.data() + 8 * i, value);
    else
      to.set(i, static_cast<double>(value));
    if (integer(to, i) != value)
      refuse(": " + std::to_string(value) + " does not fit");
  }
  return to;
}

void fillRandom(Array &array, uint64_t seed, const std::string &name,
                bool exact, uint64_t limit) {
  uint64_t key = fnv1a("input " + name) ^ mix(seed + 0x9E3779B97F4A7C15);
  for (int64_t i = 0, e = array.count(); i < e; ++i) {
    uint64_t z = mix(key + 0x9E3779B97F4A7C15 * (uint64_t(i) + 1));
    double value = !isFloat(array.dtype) ? double((z >> 32) % limit)
                   : exact               ? (double((z >> 32) % 17) - 8) / 8
                                         : double(z >> 40) * 0x1p-23 - 1;
    if (array.dtype == DType::i8 || array.dtype == DType::u8)
      value = double((z >> 32) % 128);
    array.set(i, value);
  }
}

std::string describe(const Array &array) {
  return std::string(runtime::name(array.dtype)) + " " +
         runtime::describe(array.shape);
}

} // namespace moe::run
