//===- ModulePattern.cpp - Patterns of modules' names ---------------------===//
//
// Part of moe-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "ModulePattern.h"

using namespace moe;

static constexpr size_t maxBytes = 512;
static constexpr size_t maxAlternatives = 64;

/// Where the text's first group begins and ends, its parentheses included.
static std::optional<std::pair<size_t, size_t>>
findGroup(std::string_view text) {
  size_t begin = std::string_view::npos, depth = 0;
  for (size_t at = 0; at < text.size(); ++at) {
    if (text[at] == '\\') {
      ++at;
    } else if (text[at] == '(') {
      if (depth++ == 0)
        begin = at;
    } else if (text[at] == ')' && depth > 0) {
      --depth;
      if (depth == 0)
        return std::make_pair(begin, at + 1);
    }
  }
  return std::nullopt;
}

static std::vector<std::string_view> splitAlternatives(std::string_view text) {
  std::vector<std::string_view> parts;
  size_t begin = 0, depth = 0;
  for (size_t at = 0; at < text.size(); ++at) {
    if (text[at] == '\\')
      ++at;
    else if (text[at] == '(')
      ++depth;
    else if (text[at] == ')')
      --depth;
    else if (text[at] == '|' && depth == 0) {
      parts.push_back(text.substr(begin, at - begin));
      begin = at + 1;
    }
  }
  parts.push_back(text.substr(begin));
  return parts;
}

/// Multiplies groups out: `a(b|c)` is `ab` or `ac`.
static std::optional<std::vector<std::string>>
expand(std::string_view expression) {
  std::vector<std::string> open, done;
  for (std::string_view part : splitAlternatives(expression))
    open.emplace_back(part);
  while (!open.empty()) {
    std::string text = std::move(open.back());
    open.pop_back();
    auto group = findGroup(text);
    if (!group) {
      done.push_back(std::move(text));
      continue;
    }
    auto [begin, end] = *group;
    std::string_view view = text;
    std::string_view inner = view.substr(begin + 1, end - begin - 2);
    std::string_view rest = view.substr(end);
    if (inner.substr(0, 2) == "?:")
      inner.remove_prefix(2);
    else if (inner.substr(0, 1) == "?")
      return std::nullopt;
    std::vector<std::string_view> choices = splitAlternatives(inner);
    std::string_view after = rest.substr(0, 1);
    if (after == "*" || after == "+" || after == "{")
      return std::nullopt;
    if (after == "?") {
      choices.push_back("");
      rest.remove_prefix(1);
    }
    for (std::string_view choice : choices)
      open.push_back(std::string(view.substr(0, begin)) + std::string(choice) +
                     std::string(rest));
    if (open.size() + done.size() > maxAlternatives)
      return std::nullopt;
  }
  return done;
}

static void addRange(std::bitset<256> &set, unsigned char from,
                     unsigned char to) {
  for (unsigned c = from; c <= to; ++c)
    set.set(c);
}

/// What `\d` and its like stand for, or the character itself.
static std::optional<std::bitset<256>> escaped(char c) {
  std::bitset<256> set;
  if (c == 'd' || c == 'w')
    addRange(set, '0', '9');
  if (c == 'w') {
    addRange(set, 'a', 'z');
    addRange(set, 'A', 'Z');
    set.set('_');
  }
  if (set.none()) {
    bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
                  (c >= '0' && c <= '9');
    if (letter)
      return std::nullopt;
    set.set(static_cast<unsigned char>(c));
  }
  return set;
}

/// Takes `[a-z_]` off the front of the text.
static std::optional<std::bitset<256>> takeClass(std::string_view &text) {
  size_t end = text.find(']', 2);
  if (end == std::string_view::npos)
    return std::nullopt;
  std::string_view inner = text.substr(1, end - 1);
  text.remove_prefix(end + 1);
  bool negated = inner[0] == '^';
  if (negated)
    inner.remove_prefix(1);
  std::bitset<256> set;
  for (size_t at = 0; at < inner.size(); ++at) {
    if (inner[at] == '\\' && at + 1 < inner.size()) {
      std::optional<std::bitset<256>> one = escaped(inner[++at]);
      if (!one)
        return std::nullopt;
      set |= *one;
    } else if (at + 2 < inner.size() && inner[at + 1] == '-') {
      addRange(set, inner[at], inner[at + 2]);
      at += 2;
    } else {
      set.set(static_cast<unsigned char>(inner[at]));
    }
  }
  return negated ? ~set : set;
}

