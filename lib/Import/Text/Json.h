//===- Json.h - JSON with positions -----------------------------*- C++ -*-===//
//
// Part of moe-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// A small value tree that knows where each part of it stands in the text. What
// is over a limit is refused before it is built.
//
//===----------------------------------------------------------------------===//

#ifndef MOE_LIB_IMPORT_TEXT_H
#define MOE_LIB_IMPORT_TEXT_H

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace moe {

class Reporter;

namespace json {

// [S1]. The depth also bounds how deep the destructor of Value recurses, the
// number of values how much memory a text can ask for.
constexpr size_t maxBytes = 1 << 20;
constexpr size_t maxDepth = 64;
constexpr size_t maxValues = 1 << 16;

struct Member;

struct Value {
  enum class Kind { null, boolean, number, string, array, object };
  Kind kind = Kind::null;
  /// The part of the text that the value is, brackets and quotes included.
  size_t begin = 0, end = 0;
  bool boolean = false;
  double number = 0.0;
  /// Set iff the number is a whole one that fits.
  std::optional<int64_t> integer;
  std::string string;
  std::vector<Value> elements;
  std::vector<Member> members; // in the order of the text

  const Value *find(std::string_view key) const;
};

struct Member {
  std::string key;
  size_t begin = 0; // of the key's opening quote
  Value value;
};

/// Reads one JSON value. Reports one error and returns nothing if the text is
/// not JSON or breaks a limit.
std::optional<Value> parse(std::string_view text, Reporter &reporter);

/// The text with an empty list for each NaN and Infinity, which Python writes
/// into JSON: whoever wants a number there will refuse it.
std::string withoutNonFinite(std::string_view text);

// Values that are not in the text. What is said of them points to `at`.
Value numberValue(double number, size_t at = 0);
Value flagValue(bool flag, size_t at = 0);
Value textValue(std::string_view text, size_t at = 0);
Value emptyValue(Value::Kind kind, size_t at = 0);

/// `a string`, `true`, `2.5`: what a message says was found.
std::string describe(const Value &value, std::string_view text);

/// Where the byte `offset` of a string's value stands in the text, in which it
/// may be written as an escape.
size_t offsetInString(std::string_view text, const Value &value, size_t offset);

} // namespace json
} // namespace moe

#endif // MOE_LIB_IMPORT_TEXT_H
