//===- Suggest.h - Which name was meant -------------------------*- C++ -*-===//
//
// Part of moe-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Plain C++, for the compiler as for the tools that do without LLVM.
//
//===----------------------------------------------------------------------===//

#ifndef MOE_SUPPORT_SUGGEST_H
#define MOE_SUPPORT_SUGGEST_H

#include <algorithm>
#include <string>
#include <string_view>
#include <vector>

namespace moe {

/// Insertions, deletions, replacements and swaps of neighbours.
inline size_t editDistance(std::string_view a, std::string_view b) {
  std::vector<size_t> older(b.size() + 1), old(b.size() + 1), now(b.size() + 1);
  for (size_t j = 0; j <= b.size(); ++j)
    old[j] = j;
  for (size_t i = 1; i <= a.size(); ++i) {
    now[0] = i;
    for (size_t j = 1; j <= b.size(); ++j) {
      now[j] = std::min({old[j] + 1, now[j - 1] + 1,
                         old[j - 1] + (a[i - 1] == b[j - 1] ? 0 : 1)});
      if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
        now[j] = std::min(now[j], older[j - 2] + 1);
    }
    older.swap(old);
    old.swap(now);
  }
  return old[b.size()];
}

/// The one of `candidates` that `name` is a misspelling of, or nothing.
inline std::string_view
nearest(std::string_view name,
        const std::vector<std::string_view> &candidates) {
  // A name of a whole page is no misspelling, and its distance costs time.
  if (name.size() > 64)
    return {};
  std::string_view best;
  size_t bestDistance = (name.size() + 2) / 3 + 1;
  for (std::string_view candidate : candidates) {
    size_t distance = editDistance(name, candidate);
    if (distance < bestDistance && distance < candidate.size()) {
      best = candidate;
      bestDistance = distance;
    }
  }
  return best;
}

/// `; did you mean 'x'?` for the nearest of `candidates`, if there is one.
inline std::string didYouMean(std::string_view name,
                              const std::vector<std::string_view> &candidates) {
  std::string_view best = nearest(name, candidates);
  return best.empty() ? "" : "; did you mean '" + std::string(best) + "'?";
}

} // namespace moe

#endif // MOE_SUPPORT_SUGGEST_H
