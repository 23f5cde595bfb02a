//===- Configuration.cpp - Which family a configuration is of -------------===//
//
// Part of moe-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Configuration.h"
#include "Families.h"
#include "Text/Reporter.h"

#include <algorithm>

using namespace moe;
using json::Value;
using Kind = json::Value::Kind;

ConfigKey moe::findKey(const Value &object, std::string_view path) {
  const Value *in = &object;
  for (;;) {
    size_t dot = path.find('.');
    std::string_view name = path.substr(0, dot);
    auto member = std::find_if(
        in->members.begin(), in->members.end(),
        [&](const json::Member &member) { return member.key == name; });
    if (member == in->members.end() || member->value.kind == Kind::null)
      return {};
    if (dot == std::string_view::npos)
      return {&member->value, member->begin};
    in = &member->value;
    path.remove_prefix(dot + 1);
  }
}

ConfigKey moe::findKey(const Configuration &config, std::string_view path) {
  ConfigKey key = findKey(config.model, path);
  return key || path != "model_type" ? key : findKey(config.document, path);
}

/// Models of several kinds of input keep their text model in one of these.
static const Value *textModel(const Value &document) {
  for (std::string_view path : {"text_config", "llm_config", "language_config",
                                "thinker_config.text_config"})
    if (ConfigKey key = findKey(document, path))
      if (key.value->kind == Kind::object)
        return key.value;
  return &document;
}

static bool speaksOfExperts(const Value &object) {
  return std::any_of(object.members.begin(), object.members.end(),
                     [](const json::Member &member) {
                       return member.key.find("expert") != std::string::npos ||
                              member.key.find("moe") != std::string::npos;
                     });
}

/// What names a family, and how.
namespace {
struct Name {
  ConfigKey key;
  const Value *value = nullptr;
  const char *what = "";
  const FamilyFile *(*find)(std::string_view) = nullptr;
  std::string_view FamilyFile::*known = nullptr;
};
} // namespace

static std::vector<Name> namesIn(const Value &document, const Value &model) {
  std::vector<Name> names;
  auto add = [&](ConfigKey key, const Value &value, bool type) {
    names.push_back(
        {key, &value, type ? "model_type" : "architectures",
         type ? findFamilyOfModelType : findFamilyOfArchitecture,
         type ? &FamilyFile::modelTypes : &FamilyFile::architectures});
  };
  ConfigKey inner = findKey(model, "model_type");
  ConfigKey outer = findKey(document, "model_type");
  if (inner)
    add(inner, *inner.value, true);
  if (outer && outer.value != inner.value)
    add(outer, *outer.value, true);
  if (ConfigKey key = findKey(document, "architectures")) {
    for (const Value &element : key.value->elements)
      add(key, element, false);
    if (key.value->kind != Kind::array)
      add(key, *key.value, false);
  }
  return names;
}

std::optional<Configuration> moe::recognise(const Value &document,
                                            std::string_view text,
                                            const FamilyFile *&family,
                                            Reporter &reporter) {
  const Value &model = *textModel(document);
  std::vector<Name> names = namesIn(document, model);
  for (const Name &name : names) {
    if (name.value->kind != Kind::string) {
      reporter.error(name.value->begin,
                     std::string(name.what) + ": found " +
                         json::describe(*name.value, text) + ", expected " +
                         (name.key.value == name.value &&
                                  name.find == findFamilyOfArchitecture
                              ? "a list of names"
                              : "a name"));
      return std::nullopt;
    }
    family = name.find(name.value->string);
    if (family)
      return Configuration{text, document, model, std::string(family->name),
                           name.key.begin};
  }
  if (names.empty()) {
    reporter.error(document.begin, "found neither a model_type nor "
                                   "architectures, expected one of them");
    return std::nullopt;
  }
  const Name &name = names.front();
  std::string message =
      std::string(name.what) + ": found " + inQuotes(name.value->string) + ", ";
  if (!speaksOfExperts(model)) {
    message += "a model without experts, expected one with MoE layers";
  } else {
    std::vector<std::string_view> known;
    for (const FamilyFile &file : familyFiles())
      for (std::string_view word : wordsOf(file.*name.known))
        known.push_back(word);
    message += "expected a model that is known" +
               didYouMean(name.value->string, known);
  }
  reporter.error(name.value->begin,
                 message + " ('moe-opt --families' lists those)");
  return std::nullopt;
}
