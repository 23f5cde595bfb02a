//===- QuantizedParts.h - Parts of a quantised weight -----------*- C++ -*-===//
//
// Part of moe-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef MOE_LIB_IMPORT_HUGGINGFACE_QUANTIZEDPARTS_H
#define MOE_LIB_IMPORT_HUGGINGFACE_QUANTIZEDPARTS_H

#include "Quantization.h"

#include <initializer_list>

namespace moe {

/// Makes of a plain weight's source those of what stands in its place. `base`
/// is the weight's name without its last part.
class QuantizedParts {
public:
  /// A family may say itself in `given` where a part of a weight is.
  QuantizedParts(const Quantization &quantization, const json::Value *given)
      : quantization(quantization), given(given) {}

  /// Adds the sources of `BASEweight`, `BASEscales` and so on to `tensors`.
  void addParts(json::Value &tensors, const std::string &base,
                const json::Value &source) const;
  /// Adds the source of the weight itself, to be decoded as it is loaded.
  void addDecoded(json::Value &tensors, const std::string &base,
                  const json::Value &source) const;

  /// `quantization.block` of the spec.
  json::Value block() const;
  /// What is made here stands where the method is named.
  void add(json::Value &object, std::string key, json::Value value) const;
  json::Value object() const;
  json::Value text(std::string_view text) const;
  json::Value flag(bool flag) const;

private:
  using Map = json::Value (QuantizedParts::*)(const json::Value &) const;

  void addFactors(json::Value &to, const std::string &prefix,
                  const std::string &base, const json::Value &source) const;
  json::Value part(const std::string &name, const json::Value &source,
                   Map map) const;
  json::Value decoded(const json::Value &source, const std::string &base) const;

  json::Value data(const json::Value &source) const;
  json::Value scales(const json::Value &source) const;
  json::Value zeros(const json::Value &source) const;
  json::Value globalScale(const json::Value &source) const;
  json::Value named(const json::Value &source, std::string_view last) const;
  void keep(json::Value &result, const json::Value &source,
            std::initializer_list<std::string_view> keys) const;

  const Quantization &quantization;
  const json::Value *given;
};

/// The tensor that a source names, in either form.
const std::string &sourceName(const json::Value &source);

} // namespace moe

#endif // MOE_LIB_IMPORT_HUGGINGFACE_QUANTIZEDPARTS_H
