//===- NamePattern.cpp - Names with a layer and an expert -----------------===//
//
// Part of moe-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
// Matching, and what to say when nothing matches.
//
//===----------------------------------------------------------------------===//

#include "NamePattern.h"
#include "Checkpoint.h"
#include "Sources.h"
#include "Status.h"

#include "moe/Support/Suggest.h"

#include <algorithm>

namespace moe::runtime {

/// Takes a number without needless zeros off the front.
static bool eatNumber(std::string_view &text, int64_t &number) {
  size_t digits = 0;
  while (digits < text.size() && text[digits] >= '0' && text[digits] <= '9')
    ++digits;
  if (!digits || digits > 18 || (digits > 1 && text[0] == '0'))
    return false;
  int64_t value = std::stoll(std::string(text.substr(0, digits)));
  text.remove_prefix(digits);
  bool same = number < 0 || number == value;
  number = value;
  return same;
}

std::optional<NameNumbers> matchName(std::string_view pattern,
                                     std::string_view name) {
  NameNumbers numbers;
  while (!pattern.empty()) {
    std::string_view hole = pattern.substr(0, 3);
    if (hole == "{l}" || hole == "{e}") {
      if (!eatNumber(name, hole == "{l}" ? numbers.layer : numbers.expert))
        return std::nullopt;
      pattern.remove_prefix(3);
      continue;
    }
    if (name.empty() || name[0] != pattern[0])
      return std::nullopt;
    name.remove_prefix(1);
    pattern.remove_prefix(1);
  }
  return name.empty() ? std::make_optional(numbers) : std::nullopt;
}

bool matchWildcard(std::string_view pattern, std::string_view name) {
  // Where the last star was, to let it take one more character.
  size_t p = 0, n = 0, star = pattern.npos, taken = 0;
  while (n < name.size()) {
    if (p < pattern.size() && pattern[p] == '*') {
      star = p++;
      taken = n;
    } else if (p < pattern.size() && pattern[p] == name[n]) {
      ++p, ++n;
    } else if (star != pattern.npos) {
      p = star + 1;
      n = ++taken;
    } else {
      return false;
    }
  }
  return pattern.find_first_not_of('*', p) == pattern.npos;
}

namespace {
/// Numbers that were seen, as text.
class Range {
public:
  void add(int64_t number) {
    least = least < 0 ? number : std::min(least, number);
    most = std::max(most, number);
  }
  bool empty() const { return most < 0; }
  std::string describe(const char *one) const {
    return least == most ? text(one, ' ', least)
                         : text(one, "s ", least, " to ", most);
  }

private:
  int64_t least = -1, most = -1;
};
} // namespace

/// The name nearest to one that is missing. What both begin with counts only
/// once: a name differs in its last few words.
static std::string nearestName(const Checkpoint &checkpoint,
                               const std::string &wanted) {
  constexpr size_t most = 20000;
  size_t seen = 0, bestDistance = 12;
  std::string best;
  checkpoint.visitNames([&](const std::string &name) {
    if (++seen > most)
      return;
    auto [a, b] =
        std::mismatch(wanted.begin(), wanted.end(), name.begin(), name.end());
    std::string_view left = std::string_view(wanted).substr(a - wanted.begin());
    std::string_view right = std::string_view(name).substr(b - name.begin());
    if (left.size() > 64 || right.size() > 64)
      return;
    size_t distance = editDistance(left, right);
    bool near = left.empty() || right.empty() ||
                distance < (std::max(left.size(), right.size()) + 2) / 3;
    if (!near)
      return;
    if (distance < bestDistance || (distance == bestDistance && name < best)) {
      bestDistance = distance;
      best = name;
    }
  });
  return best;
}

std::string nearMiss(const Checkpoint &checkpoint,
                     const std::vector<std::string> &patterns, int64_t layer,
                     int64_t expert) {
  for (const std::string &pattern : patterns) {
    Range layers, experts;
    std::string example;
    checkpoint.visitNames([&](const std::string &name) {
      std::optional<NameNumbers> numbers = matchName(pattern, name);
      if (!numbers)
        return;
      if (numbers->layer >= 0 && numbers->layer != layer) {
        layers.add(numbers->layer);
        example = example.empty() ? name : std::min(example, name);
      } else if (numbers->expert >= 0) {
        experts.add(numbers->expert);
      }
    });
    if (!experts.empty())
      return "; found " + experts.describe("expert") + ", expected expert " +
             std::to_string(expert);
    if (!layers.empty())
      return "; found '" + example + "' of " + layers.describe("layer") +
             ", expected layer " + std::to_string(layer);
  }
  std::string near =
      nearestName(checkpoint, filledIn(patterns.front(), layer, expert));
  return near.empty() ? "" : "; did you mean '" + near + "'?";
}

} // namespace moe::runtime
