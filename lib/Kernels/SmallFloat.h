//===- SmallFloat.h - Floats of 8 bits and fewer --------------------------===//
//
// Part of moe-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef MOE_LIB_KERNELS_SMALLFLOAT_H
#define MOE_LIB_KERNELS_SMALLFLOAT_H

#include <algorithm>
#include <cmath>
#include <limits>

namespace moe {

/// A sign, `exponent` bits with `bias`, `mantissa` bits. Perhaps the largest
/// magnitude is NaN.
struct SmallFloat {
  unsigned exponent, mantissa;
  int bias;
  bool hasNaN;

  unsigned bits() const { return 1 + exponent + mantissa; }
  unsigned magnitudes() const { return 1u << (bits() - 1); }
  /// What f16, with its bias of 15, has the bits of: 1 / unit().
  double unit() const { return std::ldexp(1.0, 15 - bias); }
  double value(unsigned code) const;
};

constexpr SmallFloat e4m3 = {4, 3, 7, true};
constexpr SmallFloat e2m1 = {2, 1, 1, false};

inline double SmallFloat::value(unsigned code) const {
  unsigned magnitude = code % magnitudes();
  if (hasNaN && magnitude == magnitudes() - 1)
    return std::numeric_limits<double>::quiet_NaN();
  int biased = magnitude >> mantissa, hidden = 1 << mantissa;
  int steps = magnitude % hidden + (biased ? hidden : 0);
  double value = std::ldexp(steps, std::max(biased, 1) - bias - int(mantissa));
  return code == magnitude ? value : -value;
}

} // namespace moe

#endif // MOE_LIB_KERNELS_SMALLFLOAT_H
