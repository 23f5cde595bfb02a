//===- Strips.h - Where packed weights lie ----------------------*- C++ -*-===//
//
// Part of moe-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef MOE_SUPPORT_STRIPS_H
#define MOE_SUPPORT_STRIPS_H

#include <cstdint>

namespace moe {

/// Outputs of a strip: packed weights have, for each word of 4 bytes of the
/// depth, those of so many outputs next to each other.
inline constexpr int64_t stripOutputs = 64;

} // namespace moe

#endif // MOE_SUPPORT_STRIPS_H
