//===- Hole.cpp - What a family takes from a configuration ----------------===//
//
// Part of moe-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Hole.h"

#include <charconv>
#include <cmath>

using namespace moe;
using json::Value;

static std::string_view trim(std::string_view text) {
  size_t begin = text.find_first_not_of(' ');
  if (begin == std::string_view::npos)
    return {};
  return text.substr(begin, text.find_last_not_of(' ') + 1 - begin);
}

static bool isKeyCharacter(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
         (c >= '0' && c <= '9') || c == '_' || c == '.';
}

/// Takes a number off the front of `text`.
static std::optional<double> takeNumber(std::string_view &text) {
  double number = 0.0;
  auto [end, code] =
      std::from_chars(text.data(), text.data() + text.size(), number);
  if (code != std::errc() || !std::isfinite(number))
    return std::nullopt;
  text.remove_prefix(end - text.data());
  return number;
}

static std::optional<Hole::Factor> takeBase(std::string_view &text) {
  Hole::Factor factor;
  if (!text.empty() && text[0] == '$') {
    size_t end = 1;
    while (end < text.size() && isKeyCharacter(text[end]))
      ++end;
    factor.key = text.substr(1, end - 1);
    text.remove_prefix(end);
    if (factor.key.empty())
      return std::nullopt;
    return factor;
  }
  std::optional<double> number = takeNumber(text);
  if (!number)
    return std::nullopt;
  factor.number = *number;
  return factor;
}

/// `$a`, `2` or `$a ^ -0.5`.
static std::optional<Hole::Factor> takeFactor(std::string_view &text) {
  text = trim(text);
  std::optional<Hole::Factor> factor = takeBase(text);
  text = trim(text);
  if (!factor || text.empty() || text[0] != '^')
    return factor;
  text = trim(text.substr(1));
  std::optional<double> power = takeNumber(text);
  if (!power)
    return std::nullopt;
  factor->power = *power;
  return factor;
}

static Value literal(std::string_view text) {
  if (text == "true" || text == "false")
    return json::flagValue(text == "true");
  if (text == "[]")
    return json::emptyValue(Value::Kind::array);
  std::string_view rest = text;
  std::optional<double> number = takeNumber(rest);
  if (number && rest.empty())
    return json::numberValue(*number);
  return json::textValue(text);
}

static std::optional<Hole::Alternative>
parseAlternative(std::string_view text) {
  Hole::Alternative result;
  for (char c : text)
    if (c != '$')
      result.text += c;
  if (text.empty())
    return std::nullopt;
  if (text[0] != '$') {
    result.literal = literal(text);
    return result;
  }
  result.terms.emplace_back();
  for (bool divides = false;;) {
    std::optional<Hole::Factor> factor = takeFactor(text);
    if (!factor)
      return std::nullopt;
    factor->divides = divides;
    result.terms.back().factors.push_back(std::move(*factor));
    text = trim(text);
    if (text.empty())
      return result;
    char operation = text[0];
    text.remove_prefix(1);
    divides = operation == '/';
    if (operation == '+' || operation == '-')
      result.terms.push_back({operation == '-', {}});
    else if (operation != '*' && operation != '/')
      return std::nullopt;
  }
}

const std::string *Hole::Alternative::singleKey() const {
  bool single = terms.size() == 1 && terms[0].factors.size() == 1 &&
                !terms[0].factors[0].key.empty() &&
                terms[0].factors[0].power == 1.0;
  return single ? &terms[0].factors[0].key : nullptr;
}

bool moe::isHole(std::string_view text) {
  return text.substr(0, 1) == "$" && text.substr(0, 2) != "${";
}

std::optional<Hole> moe::parseHole(std::string_view text) {
  Hole hole;
  text = trim(text);
  if (!text.empty() && text.back() == '?') {
    hole.optional = true;
    text.remove_suffix(1);
  }
  for (;;) {
    size_t bar = text.find('|');
    std::optional<Hole::Alternative> alternative =
        parseAlternative(trim(text.substr(0, bar)));
    if (!alternative)
      return std::nullopt;
    hole.alternatives.push_back(std::move(*alternative));
    if (bar == std::string_view::npos)
      return hole;
    text.remove_prefix(bar + 1);
  }
}

std::optional<HoledText> moe::parseHoledText(std::string_view text) {
  HoledText result;
  for (;;) {
    size_t begin = text.find("${");
    result.parts.push_back({std::string(text.substr(0, begin)), std::nullopt});
    if (begin == std::string_view::npos)
      return result;
    size_t end = text.find('}', begin);
    if (end == std::string_view::npos)
      return std::nullopt;
    // `${key | 7}` is the hole `$key | 7`.
    std::string inner =
        "$" + std::string(text.substr(begin + 2, end - begin - 2));
    result.parts.back().hole = parseHole(inner);
    if (!result.parts.back().hole)
      return std::nullopt;
    text.remove_prefix(end + 1);
  }
}
