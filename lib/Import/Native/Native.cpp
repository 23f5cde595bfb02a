//===- Native.cpp - The native form of a spec -----------------------------===//
//
// Part of moe-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Native.h"
#include "Formula/Formulas.h"
#include "Keys.h"
#include "Sources.h"
#include "Text/Reporter.h"

#include <algorithm>

using namespace moe;
using json::Value;

size_t Locations::of(std::string_view path) const {
  for (;;) {
    auto found = offsets.find(path);
    if (found != offsets.end())
      return found->second;
    size_t dot = path.rfind('.');
    if (dot == std::string_view::npos)
      return 0;
    path = path.substr(0, dot);
  }
}

namespace {

class Reader {
public:
  Reader(std::string_view text, Spec &spec, Locations &locations,
         Reporter &reporter)
      : text(text), spec(spec), locations(locations), reporter(reporter) {}

  void readDocument(const Value &document) {
    if (document.kind != Value::Kind::object)
      return wrongType(document, "", "an object");
    locations.add("", document.begin);
    readGroup(document, "");
    checkRequired();
    readFormulas();
    if (!locations.given("dtype.weights"))
      spec.dtype.weights = spec.dtype.activation;
    if (!locations.given("dtype.router"))
      spec.dtype.router = spec.dtype.weights;
    checkSelectionBias();
    resolveDefaults(spec);
  }

private:
  /// `path` is empty for the document. Goes as deep as the table of keys does,
  /// whatever the text does.
  void readGroup(const Value &object, const std::string &path) {
    for (const json::Member &member : object.members) {
      if (reporter.full())
        return;
      std::string memberPath =
          path.empty() ? member.key : path + "." + member.key;
      const Key *key = findKey(memberPath);
      bool group = isGroup(memberPath);
      if (member.key.find('.') != std::string::npos || !(key || group)) {
        unknownKey(member, path);
        continue;
      }
      locations.add(memberPath, member.begin);
      bool isObject = member.value.kind == Value::Kind::object;
      if (group && isObject) {
        // Its mere presence switches renormalisation on.
        if (key && key->type == KeyType::renormalize)
          key->set(spec, true);
        readGroup(member.value, memberPath);
      } else if (key) {
        readKey(member.value, *key);
      } else {
        reported.push_back(memberPath);
        wrongType(member.value, memberPath, "an object");
      }
    }
  }

  void unknownKey(const json::Member &member, const std::string &group) {
    std::vector<std::string_view> names = namesIn(group);
    std::string message = "unknown key " + inQuotes(member.key) +
                          (group.empty() ? "" : " in " + inQuotes(group));
    std::string meant = elsewhere(member.key);
    std::string_view near = nearest(member.key, names);
    if (!near.empty()) {
      meant = (group.empty() ? "" : group + ".") + std::string(near);
      message += "; did you mean " + inQuotes(near) + "?";
    } else if (meant == member.key && group.empty()) {
      message += "; expected objects inside one another instead of dots";
    } else if (!meant.empty()) {
      size_t dot = meant.rfind('.');
      message += dot == std::string::npos
                     ? ", expected it outside of any object"
                     : ", expected it in " + inQuotes(meant.substr(0, dot));
    } else {
      message += ", expected " + quotedList(names);
    }
    reporter.error(member.begin, message);
    if (!meant.empty())
      reported.push_back(meant);
  }

  /// The path of the key that has this name, wherever it is.
  static std::string elsewhere(std::string_view name) {
    for (const Key &key : keyTable())
      if (key.path == name ||
          key.path.substr(key.path.rfind('.') + 1) == name) // npos + 1 is 0
        return std::string(key.path);
    return "";
  }

  void wrongType(const Value &value, std::string_view path,
                 const std::string &expected) {
    reporter.error(value.begin, (path.empty() ? "" : std::string(path) + ": ") +
                                    "found " + json::describe(value, text) +
                                    ", expected " + expected);
  }

  static bool isInRange(const Value &value, const Key &key) {
    return value.integer && *value.integer >= key.minInteger &&
           *value.integer <= key.maxInteger;
  }

  void readKey(const Value &value, const Key &key) {
    bool isText = value.kind == Value::Kind::string;
    switch (key.type) {
    case KeyType::integer:
      if (isInRange(value, key))
        return key.set(spec, *value.integer);
      break;
    case KeyType::pair:
      if (value.kind == Value::Kind::array && value.elements.size() == 2)
        return readPair(value.elements, key);
      break;
    case KeyType::number:
      if (value.kind == Value::Kind::number && value.number >= key.minNumber &&
          !(key.aboveMin && value.number == key.minNumber))
        return key.set(spec, value.number);
      break;
    case KeyType::flag:
    case KeyType::renormalize:
      if (value.kind == Value::Kind::boolean)
        return key.set(spec, value.boolean);
      break;
    case KeyType::choice: {
      auto name = std::find(key.values.begin(), key.values.end(), value.string);
      if (isText && name != key.values.end())
        return key.set(spec, int64_t(name - key.values.begin()));
      if (isText)
        return unknownValue(value, key);
      break;
    }
    case KeyType::text:
      if (isText && value.string.size() <= size_t(key.maxInteger))
        return key.set(spec, value.string);
      break;
    case KeyType::activation:
    case KeyType::score:
      if (isText) {
        // Their variables depend on keys that may still come.
        formulas.push_back({&key, &value});
        return;
      }
      break;
    case KeyType::functions:
      if (value.kind == Value::Kind::array && !value.elements.empty())
        return readFunctions(value, key);
      break;
    case KeyType::texts:
      if (std::optional<std::vector<std::string>> texts = readTexts(value, key))
        return key.set(spec, *texts);
      break;
    case KeyType::lists:
      if (std::optional<Lists> lists = readLists(value, key))
        return key.set(spec, *lists);
      break;
    case KeyType::tensors:
      if (value.kind == Value::Kind::object)
        return readWeightTensors(value, text, spec.weights.tensors, locations,
                                 reporter);
      break;
    }
    wrongType(value, key.path, expectation(key));
  }

