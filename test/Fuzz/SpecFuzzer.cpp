//===- SpecFuzzer.cpp - Any text as a spec --------------------------------===//
//
// Part of moe-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// No text crashes the importer, and what it accepts prints as a text that it
// accepts as the same spec.
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

extern "C" int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  std::string_view text(reinterpret_cast<const char *>(data), size);
  ImportResult result = importSpec(text);
  bool hasError = false;
  for (const Diagnostic &diagnostic : result.diagnostics) {
    hasError |= diagnostic.kind == Diagnostic::Kind::error;
    require(diagnostic.line >= 1 && diagnostic.column >= 1, "a position");
    require(!formatDiagnostic(diagnostic, "fuzz.json", text).empty(), "a text");
  }
  require(result.spec.has_value() != hasError, "a spec or an error");
  if (!result.spec)
    return 0;

  std::string printed = printSpec(*result.spec);
  ImportResult again = importSpec(printed);
  require(again.spec.has_value(), "what is printed is accepted");
  require(printSpec(*again.spec) == printed, "printing is a fixed point");
  return 0;
}
