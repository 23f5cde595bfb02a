//===- Abi.h - Numbers that compiler and simulator share ----*- C++ -*-===//
//
// Part of moe-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef MOE_LIB_SIM_OPERATIONS_ABI_H
#define MOE_LIB_SIM_OPERATIONS_ABI_H

#include <cstdint>

namespace moe::sim {

/// Special registers, in the order of the compiler's table.
enum class Register : uint32_t {
  TidX,
  TidY,
  TidZ,
  NtidX,
  NtidY,
  NtidZ,
  CtaidX,
  CtaidY,
  CtaidZ,
  NctaidX,
  NctaidY,
  NctaidZ,
  ClusterCtaidX,
  ClusterCtaidY,
  ClusterCtaidZ,
  ClusterNctaidX,
  ClusterNctaidY,
  ClusterNctaidZ,
  ClusteridX,
  ClusteridY,
  ClusteridZ,
  NclusteridX,
  NclusteridY,
  NclusteridZ,
  ClusterCtarank,
  ClusterNctarank,
  LaneId,
  WarpId,
  NwarpId,
  WarpSize,
  LanemaskEq,
  LanemaskLe,
  LanemaskLt,
  LanemaskGe,
  LanemaskGt,
  SmId,
  NsmId,
  GridId,
  DynamicSmemSize,
  TotalSmemSize,
};

/// Element types, in the order of the compiler's table.
enum class Element : uint32_t { F16, BF16, TF32, F32, S8, U8, S32, E4M3, E5M2 };

/// A product of matrices, as the compiler describes it.
struct Product {
  uint32_t m, n, k;
  Element a, b, c, d;
  uint32_t saturate;
  uint32_t negateA, negateB; // wgmma
  uint32_t columnA, columnB; // wgmma: whether M, or N, is contiguous
  uint32_t accumulate;       // wgmma: whether D is added to
};

/// Functions that a processor approximates.
enum class Approximate : uint32_t {
  Exp2,
  Log2,
  Reciprocal,
  RootReciprocal,
  Root,
  Tanh,
  Sine,
  Cosine
};

/// Who sees what was done before an arrival at an mbarrier, and with whom a
/// wait comes after it: threads of the block, nobody, or threads of the
/// cluster.
enum class Order : uint32_t { Block, Relaxed, Cluster };

/// How cvt rounds to fewer bits: to nearest, halves to even or away from zero,
/// or toward zero.
enum class Rounding : uint32_t { Even, Away, Zero };

constexpr unsigned bitsOf(Element type) {
  switch (type) {
  case Element::F16:
  case Element::BF16:
    return 16;
  case Element::S8:
  case Element::U8:
  case Element::E4M3:
  case Element::E5M2:
    return 8;
  default:
    return 32;
  }
}

} // namespace moe::sim

#endif // MOE_LIB_SIM_OPERATIONS_ABI_H
