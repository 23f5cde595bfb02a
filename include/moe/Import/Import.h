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

struct Grid {
  int64_t dp = 1, ep = 1, tp = 1;
  std::optional<int64_t> chunks = {}; // left out: `parallel.chunks`
};

/// What can be asked of a file: the first two of a configuration of Hugging
/// Face only.
struct ImportOptions {
  std::optional<int64_t> layer = {}; // left out: the first MoE layer
  /// Plain weights for a package, whatever those in the file are.
  bool dequantize = false;
  /// In the place of `parallel.grid`.
  std::optional<Grid> grid = {};
};

/// Reads a spec from the text of a JSON file, in the native form or as a
/// configuration of Hugging Face. Never throws, never recurses with the input,
/// and builds nothing from a text over the limits.
ImportResult importSpec(std::string_view text,
                        const ImportOptions &options = {});

/// What a layer has where a MoE layer has its experts. The routing of a `hash`
/// layer is a table of token ids.
enum class LayerKind { none, dense, moe, hash };

struct Layer {
  LayerKind kind = LayerKind::none;
  std::optional<Spec> spec; // set iff moe or hash
};

struct LayersResult {
  std::string family;
  std::vector<Layer> layers; // none after an error
  std::vector<Diagnostic> diagnostics;
};

/// Reads all layers of a configuration of Hugging Face.
LayersResult importLayers(std::string_view text,
                          const ImportOptions &options = {});

/// The layers as a table, those with the same attributes in one row.
std::string printLayers(const LayersResult &result);
std::string printLayersJson(const LayersResult &result);

/// A family of models and what its configurations name it.
struct Family {
  std::string name;
  std::vector<std::string> modelTypes;
  std::vector<std::string> architectures;
};
std::vector<Family> families();

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
