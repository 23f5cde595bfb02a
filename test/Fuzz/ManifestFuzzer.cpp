//===- ManifestFuzzer.cpp - Fuzzes the reader of manifests ----------------===//
//
// Part of moe-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
// Any text is a manifest or an error, and what is a manifest can be used.
//
//===----------------------------------------------------------------------===//

#include "Runtime/Manifest.h"
#include "Runtime/Status.h"

#include <cstdlib>

using namespace moe::runtime;

/// References point into their tables, and shapes can be evaluated.
static void use(const Manifest &manifest) {
  for (const State &state : manifest.state)
    if (state.initialWeight >= int(manifest.weights.size()))
      std::abort();
  for (const Function &function : manifest.functions) {
    std::vector<int64_t> sizes(function.sizes.size(), 1000);
    if (function.workspacePer.size() != sizes.size())
      std::abort();
    for (const Argument &argument : function.arguments) {
      size_t table = argument.role == Role::weight  ? manifest.weights.size()
                     : argument.role == Role::state ? manifest.state.size()
                                                    : 0;
      if (table && size_t(argument.index) >= table)
        std::abort();
      for (const Dim &dim : argument.shape) {
        if (dim.size >= int(sizes.size()) || dim.divisor < 1)
          std::abort();
        std::optional<int64_t> value = evaluate(dim, sizes.data());
        if (value && *value < 0)
          std::abort();
      }
      describe(argument.shape, function);
    }
  }
}

extern "C" int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  try {
    use(parseManifest({reinterpret_cast<const char *>(data), size},
                      "fuzz.json"));
  } catch (const Error &error) {
    if ((error.status != MOE_BAD_FILE && error.status != MOE_ABI_MISMATCH) ||
        error.message.empty())
      std::abort();
  }
  return 0;
}
