//===- Json.cpp - JSON with positions -------------------------------------===//
//
// Part of moe-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Json.h"
#include "JsonSyntax.h"
#include "Reporter.h"

#include <nlohmann/json.hpp>

#include <iterator>
#include <unordered_set>

using namespace moe;
using namespace moe::json;

namespace {

/// Walks over the text and tells how far the parser has read, which is the one
/// thing its events do not say. All copies count in the same place.
class CountingIterator {
public:
  using iterator_category = std::input_iterator_tag;
  using value_type = char;
  using difference_type = std::ptrdiff_t;
  using pointer = const char *;
  using reference = const char &;

  CountingIterator(std::string_view text, size_t at, size_t *count)
      : text(text), at(at), count(count) {}
  reference operator*() const { return text[at]; }
  CountingIterator &operator++() {
    *count = ++at;
    return *this;
  }
  CountingIterator operator++(int) {
    CountingIterator old = *this;
    ++*this;
    return old;
  }
  bool operator==(const CountingIterator &other) const {
    return at == other.at;
  }
  bool operator!=(const CountingIterator &other) const {
    return at != other.at;
  }

private:
  std::string_view text;
  size_t at;
  size_t *count;
};

/// Builds the tree from the parser's events. An event that returns false ends
/// the parse; the error is then already reported.
class Builder {
public:
  Builder(std::string_view text, const size_t &readTo, Reporter &reporter)
      : text(text), readTo(readTo), reporter(reporter) {}

  bool null() {
    Value value;
    return scalar(std::move(value), readTo);
  }
  bool boolean(bool boolean) { return scalar(flagValue(boolean), readTo); }
  bool number_integer(int64_t integer) {
    return number(static_cast<double>(integer), integer);
  }
  bool number_unsigned(uint64_t integer) {
    if (integer <= static_cast<uint64_t>(INT64_MAX))
      return number(static_cast<double>(integer),
                    static_cast<int64_t>(integer));
    return number(static_cast<double>(integer), std::nullopt);
  }
  bool number_float(double number, const std::string &) {
    return this->number(number, numberValue(number).integer);
  }
  bool string(std::string &string) {
    Value value;
    value.kind = Value::Kind::string;
    value.string = std::move(string);
    return scalar(std::move(value), readTo);
  }
  bool binary(nlohmann::json::binary_t &) { return false; }
  bool start_object(size_t) { return open(Value::Kind::object); }
  bool start_array(size_t) { return open(Value::Kind::array); }
  bool end_object() {
    keys.pop_back();
    return close();
  }
  bool end_array() { return close(); }

  bool key(std::string &key) {
    size_t begin = skipTo(text, cursor, syntax.place);
    if (!keys.back().insert(key).second) {
      reporter.error(begin, "found key " + inQuotes(key) +
                                " a second time, expected each key of an "
                                "object once");
      for (const Member &member : stack.back()->members)
        if (member.key == key)
          reporter.note(member.begin, "first found here");
      return false;
    }
    Member member;
    member.key = std::move(key);
    member.begin = begin;
    stack.back()->members.push_back(std::move(member));
    cursor = readTo;
    syntax.place = Place::afterKey;
    return true;
  }

  template <typename Exception>
  bool parse_error(size_t, const std::string &, const Exception &) {
    SyntaxError error = explainSyntax(text, cursor, syntax);
    reporter.error(error.offset, error.message);
    return false;
  }

  Value root;

private:
  bool number(double number, std::optional<int64_t> integer) {
    Value value = numberValue(number);
    value.integer = integer;
    size_t begin = skipTo(text, cursor, syntax.place);
    // The parser has read one character more to see where the number ends.
    return scalar(std::move(value), numberEnd(text, begin));
  }

  bool scalar(Value value, size_t end) {
    value.begin = skipTo(text, cursor, syntax.place);
    value.end = end;
    cursor = end;
    if (!place(std::move(value)))
      return false;
    afterValue();
    return true;
  }

