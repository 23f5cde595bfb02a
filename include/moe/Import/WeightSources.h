//===- WeightSources.h - Where files have weights ---------------*- C++ -*-===//
//
// Part of moe-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// `weights.tensors` of docs/Spec.md, section 9, as plain data. The importer
// fills it, the manifest passes it on, the runtime goes by it.
//
//===----------------------------------------------------------------------===//

#ifndef MOE_IMPORT_WEIGHTSOURCES_H
#define MOE_IMPORT_WEIGHTSOURCES_H

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace moe {

/// How a file that is quantised has values for a package that is not.
struct DecodeSpec {
  std::string kind;           // of Spec.md's table
  int64_t outputsOfBlock = 0; // 0: all
  int64_t inputsOfBlock = 0;  // 0: all
  bool zeroPoints = false;
};

/// One tensor of a file, or one for each expert where the name has `{e}`.
struct SourceSpec {
  std::string name;
  int64_t part = 0, parts = 1; // along the outputs
  bool interleaved = false;    // the parts' rows take turns
  bool transposed = false;     // [in, out]
  bool broadcast = false;      // one number, repeated
  bool absolute = false;       // the prefix does not go before the name
  std::string packing;         // of bits; empty: as they are
  std::optional<DecodeSpec> decode;
  /// What goes with `decode`: none or one each.
  std::vector<SourceSpec> scales, zeros, globalScale;
};

/// Sources whose experts follow each other.
using SourceList = std::vector<SourceSpec>;

/// Of the alternatives the first that a file has is taken.
struct WeightSources {
  std::string weight; // as in Spec.md, section 5
  std::vector<SourceList> alternatives;
};

} // namespace moe

#endif // MOE_IMPORT_WEIGHTSOURCES_H
