//===- Quantization.h - Checkpoints whose weights are quantised -*- C++ -*-===//
//
// Part of moe-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// `quantization_config` is the same for all families: what is quantised how,
// and which tensors of a file hold it.
//
//===----------------------------------------------------------------------===//

#ifndef MOE_LIB_IMPORT_HUGGINGFACE_QUANTIZATION_H
#define MOE_LIB_IMPORT_HUGGINGFACE_QUANTIZATION_H

#include "Configuration.h"
#include "ModulePattern.h"

#include <array>
#include <optional>
#include <string>
#include <vector>

namespace moe {

class Filler;

/// Last parts of tensors' names. Those that a method has not are empty.
struct QuantizedNames {
  std::string_view weight = "weight", scales = "weight_scale", zeros,
                   globalScale;
};

struct Quantization {
  std::string kind; // of docs/Spec.md, section 5.1
  std::array<int64_t, 2> block = {0, 0};
  bool zeroPoints = false;
  std::string_view packing;      // of weights and zeros, or empty
  bool scalesTransposed = false; // [in, out]
  QuantizedNames names;
  /// Tensors that only other ways of computing need.
  std::vector<std::string_view> ignore;
  std::vector<ModulePattern> exceptions;
  size_t kindAt = 0, blockAt = 0; // where the text says so
  std::string kindName, blockName;

  bool covers(const std::string &module) const;
};

/// Reads `quantization_config`. Nothing: there is none, or an error was
/// reported.
std::optional<Quantization> readQuantization(Filler &filler);

/// Makes the layer's projections quantised ones, or with `dequantize` has
/// their sources decoded. `spec` is filled, with its weights.
void applyQuantization(const Quantization &quantization,
                       const json::Value *familyNames, bool dequantize,
                       json::Value &spec, Filler &filler);

} // namespace moe

#endif // MOE_LIB_IMPORT_HUGGINGFACE_QUANTIZATION_H