  void readPair(const std::vector<Value> &elements, const Key &key) {
    for (const Value &element : elements)
      if (!isInRange(element, key))
        return wrongType(element, key.path,
                         "an integer from " + std::to_string(key.minInteger) +
                             " to " + std::to_string(key.maxInteger));
    key.set(spec, Pair{*elements[0].integer, *elements[1].integer});
  }

  void unknownValue(const Value &value, const Key &key) {
    reporter.error(value.begin, std::string(key.path) + ": unknown value " +
                                    inQuotes(value.string) + ", expected " +
                                    quotedList(key.values) +
                                    didYouMean(value.string, key.values));
  }

  static std::optional<std::vector<std::string>> readTexts(const Value &value,
                                                           const Key &key) {
    std::vector<std::string> texts;
    auto add = [&](const Value &element) {
      bool good = element.kind == Value::Kind::string &&
                  element.string.size() <= size_t(key.maxInteger);
      texts.push_back(element.string);
      return good;
    };
    if (value.kind != Value::Kind::array)
      return add(value) ? std::make_optional(texts) : std::nullopt;
    size_t count = value.elements.size();
    bool good = count >= 1 && count <= 64 &&
                std::all_of(value.elements.begin(), value.elements.end(), add);
    return good ? std::make_optional(texts) : std::nullopt;
  }

  static std::optional<Lists> readLists(const Value &value, const Key &key) {
    if (value.kind != Value::Kind::array)
      return std::nullopt;
    Lists lists;
    for (const Value &element : value.elements) {
      if (element.kind != Value::Kind::array)
        return std::nullopt;
      std::vector<int64_t> &list = lists.emplace_back();
      for (const Value &number : element.elements) {
        if (!isInRange(number, key))
          return std::nullopt;
        list.push_back(*number.integer);
      }
    }
    return lists;
  }

  void readFunctions(const Value &list, const Key &key) {
    spec.functions.clear();
    std::vector<const Value *> first(key.values.size());
    for (const Value &element : list.elements) {
      if (reporter.full())
        return;
      if (element.kind != Value::Kind::string) {
        wrongType(element, key.path, quotedList(key.values));
        continue;
      }
      auto name =
          std::find(key.values.begin(), key.values.end(), element.string);
      if (name == key.values.end()) {
        unknownValue(element, key);
        continue;
      }
      size_t index = name - key.values.begin();
      // [S14]
      if (first[index]) {
        reporter.error(element.begin, "functions: found " +
                                          inQuotes(element.string) +
                                          " a second time, expected each "
                                          "function once");
        reporter.note(first[index]->begin, "first found here");
        continue;
      }
      first[index] = &element;
      spec.functions.push_back(static_cast<Function>(index));
    }
  }

  void checkRequired() {
    for (const Key &key : keyTable())
      if (key.required)
        require(key.path);
    // These objects say nothing without these keys.
    for (std::string_view path :
         {"router.groups.count", "router.groups.keep",
          "router.null_experts.count", "experts.quantization.kind",
          "shared.quantization.kind"})
      if (locations.given(path.substr(0, path.rfind('.'))))
        require(path);
  }

  void require(std::string_view path) {
    for (const std::string &other : reported)
      if (path == other || path.substr(0, other.size() + 1) == other + ".")
        return;
    if (!locations.given(path))
      reporter.error(locations.of(path), "found no key " + inQuotes(path) +
                                             ", expected " +
                                             expectation(*findKey(path)));
  }

  /// [S6] Here, as the default that is filled in next would hide it.
  void checkSelectionBias() {
    constexpr std::string_view path = "router.selection_bias";
    if (spec.router.balancing != Balancing::dynamic || !locations.given(path) ||
        spec.router.selectionBias)
      return;
    reporter.error(locations.of(path),
                   "router.selection_bias: found false, expected true, as "
                   "router.load_balancing 'dynamic' has the bias as its state");
    reporter.note(locations.of("router.load_balancing"),
                  "router.load_balancing is given here");
  }

  void readFormulas() {
    for (auto [key, value] : formulas) {
      if (key->type == KeyType::score) {
        key->set(spec, value->string);
        if (spec.router.score == Score::function)
          readScore(*value, text, spec.router.scoreFunction, reporter);
      } else if (key->path == "router.projection.activation") {
        readActivation(*value, text, /*glu=*/false,
                       spec.router.projection.activation, reporter);
      } else {
        bool glu = spec.experts.form == ExpertForm::glu;
        readActivation(*value, text, glu,
                       key->path == "shared.activation"
                           ? spec.shared.activation
                           : spec.experts.activation,
                       reporter);
      }
    }
  }

  std::string_view text;
  Spec &spec;
  Locations &locations;
  Reporter &reporter;
  /// What an error was about already, and is not missing besides.
  std::vector<std::string> reported;
  struct Formula {
    const Key *key;
    const Value *value;
  };
  std::vector<Formula> formulas;
};

} // namespace

void moe::readNative(const Value &document, std::string_view text, Spec &spec,
                     Locations &locations, Reporter &reporter) {
  Reader(text, spec, locations, reporter).readDocument(document);
}
