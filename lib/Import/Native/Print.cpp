//===- Print.cpp - A spec in its native form ------------------------------===//
//
// Part of moe-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Keys.h"
#include "Sources.h"
#include "Text/Reporter.h"

#include "moe/Import/Import.h"

#include <cstdio>

using namespace moe;

std::string moe::jsonString(std::string_view text) {
  // Escapes that are short keep a text from growing past the limit of a file.
  constexpr std::string_view special = "\"\\\b\f\n\r\t";
  constexpr std::string_view letters = "\"\\bfnrt";
  std::string result = "\"";
  for (char c : text) {
    size_t escape = special.find(c);
    if (escape != std::string_view::npos) {
      result += '\\';
      result += letters[escape];
    } else if (static_cast<unsigned char>(c) < 0x20) {
      char buffer[8];
      std::snprintf(buffer, sizeof(buffer), "\\u%04x", unsigned(c));
      result += buffer;
    } else {
      result += c;
    }
  }
  return result + '"';
}

/// One text stands alone.
static std::string jsonTexts(const std::vector<std::string> &texts) {
  if (texts.size() == 1)
    return jsonString(texts[0]);
  std::string list;
  for (const std::string &text : texts)
    list += (list.empty() ? "" : ", ") + jsonString(text);
  return "[" + list + "]";
}

static std::string jsonValue(const Key &key, const Spec &spec) {
  if (key.type == KeyType::functions) {
    std::string list;
    for (Function function : spec.functions)
      list += (list.empty() ? "" : ", ") +
              jsonString(key.values[static_cast<size_t>(function)]);
    return "[" + list + "]";
  }
  if (key.type == KeyType::tensors)
    return printWeightTensors(spec.weights.tensors);
  Scalar scalar = key.get(spec);
  if (key.type == KeyType::choice) {
    bool *flag = std::get_if<bool>(&scalar);
    return jsonString(key.values[flag ? *flag : std::get<int64_t>(scalar)]);
  }
  if (auto *flag = std::get_if<bool>(&scalar))
    return *flag ? "true" : "false";
  if (auto *integer = std::get_if<int64_t>(&scalar))
    return std::to_string(*integer);
  if (auto *number = std::get_if<double>(&scalar))
    return numberText(*number);
  if (auto *pair = std::get_if<Pair>(&scalar))
    return pairText(*pair);
  if (auto *lists = std::get_if<Lists>(&scalar))
    return listsText(*lists);
  if (auto *texts = std::get_if<std::vector<std::string>>(&scalar))
    return jsonTexts(*texts);
  return jsonString(std::get<std::string>(scalar));
}

namespace {

/// Opens and closes objects as the paths of the keys go in and out of them.
class Printer {
public:
  void member(std::string_view path, const std::string &value) {
    size_t dot = path.rfind('.');
    moveTo(dot == std::string_view::npos ? "" : path.substr(0, dot));
    startMember(path.substr(dot + 1)); // npos + 1 is 0
    result += value;
  }

  std::string finish() {
    moveTo("");
    return result + "\n}\n";
  }

private:
  void moveTo(std::string_view group) {
    while (!isIn(group, current)) {
      size_t dot = current.rfind('.');
      current.resize(dot == std::string::npos ? 0 : dot);
      --depth;
      result += '\n' + indent() + '}';
      first = false;
    }
    while (current != group) {
      size_t begin = current.empty() ? 0 : current.size() + 1;
      size_t end = group.find('.', begin);
      startMember(group.substr(begin, end - begin));
      current = std::string(group.substr(0, end));
      result += '{';
      ++depth;
      first = true;
    }
  }

  static bool isIn(std::string_view path, std::string_view group) {
    return group.empty() || path == group ||
           (path.substr(0, group.size()) == group &&
            path.substr(group.size(), 1) == ".");
  }

  void startMember(std::string_view name) {
    result += first ? "\n" : ",\n";
    result += indent() + jsonString(name) + ": ";
    first = false;
  }

  std::string indent() const { return std::string(2 * depth, ' '); }

  std::string result = "{";
  std::string current; // the open group
  size_t depth = 1;
  bool first = true;
};

} // namespace

std::string moe::printSpec(const Spec &spec) {
  Spec resolved = spec;
  resolveDefaults(resolved);
  bool renormalizes = resolved.router.renormalize != Renormalize::none;
  Printer printer;
  for (const Key &key : keyTable()) {
    constexpr std::string_view parameters = "router.renormalize.";
    bool isParameter = key.path.substr(0, parameters.size()) == parameters;
    // Either false, or an object that says how.
    if (renormalizes ? key.type == KeyType::renormalize : isParameter)
      continue;
    // Optional, and without a value to be the default.
    if (key.get && key.get(resolved).index() == 0)
      continue;
    printer.member(key.path, jsonValue(key, resolved));
  }
  return printer.finish();
}
