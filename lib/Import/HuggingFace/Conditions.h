//===- Conditions.h - What a family makes of certain values -----*- C++ -*-===//
//
// Part of moe-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef MOE_LIB_IMPORT_HUGGINGFACE_CONDITIONS_H
#define MOE_LIB_IMPORT_HUGGINGFACE_CONDITIONS_H

#include "Text/Json.h"

#include "moe/Import/Import.h"

namespace moe {

class Filler;

/// The parts of a family that a configuration can change.
struct Template {
  json::Value layers, spec, weights;
};

/// A layer whose kind is known.
struct LayerPlace {
  int64_t layer = 0;
  LayerKind kind = LayerKind::moe;
};

/// Adds what the entries of `when` add whose condition holds, and checks each
/// `require`. Without a layer, what depends on it is passed over.
void applyConditions(const json::Value &family, const LayerPlace *place,
                     Filler &filler, Template &result);

} // namespace moe

#endif // MOE_LIB_IMPORT_HUGGINGFACE_CONDITIONS_H
