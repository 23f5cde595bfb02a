//===- NamePattern.h - Names with a layer and an expert ---------*- C++ -*-===//
//
// Part of moe-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
// The other way around from `filledIn`: which layer and expert a name has.
//
//===----------------------------------------------------------------------===//

#ifndef MOE_LIB_RUNTIME_NAMEPATTERN_H
#define MOE_LIB_RUNTIME_NAMEPATTERN_H

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace moe::runtime {

class Checkpoint;

struct NameNumbers {
  int64_t layer = -1, expert = -1; ///< -1: the pattern has none
};

/// The numbers in place of `{l}` and `{e}`, where `name` is of that form.
std::optional<NameNumbers> matchName(std::string_view pattern,
                                     std::string_view name);

/// Whether `name` is of the form, in which `*` stands for any text.
bool matchWildcard(std::string_view pattern, std::string_view name);

/// What the files have that is like one of the patterns, as the end of a
/// message; empty if nothing is.
std::string nearMiss(const Checkpoint &checkpoint,
                     const std::vector<std::string> &patterns, int64_t layer,
                     int64_t expert);

} // namespace moe::runtime

#endif // MOE_LIB_RUNTIME_NAMEPATTERN_H
