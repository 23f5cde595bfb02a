//===- HuggingFace.h - Configurations of Hugging Face -----------*- C++ -*-===//
//
// Part of moe-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// docs/decisions/0004-families.md says what a family's file holds.
//
//===----------------------------------------------------------------------===//

#ifndef MOE_LIB_IMPORT_HUGGINGFACE_H
#define MOE_LIB_IMPORT_HUGGINGFACE_H

#include "Text/Json.h"

#include "moe/Import/Import.h"

namespace moe {

class Reporter;

/// The layer that `options` ask for; nothing after an error.
std::optional<Spec> importConfiguration(const json::Value &document,
                                        std::string_view text,
                                        const ImportOptions &options,
                                        Reporter &reporter);

void importLayers(const json::Value &document, std::string_view text,
                  const ImportOptions &options, LayersResult &result,
                  Reporter &reporter);

} // namespace moe

#endif // MOE_LIB_IMPORT_HUGGINGFACE_H
