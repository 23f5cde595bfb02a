//===- Formulas.h - Names and formulas in a spec ----------------*- C++ -*-===//
//
// Part of moe-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef MOE_LIB_IMPORT_FORMULA_FORMULAS_H
#define MOE_LIB_IMPORT_FORMULA_FORMULAS_H

#include "Text/Json.h"

#include "moe/Import/Expression.h"

namespace moe {

class Reporter;

/// Reads the name or formula of an activation: of g and u for glu, else of g.
void readActivation(const json::Value &value, std::string_view text, bool glu,
                    Expression &result, Reporter &reporter);

/// Reads the name or formula of an elementwise score.
void readScore(const json::Value &value, std::string_view text,
               Expression &result, Reporter &reporter);

/// The activation of this name, which must be one.
Expression namedActivation(std::string_view name, bool glu);

} // namespace moe

#endif // MOE_LIB_IMPORT_FORMULA_FORMULAS_H
