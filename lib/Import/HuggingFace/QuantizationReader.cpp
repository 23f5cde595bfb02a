//===- QuantizationReader.cpp - Keys of quantization_config ---------------===//
//
// Part of moe-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "QuantizationReader.h"
#include "Filler.h"

using namespace moe;
using json::Value;
using Kind = json::Value::Kind;

void QuantizationReader::readFrom(const std::string &name, ConfigKey key) {
  result.kindName = result.blockName = path + "." + name;
  result.kindAt = result.blockAt = key.begin;
}

void QuantizationReader::readBlockFrom(const std::string &name, ConfigKey key) {
  result.blockName = path + "." + name;
  result.blockAt = key.begin;
}

void QuantizationReader::needs(const Value &in, const std::string &name,
                               const Value &expected, const std::string &why) {
  ConfigKey key = findKey(in, name);
  if (key && (key.value->kind != expected.kind ||
              key.value->boolean != expected.boolean ||
              key.value->number != expected.number ||
              key.value->string != expected.string))
    filler.wrongType(*key.value, path + "." + name,
                     json::describe(expected, "") + "; " + why);
}

bool QuantizationReader::readFlag(const Value &in, const std::string &name,
                                  bool otherwise) {
  ConfigKey key = findKey(in, name);
  if (!key)
    return otherwise;
  if (key.value->kind != Kind::boolean)
    filler.wrongType(*key.value, path + "." + name, "true or false");
  return key.value->boolean;
}

void QuantizationReader::readBlock(const Value &in, const std::string &name) {
  ConfigKey key = findKey(in, name);
  if (!key)
    return;
  readBlockFrom(name, key);
  const std::vector<Value> &sizes = key.value->elements;
  bool good = sizes.size() == 2;
  for (size_t i = 0; good && i < 2; ++i) {
    good = sizes[i].integer && *sizes[i].integer >= 1 &&
           *sizes[i].integer <= INT32_MAX;
    if (good)
      result.block[i] = *sizes[i].integer;
  }
  if (!good)
    filler.wrongType(*key.value, path + "." + name,
                     "a list of two sizes of blocks");
}

void QuantizationReader::readGroupSize(const Value &in) {
  result.block = {1, 0};
  ConfigKey key = findKey(in, "group_size");
  if (!key || key.value->integer == -1)
    return;
  readBlockFrom("group_size", key);
  if (key.value->integer && *key.value->integer >= 1 &&
      *key.value->integer <= INT32_MAX)
    result.block[1] = *key.value->integer;
  else
    filler.wrongType(*key.value, path + ".group_size",
                     "the size of a group, or -1");
}

void QuantizationReader::readExceptions(const std::string &name) {
  ConfigKey key = findKey(object, name);
  if (!key)
    return;
  if (key.value->kind != Kind::array)
    return filler.wrongType(*key.value, path + "." + name, "a list of modules");
  for (const Value &element : key.value->elements) {
    if (filler.reporter.full())
      return;
    std::optional<ModulePattern> pattern =
        element.kind == Kind::string ? ModulePattern::parse(element.string)
                                     : std::nullopt;
    if (pattern)
      result.exceptions.push_back(std::move(*pattern));
    else
      filler.wrongType(element, path + "." + name,
                       "a module's name or a simple expression for some");
  }
}
