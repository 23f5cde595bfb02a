//===- JsonNode.cpp - A JSON value that knows where it is -----------------===//
//
// Part of moe-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
// Typed access to a document.
//
//===----------------------------------------------------------------------===//

#include "JsonNode.h"

#include <cctype>

namespace moe::runtime {

using nlohmann::json;

static std::string found(const json &value) {
  if (value.is_object())
    return "an object";
  if (value.is_array())
    return "an array";
  std::string out = value.dump(-1, ' ', false, json::error_handler_t::replace);
  return out.size() <= 60 ? out : out.substr(0, 57) + "...";
}

void JsonNode::failExpected(const std::string &expected) const {
  failBecause("expected " + expected + ", found " + found(*value));
}

void JsonNode::failBecause(const std::string &reason) const {
  fail(MOE_BAD_FILE, *label, ": error: ", path, path.empty() ? "" : ": ",
       reason);
}

JsonNode JsonNode::operator[](const char *key) const {
  if (!value->is_object())
    failExpected("an object");
  auto member = value->find(key);
  if (member == value->end())
    failBecause(text("expected a key '", key, "', found none"));
  return JsonNode(*member, *label, join(key));
}

JsonNode JsonNode::operator[](size_t index) const {
  return JsonNode(value->at(index), *label,
                  path + "[" + std::to_string(index) + "]");
}

size_t JsonNode::size(size_t most) const {
  if (!value->is_array())
    failExpected("an array");
  if (value->size() > most)
    failBecause(
        text("expected at most ", most, " entries, found ", value->size()));
  return value->size();
}

std::string JsonNode::string() const {
  if (!value->is_string())
    failExpected("text");
  return value->get<std::string>();
}

bool JsonNode::boolean() const {
  if (!value->is_boolean())
    failExpected("true or false");
  return value->get<bool>();
}

int64_t JsonNode::integer(int64_t least, int64_t most) const {
  bool fits = value->is_number_unsigned()
                  ? value->get<uint64_t>() <= uint64_t(INT64_MAX)
                  : value->is_number_integer();
  if (!fits || value->get<int64_t>() < least || value->get<int64_t>() > most)
    failExpected(most == INT64_MAX
                     ? text("an integer of at least ", least)
                     : text("an integer from ", least, " to ", most));
  return value->get<int64_t>();
}

std::string JsonNode::identifier() const {
  std::string name = string();
  bool valid = !name.empty() && name.size() <= 64 &&
               !std::isdigit(static_cast<unsigned char>(name[0]));
  for (unsigned char c : name)
    valid &= c < 128 && (std::isalnum(c) || c == '_');
  if (!valid)
    failExpected("an identifier of at most 64 characters");
  return name;
}

std::string JsonNode::tensorName() const {
  std::string name = string();
  bool valid = !name.empty() && name.size() <= 512;
  for (unsigned char c : name)
    valid &= c >= 32 && c != 127;
  if (!valid)
    failExpected("a name of 1 to 512 printable characters");
  return name;
}

} // namespace moe::runtime
