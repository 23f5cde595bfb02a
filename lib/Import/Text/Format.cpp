//===- Format.cpp - A diagnostic as text ----------------------------------===//
//
// Part of moe-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "moe/Import/Import.h"

#include <algorithm>

using namespace moe;

static bool startsCharacter(char c) {
  return (static_cast<unsigned char>(c) & 0xC0) != 0x80;
}

/// The length of the UTF-8 character at `at`, or 0 if there is none: a file
/// that is not UTF-8 must not reach a terminal as it is.
static size_t characterLength(std::string_view line, size_t at) {
  unsigned char c = line[at];
  size_t length = c < 0x80 ? 1 : c >= 0xF0 ? 4 : c >= 0xE0 ? 3 : 2;
  if (c >= 0xF8 || (c >= 0x80 && c < 0xC2) || at + length > line.size())
    return 0;
  for (size_t i = 1; i < length; ++i)
    if (startsCharacter(line[at + i]))
      return 0;
  return length;
}

static std::string_view lineOf(std::string_view text, size_t line) {
  for (; line > 1; --line) {
    size_t end = text.find('\n');
    if (end == std::string_view::npos)
      return {};
    text.remove_prefix(end + 1);
  }
  text = text.substr(0, text.find('\n'));
  if (!text.empty() && text.back() == '\r')
    text.remove_suffix(1);
  return text;
}

std::string moe::formatDiagnostic(const Diagnostic &diagnostic,
                                  std::string_view fileName,
                                  std::string_view text) {
  std::string result(fileName);
  result += ':' + std::to_string(diagnostic.line) + ':' +
            std::to_string(diagnostic.column) + ": ";
  result += diagnostic.kind == Diagnostic::Kind::error ? "error: " : "note: ";
  result += diagnostic.message;
  result += '\n';

  // A file may be one line of a megabyte: show the part around the column.
  constexpr size_t before = 60, after = 40;
  std::string_view line = lineOf(text, diagnostic.line);
  size_t caret = std::min(diagnostic.column - 1, line.size());
  size_t begin = caret > before ? caret - before : 0;
  while (begin > 0 && begin < caret && !startsCharacter(line[begin]))
    ++begin;
  size_t end = std::min(line.size(), caret + after);
  while (end < line.size() && !startsCharacter(line[end]))
    ++end;

  std::string shown, under;
  if (begin > 0) {
    shown += "...";
    under += "   ";
  }
  for (size_t i = begin; i < end;) {
    size_t length = characterLength(line, i);
    if (length > 1)
      shown += line.substr(i, length);
    else if (length == 0)
      shown += '?';
    else
      shown += line[i] == '\t'                               ? '\t'
               : static_cast<unsigned char>(line[i]) >= 0x20 ? line[i]
                                                             : ' ';
    if (i < caret)
      under += line[i] == '\t' ? '\t' : ' ';
    i += std::max<size_t>(length, 1);
  }
  if (end < line.size())
    shown += "...";
  return result + shown + '\n' + under + "^\n";
}
