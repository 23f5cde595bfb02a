//===- Extent.h - Sizes known when code is made or when it runs -*- C++ -*-===//
//
// Part of moe-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef MOE_KERNELS_EXTENT_H
#define MOE_KERNELS_EXTENT_H

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>

namespace moe {

/// The size of a dimension: a number, or multiplier * ceil(factor * size /
/// divisor) of a size that is known when the function is called.
struct Extent {
  int64_t factor = 1;
  int64_t divisor = 1;
  std::string size;       // empty: the number `factor`
  int64_t multiplier = 1; // 1 without a divisor

  static Extent constant(int64_t number) { return {number, 1, ""}; }
  bool isConstant() const { return size.empty(); }
  bool operator==(const Extent &other) const {
    return factor == other.factor && divisor == other.divisor &&
           size == other.size && multiplier == other.multiplier;
  }
  bool operator!=(const Extent &other) const { return !(*this == other); }
  Extent times(int64_t number) const {
    if (divisor == 1)
      return {factor * number, 1, size};
    return {factor, divisor, size, multiplier * number};
  }
  /// ceil(this / number), for a number that divides the multiplier or is a
  /// multiple of it.
  Extent dividedBy(int64_t number) const;
  /// Whether it is one for every value of the size.
  bool isMultipleOf(int64_t number) const {
    return (divisor == 1 ? factor : multiplier) % number == 0;
  }
  /// As the manifest writes it: "64", "T", "2*T", "ceil(n/64)",
  /// "8*ceil(n/64)".
  std::string str() const;
  static std::optional<Extent> parse(std::string_view text);
};

/// Bytes of workspace: `constant` and so many per unit of each size.
struct WorkspaceSize {
  int64_t constant = 0;
  std::map<std::string, int64_t> per;
};

} // namespace moe

#endif // MOE_KERNELS_EXTENT_H
