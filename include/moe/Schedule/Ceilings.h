//===- Ceilings.h - What a machine can do at most ---------------*- C++ -*-===//
//
// Part of moe-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef MOE_SCHEDULE_CEILINGS_H
#define MOE_SCHEDULE_CEILINGS_H

#include <cstdint>
#include <string_view>

namespace moe {

/// Of all threads together. A multiplication and an addition are two
/// operations.
struct Ceilings {
  int64_t threads = 1;
  double bandwidth = 0; // bytes read from memory a second
  double f32 = 0;       // operations a second
  double bf16 = 0;      // 0: it has no such products
};

/// What data sheets promise of so many cores of a CPU that LLVM calls `cpu`, or
/// of a common one if it is not known.
Ceilings nominalCeilings(std::string_view cpu, int64_t cores);

} // namespace moe

#endif // MOE_SCHEDULE_CEILINGS_H
