//===- JsonSyntax.h - What is wrong with a text -----------------*- C++ -*-===//
//
// Part of moe-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// The parser says that a text is not JSON; this says what was found there and
// what was expected, in the words of someone who wrote the text by hand.
//
//===----------------------------------------------------------------------===//

#ifndef MOE_LIB_IMPORT_TEXT_JSONSYNTAX_H
#define MOE_LIB_IMPORT_TEXT_JSONSYNTAX_H

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace moe::json {

/// What the last token was, and so what may follow.
enum class Place {
  start,
  objectStart,
  afterKey,
  afterMember,
  arrayStart,
  afterElement,
  end
};

struct SyntaxState {
  Place place = Place::start;
  /// Where the open objects and lists begin.
  std::vector<size_t> openings;
};

struct SyntaxError {
  size_t offset;
  std::string message;
};

/// Where the next token begins: behind white space and the one separator that
/// `place` allows.
size_t skipTo(std::string_view text, size_t cursor, Place place);

/// Where the number at `begin` ends.
size_t numberEnd(std::string_view text, size_t begin);

/// Whether the text is UTF-8 without characters that JSON has nowhere.
std::optional<SyntaxError> checkCharacters(std::string_view text);

/// Why the text behind `cursor` does not go on as it should.
SyntaxError explainSyntax(std::string_view text, size_t cursor,
                          const SyntaxState &state);

} // namespace moe::json

#endif // MOE_LIB_IMPORT_TEXT_JSONSYNTAX_H
