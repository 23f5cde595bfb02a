//===- Sources.h - Where files have weights ---------------------*- C++ -*-===//
//
// Part of moe-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
// The sources of a manifest, checked: docs/Spec.md, section 9.
//
//===----------------------------------------------------------------------===//

#ifndef MOE_LIB_RUNTIME_SOURCES_H
#define MOE_LIB_RUNTIME_SOURCES_H

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace moe::runtime {

/// A tensor of a file has at most so many parts.
constexpr int64_t maxParts = 1024;

enum class Packing : uint8_t { none, gptq, awq, compressed, blocks };
enum class Coding : uint8_t { fp8_e4m3, int8, int4, mxfp4, nvfp4 };

/// Quantised weights that are computed as they are loaded.
struct Decode {
  Coding coding = Coding::fp8_e4m3;
  int64_t outputs = 0, inputs = 0; ///< of a block; 0: all
  bool zeroPoints = false;
};

struct Source {
  std::string name; ///< `{l}`: the layer, `{e}`: the expert
  int64_t part = 0, parts = 1;
  bool interleaved = false, transposed = false, broadcast = false;
  Packing packing = Packing::none;
  std::optional<Decode> decode;
  std::vector<Source> scales, zeros, globalScale; ///< at most one each

  bool eachExpert() const { return name.find("{e}") != name.npos; }
};

/// Sources whose experts, or rows, follow each other.
using SourceList = std::vector<Source>;

/// `name` with the layer and the expert filled in.
std::string filledIn(std::string name, int64_t layer, int64_t expert);

class JsonNode;
std::vector<SourceList> readSources(const JsonNode &list);

} // namespace moe::runtime

#endif // MOE_LIB_RUNTIME_SOURCES_H
