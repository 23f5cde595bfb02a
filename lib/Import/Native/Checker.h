//===- Checker.h - Messages about keys together -----------------*- C++ -*-===//
//
// Part of moe-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef MOE_LIB_IMPORT_NATIVE_CHECKER_H
#define MOE_LIB_IMPORT_NATIVE_CHECKER_H

#include "moe/Import/Spec.h"

#include <initializer_list>
#include <string>
#include <string_view>

namespace moe {

class Locations;
class Reporter;

/// What the parts of validate() share: a spec, and how it is said that its keys
/// do not go together.
class Checker {
public:
  Checker(const Spec &spec, const Locations &locations, Reporter &reporter)
      : spec(spec), locations(locations), reporter(reporter) {}

protected:
  using Path = std::string_view;

  /// `path: found V, expected E`, with a note at what it is held against.
  void wrong(Path path, const std::string &expected,
             std::initializer_list<Path> against) const;

  /// `path needs OTHER to be E, found V`, with a note at the other key.
  void needs(Path path, Path other, const std::string &expected) const;

  /// The same for a key of which only one value has the need.
  void valueNeeds(Path path, Path other, const std::string &expected) const;

  const Spec &spec;
  const Locations &locations;
  Reporter &reporter;

private:
  void needs(Path path, const std::string &who, Path other,
             const std::string &expected) const;
  /// A key's value as it would be written.
  std::string valueOf(Path path) const;
  void noteAt(Path path) const;
};

} // namespace moe

#endif // MOE_LIB_IMPORT_NATIVE_CHECKER_H
