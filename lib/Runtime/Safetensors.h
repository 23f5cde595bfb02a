//===- Safetensors.h - Weight files -----------------------------*- C++ -*-===//
//
// Part of moe-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
// Reading and writing of .safetensors files. A header that comes back from the
// reader has been checked: types are known, no two tensors overlap, every byte
// of the file belongs to one, and each has the bytes that its shape needs.
//
//===----------------------------------------------------------------------===//

#ifndef MOE_LIB_RUNTIME_SAFETENSORS_H
#define MOE_LIB_RUNTIME_SAFETENSORS_H

#include "DType.h"
#include "File.h"

#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

namespace moe::runtime {

constexpr uint64_t maxSafetensorsHeader = uint64_t(100) << 20;
constexpr size_t maxIndexBytes = size_t(64) << 20;

struct SafetensorsEntry {
  std::string dtype; ///< as in the file: "BF16"
  std::vector<int64_t> shape;
  uint64_t begin = 0, end = 0; ///< from the start of the file
};

using SafetensorsHeader = std::unordered_map<std::string, SafetensorsEntry>;

/// Reads and checks a header; `label` is the file's name in messages.
SafetensorsHeader readSafetensorsHeader(const ByteSource &source,
                                        const std::string &label);

/// The JSON text of a header alone, for data of `dataBytes` bytes. Offsets are
/// from the start of the data.
SafetensorsHeader parseSafetensorsHeader(std::string_view text,
                                         uint64_t dataBytes,
                                         const std::string &label);

/// A `.safetensors.index.json`: which file beside it has each tensor.
class SafetensorsIndex {
public:
  explicit SafetensorsIndex(const std::string &path);

  bool has(const std::string &name) const { return shards.count(name) != 0; }
  /// The path of the file that has the tensor, which the index names.
  const std::string &shardOf(const std::string &name);
  template <typename Visit> void visitNames(Visit &&visit) const {
    for (const auto &tensor : shards)
      visit(tensor.first);
  }

private:
  std::string path;
  std::unordered_map<std::string, std::string> shards, resolved;
};

/// Writes all of a file or nothing.
void writeSafetensors(const std::string &path, const moe_named_tensor *tensors,
                      size_t count);

} // namespace moe::runtime

#endif // MOE_LIB_RUNTIME_SAFETENSORS_H
