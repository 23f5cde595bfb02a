//===- Import.cpp - From a file to a Spec ---------------------------------===//
//
// Part of moe-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "moe/Import/Import.h"
#include "HuggingFace/HuggingFace.h"
#include "Native/Native.h"
#include "Native/Validate.h"
#include "Text/Reporter.h"

using namespace moe;

/// Whether the text is such a configuration, as far as one can tell before it
/// is parsed.
static bool looksLikeConfiguration(std::string_view text) {
  return text.find("\"model_type\"") != std::string_view::npos ||
         text.find("\"architectures\"") != std::string_view::npos;
}

static std::optional<json::Value> parse(std::string_view text,
                                        Reporter &reporter) {
  if (text.size() <= json::maxBytes && looksLikeConfiguration(text))
    return json::parse(json::withoutNonFinite(text), reporter);
  return json::parse(text, reporter);
}

static bool isConfiguration(const json::Value &document) {
  return document.find("model_type") || document.find("architectures");
}

static void import(std::string_view text, const ImportOptions &options,
                   ImportResult &result, Reporter &reporter) {
  std::optional<json::Value> document = parse(text, reporter);
  if (!document)
    return;
  if (isConfiguration(*document)) {
    result.spec = importConfiguration(*document, text, options, reporter);
    return;
  }
  if (options.layer || options.dequantize)
    return reporter.error(document->begin,
                          "found a spec in the native form, which is of one "
                          "layer, expected a configuration of Hugging Face to "
                          "choose from");

  Spec spec;
  Locations locations;
  readNative(*document, text, spec, locations, reporter);
  setGrid(spec, options.grid);
  // What keys say together means nothing while one of them is wrong.
  if (!reporter.failed())
    validate(spec, locations, reporter);
  if (!reporter.failed())
    result.spec = std::move(spec);
}

ImportResult moe::importSpec(std::string_view text,
                             const ImportOptions &options) {
  ImportResult result;
  Reporter reporter(text, result.diagnostics);
  import(text, options, result, reporter);
  reporter.finish();
  return result;
}

LayersResult moe::importLayers(std::string_view text,
                               const ImportOptions &options) {
  LayersResult result;
  Reporter reporter(text, result.diagnostics);
  if (std::optional<json::Value> document = parse(text, reporter)) {
    if (isConfiguration(*document))
      importLayers(*document, text, options, result, reporter);
    else
      reporter.error(document->begin,
                     "found a spec in the native form, which is of one layer, "
                     "expected a configuration of Hugging Face");
  }
  reporter.finish();
  return result;
}
