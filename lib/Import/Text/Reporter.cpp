//===- Reporter.cpp - Located messages ------------------------------------===//
//
// Part of moe-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Reporter.h"

#include <algorithm>
#include <charconv>

using namespace moe;

/// `router.top_k: found 9` becomes `num_experts_per_tok (router.top_k): found
/// 9`. Text in quotes is left alone, and so is the one word of a path without a
/// dot unless it is what the message is about.
static std::string renamed(const std::string &message, const Names &names) {
  constexpr std::string_view pathCharacters =
      "abcdefghijklmnopqrstuvwxyz0123456789_.";
  std::string result;
  for (size_t at = 0; at < message.size();) {
    size_t end =
        std::min(message.find_first_not_of(pathCharacters, at), message.size());
    if (end == at) {
      result += message[at++];
      continue;
    }
    std::string_view word = std::string_view(message).substr(at, end - at);
    bool quoted = at > 0 && message[at - 1] == '\'';
    bool subject = at == 0 && message.substr(end, 1) == ":";
    auto name = names.find(word);
    bool known = name != names.end() && !quoted &&
                 (subject || word.find('.') != std::string_view::npos);
    result += known ? name->second + " (" + std::string(word) + ")"
                    : std::string(word);
    at = end;
  }
  return result;
}

void Reporter::error(size_t offset, std::string message) {
  ++errors;
  if (errors <= maxErrors)
    add(Diagnostic::Kind::error, offset, std::move(message));
  else if (errors == maxErrors + 1)
    firstNotKept = offset;
}

void Reporter::note(size_t offset, std::string message) {
  if (errors <= maxErrors)
    add(Diagnostic::Kind::note, offset, std::move(message));
}

void Reporter::add(Diagnostic::Kind kind, size_t offset, std::string message) {
  std::string_view before = text.substr(0, std::min(offset, text.size()));
  Diagnostic diagnostic;
  diagnostic.kind = kind;
  diagnostic.line = 1 + std::count(before.begin(), before.end(), '\n');
  // npos + 1 is 0, so the first line needs no special case.
  diagnostic.column = before.size() - (before.rfind('\n') + 1) + 1;
  diagnostic.message = names ? renamed(message, *names) : std::move(message);
  diagnostics.push_back(std::move(diagnostic));
}

void Reporter::finish() {
  // Sorts whole errors, notes included. Equal keys stay in order of insertion.
  std::multimap<std::pair<size_t, size_t>, std::vector<Diagnostic>> sorted;
  auto last = sorted.end();
  for (Diagnostic &diagnostic : diagnostics) {
    if (diagnostic.kind == Diagnostic::Kind::error)
      last = sorted.insert({{diagnostic.line, diagnostic.column}, {}});
    last->second.push_back(std::move(diagnostic));
  }
  diagnostics.clear();
  for (auto &entry : sorted)
    for (Diagnostic &diagnostic : entry.second)
      diagnostics.push_back(std::move(diagnostic));
  if (full())
    add(Diagnostic::Kind::note, firstNotKept,
        "there are more errors, of which this is the first");
}

std::string moe::inQuotes(std::string_view text) {
  constexpr size_t maxShown = 48;
  size_t end = std::min(text.size(), maxShown);
  // Do not cut a character in two.
  while (end < text.size() && end > 0 &&
         (static_cast<unsigned char>(text[end]) & 0xC0) == 0x80)
    --end;
  std::string result = "'";
  for (char c : text.substr(0, end))
    result += static_cast<unsigned char>(c) < 0x20 || c == 0x7F ? '?' : c;
  if (end < text.size())
    result += "...";
  return result + "'";
}

std::string moe::quotedList(const std::vector<std::string_view> &names) {
  std::string result;
  for (size_t i = 0; i < names.size(); ++i) {
    if (i != 0)
      result += i + 1 == names.size() ? " or " : ", ";
    result += inQuotes(names[i]);
  }
  return result;
}

std::string moe::numberText(double value) {
  char buffer[32];
  auto end = std::to_chars(buffer, buffer + sizeof(buffer), value).ptr;
  return std::string(buffer, end);
}
