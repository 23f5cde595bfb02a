//===- ModulePattern.h - Patterns of modules' names -------------*- C++ -*-===//
//
// Part of moe-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Which modules of a model are not quantised is said by parts of names, by
// wildcards or by regular expressions. Those of the last that occur take time
// linear in the name: characters, classes, `*`, `+`, `?` and alternatives.
//
//===----------------------------------------------------------------------===//

#ifndef MOE_LIB_IMPORT_HUGGINGFACE_MODULEPATTERN_H
#define MOE_LIB_IMPORT_HUGGINGFACE_MODULEPATTERN_H

#include <bitset>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace moe {

class ModulePattern {
public:
  /// `lm_head`, `model.layers.0.mlp*` or `re:.*gate$`. Nothing: it is an
  /// expression of a kind that is not known.
  static std::optional<ModulePattern> parse(std::string_view text);

  /// Whether the pattern means the module or one that it is in.
  bool matches(std::string_view module) const;

private:
  struct Atom {
    std::bitset<256> characters;
    bool optional = false;
    bool repeated = false;
  };
  struct Sequence {
    std::vector<Atom> atoms;
    bool toEnd = false;
  };
  static std::optional<Sequence> parseSequence(std::string_view text);
  static bool matches(const Sequence &sequence, std::string_view module);

  std::vector<Sequence> alternatives;
  std::string plain; // if not empty, whole parts of a name
};

} // namespace moe

#endif // MOE_LIB_IMPORT_HUGGINGFACE_MODULEPATTERN_H
