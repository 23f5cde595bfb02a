//===- Reporter.h - Located messages ----------------------------*- C++ -*-===//
//
// Part of moe-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// What every step of the import shares: messages at byte offsets of the text,
// and the few ways of wording a value.
//
//===----------------------------------------------------------------------===//

#ifndef MOE_LIB_IMPORT_TEXT_REPORTER_H
#define MOE_LIB_IMPORT_TEXT_REPORTER_H

#include "moe/Import/Import.h"
#include "moe/Support/Suggest.h"

#include <cstddef>
#include <map>
#include <string>
#include <string_view>
#include <vector>

namespace moe {

/// For a path of the native form, the key of a configuration that it came from.
using Names = std::map<std::string, std::string, std::less<>>;

/// Collects diagnostics, turning offsets into lines and columns. It keeps
/// `maxErrors` errors with their notes, and says so if there are more.
class Reporter {
public:
  static constexpr size_t maxErrors = 20;

  Reporter(std::string_view text, std::vector<Diagnostic> &diagnostics)
      : text(text), diagnostics(diagnostics) {}

  void error(size_t offset, std::string message);
  /// Belongs to the last error, and is left out with it.
  void note(size_t offset, std::string message);
  /// From here on messages name paths as the configuration does.
  void setNames(const Names *names) { this->names = names; }
  bool failed() const { return errors != 0; }
  /// Nothing more will be kept, so nothing more need be looked for.
  bool full() const { return errors > maxErrors; }
  /// Puts the errors in the order of the text, each before its notes.
  void finish();

private:
  void add(Diagnostic::Kind kind, size_t offset, std::string message);

  std::string_view text;
  std::vector<Diagnostic> &diagnostics;
  const Names *names = nullptr;
  size_t errors = 0;
  size_t firstNotKept = 0; // where the first error stands that was too many
};

/// `text` in quotes, cut when long and with nothing a terminal would obey.
std::string inQuotes(std::string_view text);

/// `'a', 'b' or 'c'`.
std::string quotedList(const std::vector<std::string_view> &names);

/// The shortest text that reads back as the same double.
std::string numberText(double value);

} // namespace moe

#endif // MOE_LIB_IMPORT_TEXT_REPORTER_H
