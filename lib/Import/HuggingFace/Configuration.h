//===- Configuration.h - Which family a configuration is of -----*- C++ -*-===//
//
// Part of moe-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef MOE_LIB_IMPORT_HUGGINGFACE_CONFIGURATION_H
#define MOE_LIB_IMPORT_HUGGINGFACE_CONFIGURATION_H

#include "Text/Json.h"

namespace moe {

class Reporter;
struct FamilyFile;

/// A configuration of a known family.
struct Configuration {
  std::string_view text;
  const json::Value &document;
  const json::Value &model; // the object with the keys of the text model
  std::string family;
  size_t anchor = 0; // where the text names the family
};

/// A key of a configuration that is present and not null.
struct ConfigKey {
  const json::Value *value = nullptr;
  size_t begin = 0; // of the key's opening quote
  explicit operator bool() const { return value; }
};

/// `path` may lead into objects: `ffn_config.moe_top_k`.
ConfigKey findKey(const json::Value &object, std::string_view path);

/// A key of the text model, or of the whole where it does not name its type.
ConfigKey findKey(const Configuration &config, std::string_view path);

/// Finds the text model and its family: by the `model_type` of the text model,
/// then of the whole, then by `architectures`.
std::optional<Configuration> recognise(const json::Value &document,
                                       std::string_view text,
                                       const FamilyFile *&family,
                                       Reporter &reporter);

} // namespace moe

#endif // MOE_LIB_IMPORT_HUGGINGFACE_CONFIGURATION_H
