//===- Leftovers.cpp - Tensors that no weight is made of ------------------===//
//
// Part of moe-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
// Goes through the names under the prefixes.
//
//===----------------------------------------------------------------------===//

#include "Leftovers.h"
#include "NamePattern.h"
#include "Packed.h"
#include "Status.h"

#include <algorithm>

namespace moe::runtime {

namespace {
/// A name that sources have, and how many experts there are.
struct Covered {
  std::string pattern;
  int64_t experts;
};
} // namespace

static void addCovered(const Source &source, int64_t experts,
                       std::vector<Covered> &covered) {
  covered.push_back({source.name, experts});
  for (const std::string &companion : companionsOf(source.name, source.packing))
    covered.push_back({companion, experts});
  for (const auto *beside :
       {&source.scales, &source.zeros, &source.globalScale})
    for (const Source &other : *beside)
      addCovered(other, experts, covered);
}

static std::vector<Covered> coveredBy(const Manifest &manifest) {
  std::vector<Covered> covered;
  for (const Weight &weight : manifest.weights)
    for (const SourceList &sources : weight.alternatives)
      for (const Source &source : sources)
        addCovered(source,
                   weight.shape.empty() ? 1 : weight.wholeShape().front(),
                   covered);
  return covered;
}

static bool isCovered(const std::string &name, int64_t layer,
                      const std::vector<Covered> &covered) {
  return std::any_of(covered.begin(), covered.end(), [&](const Covered &c) {
    std::optional<NameNumbers> numbers = matchName(c.pattern, name);
    return numbers && (numbers->layer < 0 || numbers->layer == layer) &&
           numbers->expert < c.experts;
  });
}

void Leftovers::check(const Manifest &manifest, int64_t layer,
                      Checkpoint &checkpoint) const {
  const CheckpointRules &rules = manifest.checkpoint;
  std::vector<Covered> covered;
  std::vector<std::string> left;
  for (const std::string &pattern : rules.prefixes) {
    std::string prefix = filledIn(pattern, layer, 0);
    if (prefix.empty())
      continue; // all there is, other layers too
    checkpoint.visitNames([&](const std::string &name) {
      if (name.compare(0, prefix.size(), prefix) != 0 || used.count(name))
        return;
      std::string_view rest = std::string_view(name).substr(prefix.size());
      for (const std::string &ignored : rules.ignore)
        if (matchWildcard(ignored, rest))
          return;
      if (covered.empty())
        covered = coveredBy(manifest);
      if (!isCovered(name, layer, covered))
        left.push_back(name);
    });
  }
  if (left.empty())
    return;
  std::sort(left.begin(), left.end());
  std::optional<Stored> tensor = checkpoint.find(left[0]);
  fail(MOE_BAD_FILE, tensor->where(), tensor->entry->dtype, ' ',
       describe(tensor->entry->shape), " belongs to no weight of this layer",
       left.size() > 1 ? text(", nor do ", left.size() - 1, " others") : "",
       "; expected a source for it, or a pattern in 'weights.ignore'");
}

} // namespace moe::runtime
