//===- Import.h - From a file to a Spec -------------------------*- C++ -*-===//
//
// Part of moe-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef MOE_IMPORT_IMPORT_H
#define MOE_IMPORT_IMPORT_H

#include "moe/Import/Spec.h"

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace moe {

/// One message about the input. `column` counts bytes from 1.
struct Diagnostic {
  enum class Kind { error, note };
  Kind kind = Kind::error;
  size_t line = 1;
  size_t column = 1;
  std::string message;
};

struct ImportResult {
  std::optional<Spec> spec; // set iff no error
  std::vector<Diagnostic> diagnostics;
};

/// Reads a spec from the text of a JSON file. Never throws, never recurses
/// with the input, and builds nothing from a text over the limits.
ImportResult importSpec(std::string_view text);

/// The native form of a spec with every default written out.
std::string printSpec(const Spec &spec);

/// Alternatives of a weight as JSON, as `weights.tensors` has them.
std::string printSources(const std::vector<SourceList> &alternatives);

/// Takes out of `weights.tensors` the weights that other layers of a family
/// have and this one has not.
void dropTensorsOfOtherLayers(Spec &spec);

/// What [S17] expects in place of `name`; nothing if a package can have it.
std::string_view packageNameProblem(std::string_view name);

/// `file:line:col: error: message`, the line of text and a caret under it.
std::string formatDiagnostic(const Diagnostic &diagnostic,
                             std::string_view fileName, std::string_view text);

/// Every key of the native form as a path, `router.projection.bias`.
std::vector<std::string> specKeys();

/// The names that a key chooses from; none for any other key.
std::vector<std::string> specKeyValues(std::string_view path);

} // namespace moe

#endif // MOE_IMPORT_IMPORT_H
