//===- Json.cpp - Bounded JSON --------------------------------------------===//
//
// Part of moe-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// The parser itself does not recurse; its callback sees every key and level.
//
//===----------------------------------------------------------------------===//

#include "Json.h"
#include "Status.h"

#include <unordered_set>

namespace moe::runtime {

using nlohmann::json;

std::string jsonReason(const char *what) {
  // "[json.exception.parse_error.101] parse error at line 1, column 2: ..."
  std::string_view reason = what;
  if (size_t end = reason.find("] "); end != reason.npos)
    reason.remove_prefix(end + 2);
  return std::string(reason);
}

json parseJson(std::string_view text, const std::string &label) {
  std::vector<std::unordered_set<std::string>> keys;
  auto callback = [&](int depth, json::parse_event_t event, json &value) {
    switch (event) {
    case json::parse_event_t::object_start:
    case json::parse_event_t::array_start:
      if (depth >= maxJsonDepth)
        fail(MOE_BAD_FILE, label, ": error: more than ", maxJsonDepth,
             " levels deep");
      if (event == json::parse_event_t::object_start)
        keys.emplace_back();
      break;
    case json::parse_event_t::object_end:
      keys.pop_back();
      break;
    case json::parse_event_t::key:
      if (!keys.back().insert(value.get<std::string>()).second)
        fail(MOE_BAD_FILE, label, ": error: key '", value.get<std::string>(),
             "' appears twice in one object");
      break;
    default:
      break;
    }
    return true;
  };
  try {
    return json::parse(text.begin(), text.end(), callback);
  } catch (const json::exception &error) {
    fail(MOE_BAD_FILE, label, ": error: ", jsonReason(error.what()));
  }
}

} // namespace moe::runtime
