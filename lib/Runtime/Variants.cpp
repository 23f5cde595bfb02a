//===- Variants.cpp - Which code of a package runs here -------------------===//
//
// Part of moe-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
// A package has code for one CPU or for several. What is chosen can run here,
// whoever chose it.
//
//===----------------------------------------------------------------------===//

#include "Cpu.h"
#include "LoadedPackage.h"
#include "Status.h"

#include "moe/Support/Suggest.h"

#include <cstdlib>

namespace moe::runtime {

void checkVariants(LoadedPackage &package, const std::string &label) {
  checkArchitecture(package.manifest.triple, label);
  bool runs = false;
  std::string reasons;
  for (const Variant &variant : package.manifest.variants) {
    LoadedVariant &loaded = package.variants.emplace_back();
    loaded.lacking = missingFeatures(variant.features);
    runs |= loaded.lacking.empty();
    reasons += text(reasons.empty() ? "" : "; ", "for '", variant.cpu, "' ",
                    loaded.lacking);
  }
  if (runs)
    return;
  if (package.variants.size() == 1)
    fail(MOE_CPU_MISMATCH, label, ": error: this CPU lacks ",
         package.variants[0].lacking);
  fail(MOE_CPU_MISMATCH, label,
       ": error: this CPU can run none of its variants, as it lacks ", reasons);
}

static std::string join(const std::vector<std::string_view> &names) {
  std::string all;
  for (std::string_view name : names)
    all.append(all.empty() ? "" : ", ").append(name);
  return all;
}

/// The variant for `cpu`, which `asker` wants.
static size_t findVariant(const LoadedPackage &package, std::string_view cpu,
                          const char *asker) {
  const Manifest &manifest = package.manifest;
  std::vector<std::string_view> known, running;
  std::string_view lacking;
  for (size_t i = 0; i < manifest.variants.size(); ++i) {
    if (manifest.variants[i].usesGPU())
      continue;
    bool runs = package.variants[i].lacking.empty();
    if (runs && manifest.variants[i].cpu == cpu)
      return i;
    known.push_back(manifest.variants[i].cpu);
    if (manifest.variants[i].cpu == cpu)
      lacking = package.variants[i].lacking;
    if (runs)
      running.push_back(manifest.variants[i].cpu);
  }
  if (!lacking.empty())
    fail(MOE_CPU_MISMATCH, "'", manifest.name, "' cannot run for cpu '", cpu,
         "'", asker, ": this CPU lacks ", lacking,
         running.empty() ? "" : "; it runs ", join(running));
  fail(MOE_NOT_FOUND, "'", manifest.name, "' has no code for cpu '", cpu, "'",
       asker, "; it has ", join(known), didYouMean(cpu, known));
}

static size_t bestVariant(const LoadedPackage &package) {
  const std::vector<Variant> &variants = package.manifest.variants;
  size_t best = variants.size();
  std::string reasons;
  for (size_t i = 0; i < variants.size(); ++i) {
    if (variants[i].usesGPU())
      continue;
    if (!package.variants[i].lacking.empty())
      reasons += text(reasons.empty() ? "" : "; ", "for '", variants[i].cpu,
                      "' ", package.variants[i].lacking);
    else if (best == variants.size() ||
             variants[i].features.size() > variants[best].features.size())
      best = i;
  }
  if (best == variants.size())
    fail(MOE_CPU_MISMATCH, "this CPU lacks ", reasons);
  return best;
}

size_t chooseVariant(const LoadedPackage &package, const char *cpu) {
  if (cpu)
    return findVariant(package, cpu, "");
  const char *wanted = std::getenv("MOE_CPU");
  return wanted && *wanted
             ? findVariant(package, wanted, ", which MOE_CPU asks for")
             : bestVariant(package);
}

} // namespace moe::runtime
