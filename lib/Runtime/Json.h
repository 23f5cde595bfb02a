//===- Json.h - Bounded JSON ------------------------------------*- C++ -*-===//
//
// Part of moe-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// nlohmann/json with limits on depth, and with a key that appears twice in one
// object taken for the error that it is.
//
//===----------------------------------------------------------------------===//

#ifndef MOE_LIB_RUNTIME_JSON_H
#define MOE_LIB_RUNTIME_JSON_H

#include <nlohmann/json.hpp>

#include <string>
#include <string_view>

namespace moe::runtime {

constexpr int maxJsonDepth = 64;

/// Parses, or fails with MOE_BAD_FILE and "LABEL: error: ...".
nlohmann::json parseJson(std::string_view text, const std::string &label);

/// The reason within one of nlohmann's messages.
std::string jsonReason(const char *what);

} // namespace moe::runtime

#endif // MOE_LIB_RUNTIME_JSON_H