  bool open(Value::Kind kind) {
    Value value;
    value.kind = kind;
    value.begin = skipTo(text, cursor, syntax.place);
    cursor = value.begin + 1;
    if (stack.size() == maxDepth) {
      reporter.error(value.begin, "found more than " +
                                      std::to_string(maxDepth) +
                                      " levels, expected at most " +
                                      std::to_string(maxDepth));
      return false;
    }
    Value *placed = place(std::move(value));
    if (!placed)
      return false;
    stack.push_back(placed);
    syntax.openings.push_back(placed->begin);
    bool object = kind == Value::Kind::object;
    if (object)
      keys.emplace_back();
    syntax.place = object ? Place::objectStart : Place::arrayStart;
    return true;
  }

  bool close() {
    cursor = readTo;
    stack.back()->end = cursor;
    stack.pop_back();
    syntax.openings.pop_back();
    afterValue();
    return true;
  }

  /// Puts a value where it belongs. A container stays where it is put while it
  /// is open, for only the innermost one grows.
  Value *place(Value value) {
    if (++values > maxValues) {
      reporter.error(value.begin, "found more than " +
                                      std::to_string(maxValues) +
                                      " values, expected at most that many");
      return nullptr;
    }
    Value *target = &root;
    if (!stack.empty()) {
      Value &parent = *stack.back();
      if (parent.kind == Value::Kind::array) {
        parent.elements.emplace_back();
        target = &parent.elements.back();
      } else {
        target = &parent.members.back().value;
      }
    }
    *target = std::move(value);
    return target;
  }

  void afterValue() {
    syntax.place = stack.empty() ? Place::end
                   : stack.back()->kind == Value::Kind::array
                       ? Place::afterElement
                       : Place::afterMember;
  }

  std::string_view text;
  const size_t &readTo;
  Reporter &reporter;
  SyntaxState syntax;
  size_t cursor = 0; // behind the last event's token
  size_t values = 0;
  std::vector<Value *> stack;
  std::vector<std::unordered_set<std::string>> keys; // of the open objects
};

} // namespace

std::optional<Value> json::parse(std::string_view text, Reporter &reporter) {
  if (text.size() > maxBytes) {
    reporter.error(0, "found " + std::to_string(text.size()) +
                          " bytes, expected at most " +
                          std::to_string(maxBytes));
    return std::nullopt;
  }
  if (std::optional<SyntaxError> error = checkCharacters(text)) {
    reporter.error(error->offset, error->message);
    return std::nullopt;
  }
  size_t readTo = 0;
  Builder builder(text, readTo, reporter);
  if (!nlohmann::json::sax_parse(CountingIterator(text, 0, &readTo),
                                 CountingIterator(text, text.size(), &readTo),
                                 &builder))
    return std::nullopt;
  return std::move(builder.root);
}

/// The length of the number that JSON does not have at the beginning of `text`.
static size_t nonFiniteSize(std::string_view text) {
  for (std::string_view name : {"NaN", "Infinity", "-Infinity"})
    if (text.substr(0, name.size()) == name)
      return name.size();
  return 0;
}

std::string json::withoutNonFinite(std::string_view text) {
  std::string result(text);
  bool inString = false;
  for (size_t at = 0; at < text.size(); ++at) {
    if (inString && text[at] == '\\')
      ++at;
    else if (text[at] == '"')
      inString = !inString;
    else if (size_t size = inString ? 0 : nonFiniteSize(text.substr(at))) {
      result.replace(at, size, "[]" + std::string(size - 2, ' '));
      at += size - 1;
    }
  }
  return result;
}

std::string json::describe(const Value &value, std::string_view text) {
  switch (value.kind) {
  case Value::Kind::null:
    return "null";
  case Value::Kind::boolean:
    return value.boolean ? "true" : "false";
  case Value::Kind::number: {
    std::string_view written =
        text.substr(value.begin, value.end - value.begin);
    if (written.empty()) // computed, so it stands nowhere
      return numberText(value.number);
    return written.size() <= 32 ? std::string(written)
                                : std::string(written.substr(0, 32)) + "...";
  }
  case Value::Kind::string:
    return "the string " + inQuotes(value.string);
  case Value::Kind::array:
    if (size_t size = nonFiniteSize(text.substr(value.begin)))
      return std::string(text.substr(value.begin, size));
    return value.elements.empty() ? "an empty list" : "a list";
  case Value::Kind::object:
    return "an object";
  }
  return "";
}
