//===- Native.h - The native form of a spec ---------------------*- C++ -*-===//
//
// Part of moe-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef MOE_LIB_IMPORT_NATIVE_H
#define MOE_LIB_IMPORT_NATIVE_H

#include "Text/Json.h"

#include "moe/Import/Spec.h"

#include <map>
#include <string>
#include <string_view>

namespace moe {

class Reporter;

/// Where the text names each key, for messages about what a key says.
class Locations {
public:
  void add(const std::string &path, size_t offset) { offsets[path] = offset; }
  bool given(std::string_view path) const {
    return offsets.find(path) != offsets.end();
  }
  /// The key, or what it would stand in if it is not given.
  size_t of(std::string_view path) const;

private:
  std::map<std::string, size_t, std::less<>> offsets;
};

/// Fills `spec` from the document: types, ranges, names, formulas and defaults
/// ([S2], [S15]), key by key. What keys say together is for validate().
void readNative(const json::Value &document, std::string_view text, Spec &spec,
                Locations &locations, Reporter &reporter);

} // namespace moe

#endif // MOE_LIB_IMPORT_NATIVE_H
