//===- JsonSyntax.cpp - What is wrong with a text -------------------------===//
//
// Part of moe-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "JsonSyntax.h"
#include "Characters.h"
#include "Json.h"
#include "Reporter.h"

#include <algorithm>
#include <cstdio>

using namespace moe;
using namespace moe::json;

static bool isWordPart(char c) { return isLetter(c) || c == '_'; }
static int hexDigit(char c) {
  return isDigit(c)               ? c - '0'
         : (c >= 'a' && c <= 'f') ? c - 'a' + 10
         : (c >= 'A' && c <= 'F') ? c - 'A' + 10
                                  : -1;
}

static size_t skipSpace(std::string_view text, size_t at) {
  // A byte order mark may stand before everything.
  if (at == 0 && text.substr(0, 3) == "\xEF\xBB\xBF")
    at = 3;
  while (at < text.size() && isSpace(text[at]))
    ++at;
  return at;
}

/// The separator that has to stand between the last token and the next, if
/// there is a next one.
static char separatorAt(Place place) {
  switch (place) {
  case Place::afterKey:
    return ':';
  case Place::afterMember:
  case Place::afterElement:
    return ',';
  default:
    return 0;
  }
}

size_t json::skipTo(std::string_view text, size_t cursor, Place place) {
  size_t at = skipSpace(text, cursor);
  if (char separator = separatorAt(place))
    if (at < text.size() && text[at] == separator)
      at = skipSpace(text, at + 1);
  return at;
}

size_t json::numberEnd(std::string_view text, size_t begin) {
  size_t at = begin;
  auto digits = [&] {
    size_t start = at;
    while (at < text.size() && isDigit(text[at]))
      ++at;
    return at != start;
  };
  auto take = [&](std::string_view any) {
    bool found =
        at < text.size() && any.find(text[at]) != std::string_view::npos;
    at += found;
    return found;
  };
  take("-");
  // Nothing but a fraction follows a leading zero.
  if (!take("0") && !digits())
    return begin;
  if (take(".") && !digits())
    return begin;
  if (take("eE")) {
    take("+-");
    if (!digits())
      return begin;
  }
  return at;
}

/// Everything that looks as if it were one number.
static std::string_view numberLike(std::string_view text, size_t begin) {
  size_t end = text.find_first_not_of("+-.eE0123456789", begin);
  return text.substr(begin, std::min(end, text.size()) - begin);
}

/// The length of a well-formed UTF-8 character, or 0.
static size_t utf8Length(std::string_view text, size_t at) {
  auto byte = [&](size_t i) -> unsigned {
    return at + i < text.size() ? static_cast<unsigned char>(text[at + i]) : 0;
  };
  unsigned first = byte(0);
  if (first < 0x80)
    return 1;
  size_t length = first >= 0xF0 ? 4 : first >= 0xE0 ? 3 : 2;
  if (first < 0xC2 || first > 0xF4)
    return 0;
  for (size_t i = 1; i < length; ++i)
    if ((byte(i) & 0xC0) != 0x80)
      return 0;
  // Overlong forms, surrogates, and what is beyond the last code point.
  if ((first == 0xE0 && byte(1) < 0xA0) || (first == 0xED && byte(1) > 0x9F) ||
      (first == 0xF0 && byte(1) < 0x90) || (first == 0xF4 && byte(1) > 0x8F))
    return 0;
  return length;
}

static std::string byteText(char c) {
  char buffer[8];
  std::snprintf(buffer, sizeof(buffer), "0x%02x",
                static_cast<unsigned>(static_cast<unsigned char>(c)));
  return buffer;
}

std::optional<SyntaxError> json::checkCharacters(std::string_view text) {
  for (size_t at = 0; at < text.size();) {
    size_t length = utf8Length(text, at);
    if (length == 0)
      return SyntaxError{at, "found byte " + byteText(text[at]) +
                                 ", expected UTF-8 text"};
    // The parser would take a zero byte for the end of the text.
    if (static_cast<unsigned char>(text[at]) < 0x20 && !isSpace(text[at]))
      return SyntaxError{at, "found control character " + byteText(text[at]) +
                                 ", expected text"};
    at += length;
  }
  return std::nullopt;
}

/// The first fault inside the string at `begin`.
static std::optional<SyntaxError> checkString(std::string_view text,
                                              size_t begin) {
  auto codeUnit = [&](size_t at) { // of `\uXXXX`, or -1
    if (text.substr(at, 2) != "\\u")
      return -1;
    int unit = 0;
    for (size_t i = at + 2; i < at + 6; ++i) {
      int digit = i < text.size() ? hexDigit(text[i]) : -1;
      if (digit < 0)
        return -1;
      unit = unit * 16 + digit;
    }
    return unit;
  };
  for (size_t at = begin + 1; at < text.size(); ++at) {
    char c = text[at];
    if (c == '"')
      return std::nullopt;
    if (c == '\t')
      return SyntaxError{at, "found a tab in a string, expected '\\t'"};
    if (static_cast<unsigned char>(c) < 0x20)
      return SyntaxError{
          at, "found the end of the line in a string, expected '\"'"};
    if (c != '\\')
      continue;
    char escape = at + 1 < text.size() ? text[at + 1] : 0;
    if (escape == 'u') {
      int unit = codeUnit(at);
      if (unit < 0)
        return SyntaxError{at, "found an incomplete escape, expected '\\u' and "
                               "four hexadecimal digits"};
      bool first = unit >= 0xD800 && unit < 0xDC00;
      int next = first ? codeUnit(at + 6) : -1;
      if ((unit >= 0xDC00 && unit < 0xE000) ||
          (first && (next < 0xDC00 || next >= 0xE000)))
        return SyntaxError{at, "found half of a surrogate pair, expected both"};
      at += first ? 11 : 5;
    } else if (escape != 0 && std::string_view("\"\\/bfnrt").find(escape) !=
                                  std::string_view::npos) {
      ++at;
    } else if (escape != 0) {
      return SyntaxError{
          at, "found escape " + inQuotes(text.substr(at, 2)) +
                  ", expected one of \" \\ / b f n r t u behind '\\'"};
    }
  }
  return SyntaxError{begin, "found the end of the file in this string, "
                            "expected '\"'"};
}

