//===- Characters.h - Kinds of characters -----------------------*- C++ -*-===//
//
// Part of moe-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Unlike those of C, these ask no locale.
//
//===----------------------------------------------------------------------===//

#ifndef MOE_LIB_IMPORT_TEXT_CHARACTERS_H
#define MOE_LIB_IMPORT_TEXT_CHARACTERS_H

namespace moe {

inline bool isSpace(char c) {
  return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

inline bool isDigit(char c) { return c >= '0' && c <= '9'; }

inline bool isLetter(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

} // namespace moe

#endif // MOE_LIB_IMPORT_TEXT_CHARACTERS_H
