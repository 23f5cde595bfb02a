//===- ConfigFuzzer.cpp - Any text as a configuration ---------------------===//
//
// Part of moe-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// No text crashes the import of all layers of a model, and each layer that it
// gives prints as a spec that is accepted.
//
//===----------------------------------------------------------------------===//

#include "moe/Import/Import.h"

#include <cstdint>
#include <cstdio>
#include <cstdlib>

using namespace moe;

static void require(bool condition, const char *what) {
  if (condition)
    return;
  std::fprintf(stderr, "property violated: %s\n", what);
  std::abort();
}

static void checkSpec(const Spec &spec) {
  std::string printed = printSpec(spec);
  ImportResult again = importSpec(printed);
  require(again.spec.has_value(), "what is printed is accepted");
  require(printSpec(*again.spec) == printed, "printing is a fixed point");
}

extern "C" int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  if (size == 0)
    return 0;
  ImportOptions options;
  options.dequantize = data[0] & 1;
  if (data[0] & 2)
    options.layer = data[0] >> 2;
  std::string_view text(reinterpret_cast<const char *>(data) + 1, size - 1);

  ImportResult result = importSpec(text, options);
  require(result.spec.has_value() == result.diagnostics.empty(),
          "a spec or an error");
  for (const Diagnostic &diagnostic : result.diagnostics)
    require(!formatDiagnostic(diagnostic, "config.json", text).empty(),
            "a text");
  if (result.spec)
    checkSpec(*result.spec);

  LayersResult layers = importLayers(text, options);
  require(layers.layers.empty() != layers.diagnostics.empty(),
          "layers or an error");
  if (layers.layers.empty())
    return 0;
  require(!printLayers(layers).empty(), "a table");
  require(!printLayersJson(layers).empty(), "a table for programs");
  const std::optional<Spec> &last = layers.layers.back().spec;
  if (last)
    checkSpec(*last);
  return 0;
}
