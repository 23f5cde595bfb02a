//===- LoadedPackage.h - A package that passed every check ------*- C++ -*-===//
//
// Part of moe-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
// A package's manifest and code, alive while it is open or a layer uses it.
//
//===----------------------------------------------------------------------===//

#ifndef MOE_LIB_RUNTIME_LOADEDPACKAGE_H
#define MOE_LIB_RUNTIME_LOADEDPACKAGE_H

#include "Manifest.h"

#include "moe/Runtime/Package.h"

#include <memory>

namespace moe::runtime {

/// Closes a library of dlopen.
struct LibraryCloser {
  void operator()(void *handle) const;
};
using Library = std::unique_ptr<void, LibraryCloser>;

struct LoadedVariant {
  std::string lacking; ///< features that this CPU has not; empty: it runs
  std::vector<moe_entry> entries; ///< one for each function of the manifest
  const moe_kernels *kernels = nullptr; ///< null where the CPU does it all
};

struct LoadedPackage {
  Manifest manifest;
  uint64_t fingerprint = 0;            ///< of the manifest's text
  std::vector<LoadedVariant> variants; ///< one for each of the manifest
  Library library;                     ///< null where it is linked in
};

/// The package behind a pointer: one that is open, or else one that is linked
/// into the program, which is checked now.
std::shared_ptr<const LoadedPackage> findPackage(const moe_package *table);

/// Finds what this CPU lacks for each variant. Fails with MOE_CPU_MISMATCH
/// unless there is one that runs here.
void checkVariants(LoadedPackage &package, const std::string &label);

/// Index of the variant that the CPU runs alone for `cpu`; for null, of the one
/// that MOE_CPU names, or else of the one with the most features of those that
/// run here.
size_t chooseVariant(const LoadedPackage &package, const char *cpu);

} // namespace moe::runtime

#endif // MOE_LIB_RUNTIME_LOADEDPACKAGE_H