std::optional<ModulePattern::Sequence>
ModulePattern::parseSequence(std::string_view text) {
  Sequence result;
  if (text.substr(0, 1) == "^")
    text.remove_prefix(1);
  while (!text.empty()) {
    Atom atom;
    char c = text[0];
    if (c == '$' && text.size() == 1) {
      result.toEnd = true;
      return result;
    }
    if (c == '[') {
      std::optional<std::bitset<256>> set = takeClass(text);
      if (!set)
        return std::nullopt;
      atom.characters = *set;
    } else {
      text.remove_prefix(1);
      if (c == '.') {
        atom.characters.set();
      } else if (c == '\\' && !text.empty()) {
        std::optional<std::bitset<256>> set = escaped(text[0]);
        if (!set)
          return std::nullopt;
        atom.characters = *set;
        text.remove_prefix(1);
      } else if (std::string_view("\\*+?{}()|^$]").find(c) !=
                 std::string_view::npos) {
        return std::nullopt;
      } else {
        atom.characters.set(static_cast<unsigned char>(c));
      }
    }
    if (!text.empty() && (text[0] == '*' || text[0] == '+' || text[0] == '?')) {
      atom.optional = text[0] != '+';
      atom.repeated = text[0] != '?';
      text.remove_prefix(1);
      // `.*?` finds what `.*` finds, if only whether it does is asked.
      if (text.substr(0, 1) == "?")
        text.remove_prefix(1);
    }
    result.atoms.push_back(atom);
  }
  return result;
}

std::optional<ModulePattern> ModulePattern::parse(std::string_view text) {
  ModulePattern result;
  if (text.empty() || text.size() > maxBytes)
    return std::nullopt;
  if (text.substr(0, 3) == "re:") {
    std::optional<std::vector<std::string>> texts = expand(text.substr(3));
    if (!texts)
      return std::nullopt;
    for (const std::string &alternative : *texts) {
      std::optional<Sequence> sequence = parseSequence(alternative);
      if (!sequence)
        return std::nullopt;
      result.alternatives.push_back(std::move(*sequence));
    }
    return result;
  }
  if (text.find('*') == std::string_view::npos) {
    result.plain = text;
    return result;
  }
  Sequence wildcards;
  wildcards.toEnd = true;
  for (char c : text) {
    Atom atom;
    atom.optional = atom.repeated = c == '*';
    if (c == '*')
      atom.characters.set();
    else
      atom.characters.set(static_cast<unsigned char>(c));
    wildcards.atoms.push_back(atom);
  }
  result.alternatives.push_back(std::move(wildcards));
  return result;
}

/// Follows all ways through the pattern at once.
bool ModulePattern::matches(const Sequence &sequence, std::string_view module) {
  const std::vector<Atom> &atoms = sequence.atoms;
  std::vector<bool> at(atoms.size() + 1);
  at[0] = true;
  auto skipOptional = [&] {
    for (size_t i = 0; i < atoms.size(); ++i)
      if (at[i] && atoms[i].optional)
        at[i + 1] = true;
  };
  skipOptional();
  for (unsigned char c : module) {
    if (at.back() && !sequence.toEnd)
      return true;
    std::vector<bool> next(at.size());
    for (size_t i = 0; i < atoms.size(); ++i)
      if (at[i] && atoms[i].characters.test(c)) {
        next[i + 1] = true;
        if (atoms[i].repeated)
          next[i] = true;
      }
    at = std::move(next);
    skipOptional();
  }
  return at.back();
}

bool ModulePattern::matches(std::string_view module) const {
  if (!plain.empty())
    return ("." + std::string(module) + ".").find("." + plain + ".") !=
           std::string::npos;
  for (size_t end = module.size(); end != std::string_view::npos;
       end = end == 0 ? std::string_view::npos : module.rfind('.', end - 1))
    for (const Sequence &sequence : alternatives)
      if (matches(sequence, module.substr(0, end)))
        return true;
  return false;
}
