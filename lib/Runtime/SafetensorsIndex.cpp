//===- SafetensorsIndex.cpp - Weights in several files --------------------===//
//
// Part of moe-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
// The index of a sharded checkpoint. A shard's path comes from a file that
// somebody else wrote, so it may name nothing outside the index's own folder,
// neither directly nor through a link.
//
//===----------------------------------------------------------------------===//

#include "JsonNode.h"
#include "Safetensors.h"

#include <filesystem>

namespace fs = std::filesystem;

namespace moe::runtime {

static std::string resolveShard(const fs::path &folder, const std::string &name,
                                const std::string &label) {
  fs::path relative(name);
  bool inside =
      !name.empty() && !relative.is_absolute() && name.find('\0') == name.npos;
  for (const fs::path &part : relative)
    inside &= part != "..";
  if (!inside)
    fail(MOE_BAD_FILE, label, ": error: the shard '", name,
         "' is not inside the folder");
  std::error_code code;
  fs::path resolved = fs::canonical(folder / relative, code);
  if (code)
    fail(code == std::errc::no_such_file_or_directory ? MOE_NOT_FOUND : MOE_IO,
         (folder / relative).string(), ": error: ", code.message());
  auto [end, rest] = std::mismatch(folder.begin(), folder.end(),
                                   resolved.begin(), resolved.end());
  if (end != folder.end())
    fail(MOE_BAD_FILE, label, ": error: the shard '", name,
         "' is a link to a file outside the folder");
  return resolved.string();
}

std::unordered_map<std::string, std::string>
readSafetensorsIndex(const std::string &path,
                     const std::vector<std::string> &names) {
  nlohmann::json document = parseJson(readTextFile(path, maxIndexBytes), path);
  JsonNode map = JsonNode(document, path)["weight_map"];
  map.members([](const std::string &, const JsonNode &shard) {
    if (!shard.isString())
      shard.failExpected("the name of a file");
  });
  std::error_code code;
  fs::path folder = fs::canonical(fs::absolute(path).parent_path(), code);
  if (code)
    fail(MOE_IO, path, ": error: ", code.message());
  std::unordered_map<std::string, std::string> resolved, places;
  for (const std::string &name : names) {
    if (!map.has(name.c_str()))
      continue;
    std::string shard = map[name.c_str()].string();
    auto known = resolved.find(shard);
    if (known == resolved.end())
      known = resolved.emplace(shard, resolveShard(folder, shard, path)).first;
    places.emplace(name, known->second);
  }
  return places;
}

} // namespace moe::runtime
