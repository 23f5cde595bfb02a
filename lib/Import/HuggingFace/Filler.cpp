//===- Filler.cpp - A family's template, filled ---------------------------===//
//
// Part of moe-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Filler.h"

#include <algorithm>
#include <cassert>
#include <cmath>

using namespace moe;
using json::Value;
using Kind = json::Value::Kind;

static bool hasKeys(const Hole::Alternative &alternative,
                    const Configuration &config) {
  for (const Hole::Term &term : alternative.terms)
    for (const Hole::Factor &factor : term.factors)
      if (!factor.key.empty() && !findKey(config, factor.key))
        return false;
  return true;
}

bool Filler::isPresent(const Value &form) const {
  if (form.kind == Kind::string && isHole(form.string)) {
    std::optional<Hole> hole = parseHole(form.string);
    return std::any_of(hole->alternatives.begin(), hole->alternatives.end(),
                       [&](const Hole::Alternative &alternative) {
                         return hasKeys(alternative, config);
                       });
  }
  return std::all_of(
      form.members.begin(), form.members.end(),
      [&](const json::Member &member) { return isPresent(member.value); });
}

void Filler::setLayer(int64_t layer, int64_t count, int64_t extra) {
  this->layer = layer;
  this->count = count;
  this->extra = extra;
}

const Value *Filler::entryOfLayer(const Value &value) const {
  int64_t size = value.elements.size();
  if (layer < 0 || value.kind != Kind::array ||
      (size != count && size != count + extra))
    return nullptr;
  return &value.elements[layer];
}

void Filler::wrongType(const Value &value, const std::string &name,
                       const std::string &expected) {
  reporter.error(value.begin, name + ": found " +
                                  json::describe(value, config.text) +
                                  ", expected " + expected);
}

/// A name such as an activation's: what it means is for the reader of the
/// native form to say, to which a formula would be as good.
static bool isName(const std::string &text) {
  return !text.empty() && std::all_of(text.begin(), text.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
           (c >= '0' && c <= '9') || c == '_' || c == '-' || c == '.';
  });
}

std::optional<Filler::Filling> Filler::scalar(ConfigKey key,
                                              const std::string &name) {
  Filling result{*key.value, key.begin, name};
  if (key.value->kind == Kind::array) {
    const Value *entry = entryOfLayer(*key.value);
    if (!entry) {
      if (layer < 0 || key.value->elements.empty())
        wrongType(*key.value, name, "a number, a name, true or false");
      else
        reporter.error(key.value->begin,
                       name + ": found a list of " +
                           std::to_string(key.value->elements.size()) +
                           ", expected an entry for each of the " +
                           std::to_string(count) + " layers");
      return std::nullopt;
    }
    result.value = *entry;
    result.name += "[" + std::to_string(layer) + "]";
  }
  const Value &value = result.value;
  bool good = value.kind == Kind::number || value.kind == Kind::boolean ||
              (value.kind == Kind::string && isName(value.string));
  if (good)
    return result;
  wrongType(value, result.name, "a number, a name, true or false");
  return std::nullopt;
}

std::optional<Filler::Filling>
Filler::compute(const Hole::Alternative &alternative) {
  double sum = 0.0;
  Filling result;
  for (const Hole::Term &term : alternative.terms) {
    double product = term.negative ? -1.0 : 1.0;
    for (const Hole::Factor &factor : term.factors) {
      double number = factor.number;
      if (!factor.key.empty()) {
        ConfigKey key = findKey(config, factor.key);
        std::optional<Filling> filling = scalar(key, factor.key);
        if (!filling)
          return std::nullopt;
        if (filling->value.kind != Kind::number) {
          wrongType(filling->value, filling->name, "a number");
          return std::nullopt;
        }
        number = filling->value.number;
        if (result.name.empty()) {
          result.key = key.begin;
          result.value.begin = filling->value.begin;
        }
        result.name = alternative.text;
      }
      if (factor.power != 1.0)
        number = std::pow(number, factor.power);
      product = factor.divides ? product / number : product * number;
    }
    sum += product;
  }
  size_t begin = result.value.begin;
  if (!std::isfinite(sum)) {
    reporter.error(begin, alternative.text + ": found what is not finite, "
                                             "expected a number");
    return std::nullopt;
  }
  result.value = json::numberValue(sum);
  result.value.begin = result.value.end = begin;
  return result;
}

