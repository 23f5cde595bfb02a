//===- SafetensorsIndex.cpp - Weights in several files --------------------===//
//
// Part of moe-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
// The index of a sharded checkpoint. A shard's name comes from a file that
// somebody else wrote, so it names nothing outside the index's own folder. What
// stands there under that name may be a link to anywhere: caches of the hub
// keep contents elsewhere, and whoever can make links in the folder needs no
// index to lead astray.
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
  fs::path path = folder / relative;
  // The last part may be a link, the folders before it may not lead outside.
  fs::path parent = fs::canonical(path.parent_path(), code);
  if (!code && !fs::exists(path, code) && !code)
    code = std::make_error_code(std::errc::no_such_file_or_directory);
  if (code)
    fail(code == std::errc::no_such_file_or_directory ? MOE_NOT_FOUND : MOE_IO,
         path.string(), ": error: ", code.message());
  auto [end, rest] =
      std::mismatch(folder.begin(), folder.end(), parent.begin(), parent.end());
  if (end != folder.end())
    fail(MOE_BAD_FILE, label, ": error: the shard '", name,
         "' is in a folder that is a link to one outside");
  return path.string();
}

SafetensorsIndex::SafetensorsIndex(const std::string &path) : path(path) {
  nlohmann::json document = parseJson(readTextFile(path, maxIndexBytes), path);
  JsonNode(document, path)["weight_map"].members(
      [&](const std::string &tensor, const JsonNode &shard) {
        if (!shard.isString())
          shard.failExpected("the name of a file");
        shards.emplace(tensor, shard.string());
      });
}

const std::string &SafetensorsIndex::shardOf(const std::string &name) {
  const std::string &shard = shards.at(name);
  auto known = resolved.find(shard);
  if (known != resolved.end())
    return known->second;
  std::error_code code;
  fs::path folder = fs::canonical(fs::absolute(path).parent_path(), code);
  if (code)
    fail(MOE_IO, path, ": error: ", code.message());
  return resolved.emplace(shard, resolveShard(folder, shard, path))
      .first->second;
}

} // namespace moe::runtime
