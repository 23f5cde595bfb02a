//===- Formulas.cpp - Names and formulas in a spec ------------------------===//
//
// Part of moe-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Formulas.h"
#include "ExpressionNodes.h"
#include "Text/Reporter.h"

#include <algorithm>

using namespace moe;
using json::Value;

static std::vector<std::string> variablesOf(bool glu) {
  return glu ? std::vector<std::string>{"g", "u"}
             : std::vector<std::string>{"g"};
}

/// Whether the text is one word that a formula could not consist of, so that
/// its author must have meant a name.
static bool isOneWord(const std::string &text,
                      const std::vector<std::string> &variables) {
  auto inName = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
           (c >= '0' && c <= '9') || c == '_';
  };
  return !text.empty() && !(text[0] >= '0' && text[0] <= '9') &&
         std::all_of(text.begin(), text.end(), inName) && !findFunction(text) &&
         std::find(variables.begin(), variables.end(), text) == variables.end();
}

/// `formula` is what a known name stands for, or empty.
static void readFormula(const Value &value, std::string_view text,
                        const char *what, std::string_view formula,
                        const std::vector<std::string> &variables,
                        const std::vector<std::string> &names,
                        Expression &result, Reporter &reporter) {
  ExpressionError error;
  if (!formula.empty()) {
    parseExpression(formula, variables, result, error);
    result.text = value.string;
    return;
  }
  if (isOneWord(value.string, variables)) {
    std::vector<std::string_view> views(names.begin(), names.end());
    return reporter.error(
        value.begin, std::string("unknown ") + what + " " +
                         inQuotes(value.string) + ", expected a formula or " +
                         quotedList(views) + didYouMean(value.string, views));
  }
  if (!parseExpression(value.string, variables, result, error))
    reporter.error(json::offsetInString(text, value, error.offset),
                   error.message);
}

void moe::readActivation(const Value &value, std::string_view text, bool glu,
                         Expression &result, Reporter &reporter) {
  std::string_view formula = activationFormula(value.string, glu);
  if (formula.empty() && !glu &&
      !activationFormula(value.string, /*glu=*/true).empty())
    return reporter.error(value.begin, "found activation " +
                                           inQuotes(value.string) +
                                           " of g and u, expected one of g "
                                           "alone, as there is no u here");
  std::vector<std::string> names;
  for (std::string &name : activationNames())
    if (!activationFormula(name, glu).empty())
      names.push_back(std::move(name));
  readFormula(value, text, "activation", formula, variablesOf(glu), names,
              result, reporter);
}

void moe::readScore(const Value &value, std::string_view text,
                    Expression &result, Reporter &reporter) {
  readFormula(value, text, "score", scoreFormula(value.string), {"x"},
              scoreNames(), result, reporter);
}

Expression moe::namedActivation(std::string_view name, bool glu) {
  Expression result;
  ExpressionError error;
  parseExpression(activationFormula(name, glu), variablesOf(glu), result,
                  error);
  result.text = std::string(name);
  return result;
}
