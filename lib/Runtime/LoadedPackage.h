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

struct LoadedPackage {
  Manifest manifest;
  std::vector<moe_entry> entries; ///< one for each function of the manifest
  Library library;                ///< null where the package is linked in
};

/// The package behind a pointer: one that is open, or else one that is linked
/// into the program, which is checked now.
std::shared_ptr<const LoadedPackage> findPackage(const moe_package *table);

/// Checks the table that code exports, and finds the entries in it.
std::vector<moe_entry> checkTable(const moe_package &table,
                                  const Manifest &manifest,
                                  const std::string &label);

} // namespace moe::runtime

#endif // MOE_LIB_RUNTIME_LOADEDPACKAGE_H
