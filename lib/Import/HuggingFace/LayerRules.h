//===- LayerRules.h - Which layers are MoE layers ---------------*- C++ -*-===//
//
// Part of moe-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef MOE_LIB_IMPORT_HUGGINGFACE_LAYERRULES_H
#define MOE_LIB_IMPORT_HUGGINGFACE_LAYERRULES_H

#include "Text/Json.h"

#include "moe/Import/Import.h"

namespace moe {

class Filler;

struct LayerKinds {
  std::vector<LayerKind> kinds;
  /// Layers that lists of one entry per layer may have besides.
  int64_t extra = 0;
};

/// What `layers` of a family says of a configuration; nothing after an error.
std::optional<LayerKinds> readLayers(const json::Value &layers, Filler &filler);

std::string_view layerKindName(LayerKind kind);

/// `3-60`, `1-47 by 2` or `0, 4-6`: layers in ascending order.
std::string layerRanges(const std::vector<int64_t> &layers);

} // namespace moe

#endif // MOE_LIB_IMPORT_HUGGINGFACE_LAYERRULES_H