/// The token at `at`, for a message.
static std::string tokenText(std::string_view text, size_t at) {
  if (at >= text.size())
    return "the end of the file";
  if (text[at] == '"')
    return "a string";
  size_t end = at + 1;
  if (isDigit(text[at]) || text[at] == '-')
    end = at + numberLike(text, at).size();
  else if (isWordPart(text[at]))
    while (end < text.size() && (isWordPart(text[end]) || isDigit(text[end])))
      ++end;
  else
    end = at + std::max<size_t>(utf8Length(text, at), 1);
  return inQuotes(text.substr(at, end - at));
}

SyntaxError json::explainSyntax(std::string_view text, size_t cursor,
                                const SyntaxState &state) {
  size_t at = skipSpace(text, cursor);
  if (state.place == Place::start && at == text.size())
    return {0, "found an empty file, expected a JSON object"};

  std::string expected;
  bool wantsValue = state.place == Place::start;
  char separator = separatorAt(state.place);
  bool separated = separator && at < text.size() && text[at] == separator;
  if (separated)
    at = skipSpace(text, at + 1);
  switch (state.place) {
  case Place::start:
    expected = "a JSON object";
    break;
  case Place::objectStart:
    expected = "a key in quotes or '}'";
    break;
  case Place::afterKey:
    expected = separated ? "a value" : "':'";
    wantsValue = separated;
    break;
  case Place::afterMember:
    expected = separated ? "a key in quotes" : "',' or '}'";
    break;
  case Place::arrayStart:
    expected = "a value or ']'";
    wantsValue = true;
    break;
  case Place::afterElement:
    expected = separated ? "a value" : "',' or ']'";
    wantsValue = separated;
    break;
  case Place::end:
    expected = "the end of the file";
    break;
  }

  if (at >= text.size()) {
    std::string message = "found the end of the file, expected " + expected;
    if (!state.openings.empty()) {
      // Say what is open: the end of a truncated file shows nothing itself.
      std::string_view before = text.substr(0, state.openings.back());
      message +=
          " (" + inQuotes(text.substr(state.openings.back(), 1)) + " of line " +
          std::to_string(1 + std::count(before.begin(), before.end(), '\n')) +
          " is open)";
    }
    // Not on the empty line that ends most files.
    return {text.find_last_not_of(" \t\r\n") + 1, message};
  }
  if (text[at] == '"')
    if (std::optional<SyntaxError> error = checkString(text, at))
      return *error;
  // The parser may have taken the beginning of a bad number for a number.
  bool inNumber = at == cursor && at > 0 && isDigit(text[at - 1]);
  while (inNumber && at > 0 && !numberLike(text, at - 1).empty())
    --at;
  if (isDigit(text[at]) || text[at] == '-') {
    std::string_view number = numberLike(text, at);
    if (numberEnd(text, at) != at + number.size())
      return {at, "found " + inQuotes(number) + ", expected a number"};
    if (wantsValue)
      return {at, "found " + inQuotes(number) + ", expected a finite number"};
  }
  if (text[at] == '/' && at + 1 < text.size() &&
      (text[at + 1] == '/' || text[at + 1] == '*'))
    return {at,
            "found a comment, expected " + expected + "; JSON has no comments"};
  std::string message =
      "found " + tokenText(text, at) + ", expected " + expected;
  if (separated && separator == ',' && (text[at] == '}' || text[at] == ']'))
    message += " after ','";
  return {at, message};
}

size_t json::offsetInString(std::string_view text, const Value &value,
                            size_t offset) {
  size_t at = value.begin + 1; // behind the quote
  for (size_t decoded = 0; decoded < offset && at + 1 < value.end;) {
    if (text[at] != '\\') {
      ++at;
      ++decoded;
      continue;
    }
    if (text[at + 1] != 'u') {
      at += 2;
      ++decoded;
      continue;
    }
    unsigned unit = 0;
    for (size_t i = at + 2; i < at + 6 && i < value.end; ++i)
      unit = unit * 16 + std::max(hexDigit(text[i]), 0);
    bool pair = unit >= 0xD800 && unit < 0xDC00;
    size_t bytes = pair ? 4 : unit < 0x80 ? 1 : unit < 0x800 ? 2 : 3;
    // An offset into the middle of a character means the character.
    if (decoded + bytes > offset)
      break;
    decoded += bytes;
    at += pair ? 12 : 6;
  }
  return at;
}
