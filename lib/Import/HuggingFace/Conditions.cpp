//===- Conditions.cpp - What a family makes of certain values -------------===//
//
// Part of moe-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Conditions.h"
#include "Filler.h"
#include "LayerRules.h"

#include <algorithm>

using namespace moe;
using json::Value;
using Kind = json::Value::Kind;

/// Object into object member by member; null removes, all else replaces.
static void merge(Value &into, const Value &from) {
  if (into.kind != Kind::object || from.kind != Kind::object) {
    into = from;
    return;
  }
  for (const json::Member &member : from.members) {
    auto old = std::find_if(
        into.members.begin(), into.members.end(),
        [&](const json::Member &other) { return other.key == member.key; });
    if (old == into.members.end()) {
      into.members.push_back({member.key, member.begin, Value()});
      old = into.members.end() - 1;
    }
    if (member.value.kind == Kind::null)
      into.members.erase(old);
    else
      merge(old->value, member.value);
  }
}

static bool same(const Value &a, const Value &b) {
  return a.kind == b.kind && a.boolean == b.boolean && a.number == b.number &&
         a.string == b.string && a.elements.empty() && b.elements.empty() &&
         a.members.empty() && b.members.empty();
}

static bool contains(const Value &list, const Value &value) {
  return std::any_of(
      list.elements.begin(), list.elements.end(),
      [&](const Value &element) { return same(element, value); });
}

static std::string listText(const Value &list) {
  std::vector<std::string> texts;
  for (const Value &value : list.elements)
    if (value.kind != Kind::null)
      texts.push_back(value.kind == Kind::string ? inQuotes(value.string)
                      : value.kind == Kind::boolean
                          ? (value.boolean ? "true" : "false")
                          : numberText(value.number));
  std::string result;
  for (size_t i = 0; i < texts.size(); ++i)
    result += (i == 0 ? "" : i + 1 == texts.size() ? " or " : ", ") + texts[i];
  return texts.empty() ? "no such key" : result;
}

namespace {

class Conditions {
public:
  Conditions(const Value &family, const LayerPlace *place, Filler &filler,
             Template &result)
      : family(family), place(place), filler(filler), result(result) {}

  void apply(const Value &part) {
    if (const Value *requirements = part.find("require"))
      for (const Value &requirement : requirements->elements)
        check(requirement);
    if (const Value *entries = part.find("when"))
      for (const Value &entry : entries->elements)
        if (holds(entry)) {
          add(entry, "layers", result.layers);
          add(entry, "spec", result.spec);
          add(entry, "weights", result.weights);
          apply(entry);
        }
  }

private:
  static void add(const Value &entry, std::string_view name, Value &to) {
    if (const Value *part = entry.find(name))
      merge(to, *part);
  }

  bool holds(const Value &entry) {
    const Value *is = entry.find("is");
    if (entry.find("layer")) {
      if (!place)
        return false;
      return contains(*is, json::textValue(layerKindName(place->kind))) ||
             contains(*is, json::numberValue(place->layer));
    }
    const std::string &name = entry.find("key")->string;
    ConfigKey key = findKey(filler.config, name);
    if (!key)
      return is && contains(*is, Value());
    const Value *value = key.value;
    if (const Value *ofLayer = filler.entryOfLayer(*value))
      value = ofLayer;
    if (value->kind == Kind::array)
      return false;
    if (!is) {
      if (value->kind != Kind::number) {
        filler.wrongType(*value, name, "a number");
        return false;
      }
      return value->number > entry.find("above")->number;
    }
    checkKind(*value, name);
    return contains(*is, *value);
  }

  /// A value of another type than all that are asked for would silently be
  /// none of them.
  void checkKind(const Value &value, const std::string &name) {
    std::vector<Kind> kinds;
    forEachList(family, name, [&](const Value &list) {
      for (const Value &element : list.elements)
        if (element.kind != Kind::null)
          kinds.push_back(element.kind);
    });
    auto asks = [&](Kind kind) {
      return std::find(kinds.begin(), kinds.end(), kind) != kinds.end();
    };
    if (!kinds.empty() && !asks(value.kind) &&
        filler.reportedKeys.insert(name).second)
      filler.wrongType(value, name,
                       asks(Kind::boolean)  ? "true or false"
                       : asks(Kind::number) ? "a number"
                                            : "a name");
  }

  template <typename Visit>
  static void forEachList(const Value &part, const std::string &name,
                          const Visit &visit) {
    for (std::string_view of : {"when", "require"})
      if (const Value *entries = part.find(of))
        for (const Value &entry : entries->elements) {
          const Value *key = entry.find("key"), *is = entry.find("is");
          if (key && is && key->string == name)
            visit(*is);
          forEachList(entry, name, visit);
        }
  }

  void check(const Value &requirement) {
    const std::string &name = requirement.find("key")->string;
    ConfigKey key = findKey(filler.config, name);
    if (!key)
      return;
    const Value &is = *requirement.find("is");
    auto checkOne = [&](const Value &value) {
      if (!contains(is, value))
        filler.wrongType(value, name,
                         listText(is) + " in family " +
                             inQuotes(filler.config.family) + "; " +
                             requirement.find("why")->string);
    };
    if (key.value->kind != Kind::array)
      return checkOne(*key.value);
    for (const Value &element : key.value->elements)
      checkOne(element);
  }

  const Value &family;
  const LayerPlace *place;
  Filler &filler;
  Template &result;
};

} // namespace

void moe::applyConditions(const Value &family, const LayerPlace *place,
                          Filler &filler, Template &result) {
  Conditions(family, place, filler, result).apply(family);
}
