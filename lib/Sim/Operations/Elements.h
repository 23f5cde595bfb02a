//===- Elements.h - Numbers of the types that units multiply ----*- C++ -*-===//
//
// Part of moe-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef MOE_LIB_SIM_OPERATIONS_ELEMENTS_H
#define MOE_LIB_SIM_OPERATIONS_ELEMENTS_H

#include "Calls.h"

namespace moe::sim {

/// The i-th element of that type.
double readElement(const void *from, unsigned i, Element type);
/// Rounded to nearest even, and integers kept in range or wrapped.
void writeElement(void *to, unsigned i, Element type, double value,
                  bool saturate);

float halfToFloat(uint16_t half);
uint16_t floatToHalf(float value);
/// The register of a tf32, whose low 13 bits are zero.
uint32_t floatToTensorFloat(float value, Rounding rounding);

} // namespace moe::sim

#endif // MOE_LIB_SIM_OPERATIONS_ELEMENTS_H
