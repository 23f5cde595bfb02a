//===- Checker.cpp - Messages about keys together -------------------------===//
//
// Part of moe-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Checker.h"
#include "Keys.h"
#include "Native.h"
#include "Text/Reporter.h"

using namespace moe;

std::string Checker::valueOf(Path path) const {
  const Key &key = *findKey(path);
  Scalar scalar = key.get(spec);
  if (auto *integer = std::get_if<int64_t>(&scalar))
    return key.type == KeyType::choice ? inQuotes(key.values[*integer])
                                       : std::to_string(*integer);
  if (auto *number = std::get_if<double>(&scalar))
    return numberText(*number);
  if (auto *flag = std::get_if<bool>(&scalar)) {
    if (key.type == KeyType::choice)
      return inQuotes(key.values[*flag]);
    return *flag ? "true" : "false";
  }
  if (auto *pair = std::get_if<Pair>(&scalar))
    return pairText(*pair);
  if (auto *lists = std::get_if<Lists>(&scalar))
    return listsText(*lists);
  if (auto *text = std::get_if<std::string>(&scalar))
    return inQuotes(*text);
  return "none";
}

void Checker::noteAt(Path path) const {
  if (locations.given(path))
    reporter.note(locations.of(path), std::string(path) + " is given here");
}

void Checker::wrong(Path path, const std::string &expected,
                    std::initializer_list<Path> against) const {
  reporter.error(locations.of(path), std::string(path) + ": found " +
                                         valueOf(path) + ", expected " +
                                         expected);
  for (Path other : against)
    noteAt(other);
}

void Checker::needs(Path path, const std::string &who, Path other,
                    const std::string &expected) const {
  reporter.error(locations.of(path),
                 who + " needs " + std::string(other) + " to be " + expected +
                     ", found " + valueOf(other) +
                     (locations.given(other) ? "" : " (the default)"));
  noteAt(other);
}

void Checker::needs(Path path, Path other, const std::string &expected) const {
  needs(path, std::string(path), other, expected);
}

void Checker::valueNeeds(Path path, Path other,
                         const std::string &expected) const {
  needs(path, std::string(path) + " " + valueOf(path), other, expected);
}
