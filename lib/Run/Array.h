//===- Array.h - A tensor with its data -------------------------*- C++ -*-===//
//
// Part of moe-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
// Arrays of any element type, and conversions between types through f64.
//
//===----------------------------------------------------------------------===//

#ifndef MOE_LIB_RUN_ARRAY_H
#define MOE_LIB_RUN_ARRAY_H

#include "../Runtime/DType.h"

#include <stdexcept>
#include <string>
#include <vector>

namespace moe::run {

using runtime::DType;

/// Anything that ends a run: the text after "moe-run: error: ".
struct RunError : std::runtime_error {
  using std::runtime_error::runtime_error;
};

struct Array {
  Array() = default;
  /// Zeros; fails where the size overflows.
  Array(DType dtype, std::vector<int64_t> shape);

  int64_t count() const { return int64_t(data.size()) / bytes(dtype); }
  double get(int64_t i) const;
  /// Rounds to nearest, ties to even.
  void set(int64_t i, double value);
  /// The tensor that the runtime takes, pointing into this array.
  DLTensor view();

  DType dtype = DType::f32;
  std::vector<int64_t> shape;
  std::vector<char> data;
};

/// A copy of what a view shows.
Array copyOf(const DLTensor &view);
/// The values in another type; only floats to floats and integers to integers.
Array convert(const Array &from, DType dtype, const std::string &name);
bool isFloat(DType dtype);
/// Between -1 and 1 (with `exact`, multiples of 1/8), integers below `limit`;
/// the same for the same seed and name.
void fillRandom(Array &array, uint64_t seed, const std::string &name,
                bool exact, uint64_t limit);
/// "bf16 [2, 3]".
std::string describe(const Array &array);

} // namespace moe::run

#endif // MOE_LIB_RUN_ARRAY_H
