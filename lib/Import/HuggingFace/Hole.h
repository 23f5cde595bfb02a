//===- Hole.h - What a family takes from a configuration --------*- C++ -*-===//
//
// Part of moe-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// `$a.b | $c * $d + 1 | 64`: alternatives, of which the first is taken whose
// keys the configuration has. A longer text may have
// `${a | 64}` inside it.
//
//===----------------------------------------------------------------------===//

#ifndef MOE_LIB_IMPORT_HUGGINGFACE_HOLE_H
#define MOE_LIB_IMPORT_HUGGINGFACE_HOLE_H

#include "Text/Json.h"

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace moe {

struct Hole {
  struct Factor {
    std::string key; // empty: `number`
    double number = 1.0;
    double power = 1.0;
    bool divides = false;
  };
  struct Term {
    bool negative = false;
    std::vector<Factor> factors;
  };
  struct Alternative {
    std::vector<Term> terms; // empty: `literal`
    json::Value literal;
    std::string text; // as it stands in the hole, without `$`

    /// Set iff it is nothing but this key.
    const std::string *singleKey() const;
  };
  std::vector<Alternative> alternatives;
  bool optional = false; // `$a?`: left out where no key is present
};

/// Whether a text is a hole as a whole.
bool isHole(std::string_view text);

std::optional<Hole> parseHole(std::string_view text);

/// A text with holes in it: `min(g, ${limit | 7})`.
struct HoledText {
  struct Part {
    std::string text; // before the hole
    std::optional<Hole> hole;
  };
  std::vector<Part> parts;
};

std::optional<HoledText> parseHoledText(std::string_view text);

} // namespace moe

#endif // MOE_LIB_IMPORT_HUGGINGFACE_HOLE_H
