//===- JsonNode.h - A JSON value that knows where it is ---------*- C++ -*-===//
//
// Part of moe-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
// Typed access to a document, with messages that give the path of the value,
// what was expected and what was found.
//
//===----------------------------------------------------------------------===//

#ifndef MOE_LIB_RUNTIME_JSONNODE_H
#define MOE_LIB_RUNTIME_JSONNODE_H

#include "Json.h"
#include "Status.h"

#include <cstdint>

namespace moe::runtime {

class JsonNode {
public:
  JsonNode(const nlohmann::json &value, const std::string &label,
           std::string path = "")
      : value(&value), label(&label), path(std::move(path)) {}

  bool has(const char *key) const {
    return value->is_object() && value->contains(key);
  }
  /// A member that must be there.
  JsonNode operator[](const char *key) const;
  JsonNode operator[](size_t index) const;
  /// Calls `visit(key, node)` for each member of an object.
  template <typename Visit> void members(Visit &&visit) const {
    if (!value->is_object())
      failExpected("an object");
    for (const auto &item : value->items())
      visit(item.key(), JsonNode(item.value(), *label, join(item.key())));
  }

  /// Length of an array of at most `most` entries.
  size_t size(size_t most) const;
  std::string string() const;
  bool isString() const { return value->is_string(); }
  bool isArray() const { return value->is_array(); }
  bool boolean() const;
  int64_t integer(int64_t least, int64_t most) const;
  /// [A-Za-z_][A-Za-z0-9_]*, at most 64 long.
  std::string identifier() const;
  /// Printable text without control characters, 1 to 512 long.
  std::string tensorName() const;

  /// "LABEL: error: PATH: expected EXPECTED, found VALUE".
  [[noreturn]] void failExpected(const std::string &expected) const;
  [[noreturn]] void failBecause(const std::string &reason) const;

private:
  std::string join(const std::string &key) const {
    return path.empty() ? key : path + "." + key;
  }

  const nlohmann::json *value;
  const std::string *label;
  std::string path;
};

} // namespace moe::runtime

#endif // MOE_LIB_RUNTIME_JSONNODE_H