void Filler::missing(const Hole::Alternative &alternative) {
  for (const Hole::Term &term : alternative.terms)
    for (const Hole::Factor &factor : term.factors) {
      if (factor.key.empty() || findKey(config, factor.key))
        continue;
      if (!reportedKeys.insert(factor.key).second)
        return;
      if (const Value *null = config.model.find(factor.key))
        return wrongType(*null, factor.key,
                         "a value, which a configuration of family " +
                             inQuotes(config.family) + " needs");
      std::vector<std::string_view> present;
      for (const json::Member &member : config.model.members)
        present.push_back(member.key);
      return reporter.error(config.model.begin,
                            "found no key " + inQuotes(factor.key) +
                                ", which a configuration of family " +
                                inQuotes(config.family) + " needs" +
                                didYouMean(factor.key, present));
    }
}

std::optional<Filler::Filling> Filler::fillHole(const Hole &hole,
                                                bool anyKind) {
  for (const Hole::Alternative &alternative : hole.alternatives) {
    if (!hasKeys(alternative, config))
      continue;
    if (alternative.terms.empty())
      return Filling{placed(alternative.literal), config.anchor, ""};
    const std::string *name = alternative.singleKey();
    if (!name)
      return compute(alternative);
    ConfigKey key = findKey(config, *name);
    if (anyKind)
      return Filling{*key.value, key.begin, *name};
    return scalar(key, *name);
  }
  if (!hole.optional)
    missing(hole.alternatives[0]);
  return std::nullopt;
}

/// A text with holes: each becomes its number or name.
std::optional<Filler::Filling> Filler::fillText(const HoledText &text) {
  Filling result{json::textValue(""), config.anchor, ""};
  result.value.begin = config.anchor;
  for (const HoledText::Part &part : text.parts) {
    result.value.string += part.text;
    if (!part.hole)
      continue;
    std::optional<Filling> filling = fillHole(*part.hole, /*anyKind=*/false);
    if (!filling)
      return std::nullopt;
    const Value &value = filling->value;
    result.value.string += value.kind == Kind::string ? value.string
                           : value.kind == Kind::boolean
                               ? std::string(value.boolean ? "true" : "false")
                           : value.integer ? std::to_string(*value.integer)
                                           : numberText(value.number);
    if (!filling->name.empty() && result.name.empty()) {
      result.name = filling->name;
      result.key = filling->key;
      result.value.begin = value.begin;
    }
  }
  result.value.end = result.value.begin;
  return result;
}

/// What the template says itself, at the place where the family is named.
Value Filler::placed(const Value &form) const {
  Value value = form;
  value.begin = value.end = config.anchor;
  for (Value &element : value.elements)
    element = placed(element);
  for (json::Member &member : value.members) {
    member.begin = config.anchor;
    member.value = placed(member.value);
  }
  return value;
}

std::optional<Filler::Filling> Filler::fill(const Value &form, bool anyKind) {
  if (form.kind != Kind::string || form.string.find('$') == std::string::npos)
    return Filling{placed(form), config.anchor, ""};
  if (isHole(form.string)) {
    std::optional<Hole> hole = parseHole(form.string);
    assert(hole && "a test reads every hole of every family");
    return fillHole(*hole, anyKind);
  }
  std::optional<HoledText> text = parseHoledText(form.string);
  assert(text && "a test reads every hole of every family");
  return fillText(*text);
}

std::optional<Value> Filler::fillNode(const Value &form,
                                      const std::string &path, size_t &key) {
  key = config.anchor;
  Value result;
  result.kind = form.kind;
  result.begin = result.end = config.anchor;
  switch (form.kind) {
  case Kind::object:
    for (const json::Member &member : form.members) {
      json::Member filled;
      filled.key = member.key;
      std::optional<Value> value = fillNode(
          member.value, path.empty() ? member.key : path + "." + member.key,
          filled.begin);
      if (!value)
        continue;
      filled.value = std::move(*value);
      result.members.push_back(std::move(filled));
    }
    return result;
  case Kind::array:
    for (const Value &element : form.elements)
      if (std::optional<Value> value = fillNode(element, path, key))
        result.elements.push_back(std::move(*value));
    return result;
  default:
    std::optional<Filling> filling = fill(form);
    if (!filling)
      return std::nullopt;
    key = filling->key;
    if (!filling->name.empty())
      names[path] = filling->name;
    return std::move(filling->value);
  }
}

Value Filler::fillTree(const Value &form, const std::string &path) {
  size_t key;
  return *fillNode(form, path, key);
}
