//===- Strips.h - Packed weights --------------------------------*- C++ -*-===//
//
// Part of moe-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
// Code for CPUs may want the outputs of a weight in strips: of 64 rows, unit by
// unit, one unit of each. The rows of two strips may take turns. What the
// caller sees of a weight are rows.
//
//===----------------------------------------------------------------------===//

#ifndef MOE_LIB_RUNTIME_STRIPS_H
#define MOE_LIB_RUNTIME_STRIPS_H

#include "Layer.h"

namespace moe::runtime {

/// Whether a tensor of such a shape can be packed.
bool fillsStrips(const Tensor &tensor, StripOrder order);

/// Both ways, where the values are.
void toStrips(void *data, const Weight &weight);
void toRows(void *data, const Weight &weight);

/// Whether the code of a layer wants a weight packed.
bool isPackedBy(const moe_layer &layer, size_t weight);

/// The values of a packed weight in rows, until it or the layer changes. The
/// caller holds the weights' mutex.
void *rowsOf(const moe_layer &layer, size_t weight);

} // namespace moe::runtime

#endif // MOE_LIB_RUNTIME_STRIPS_H
