//===- Formats.h - Sizes of weights in memory -------------------*- C++ -*-===//
//
// Part of moe-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef MOE_LIB_SCHEDULE_FORMATS_H
#define MOE_LIB_SCHEDULE_FORMATS_H

#include "moe/Import/Spec.h"

namespace moe {

inline int64_t bytesOf(DType type) { return type == DType::f32 ? 4 : 2; }

inline int64_t bitsOf(const QuantizationSpec &quantization, DType type) {
  switch (quantization.kind) {
  case WeightKind::none:
    return 8 * bytesOf(type);
  case WeightKind::fp8_e4m3:
  case WeightKind::int8:
    return 8;
  case WeightKind::int4:
  case WeightKind::mxfp4:
  case WeightKind::nvfp4:
    return 4;
  }
  return 32;
}

/// Blocks of a dimension; a block of 0 is all of it.
inline int64_t blockCount(int64_t size, int64_t block) {
  return block == 0 ? 1 : (size + block - 1) / block;
}

/// Bytes of one scale.
inline int64_t scaleBytesOf(WeightKind kind) {
  return kind == WeightKind::mxfp4 || kind == WeightKind::nvfp4 ? 1 : 4;
}

} // namespace moe

#endif // MOE_LIB_SCHEDULE_FORMATS_H
