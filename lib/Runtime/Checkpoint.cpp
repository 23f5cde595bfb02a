//===- Checkpoint.cpp - The tensors of a model's files --------------------===//
//
// Part of moe-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
// Finds files and opens them.
//
//===----------------------------------------------------------------------===//

#include "Checkpoint.h"
#include "Status.h"

#include <algorithm>
#include <filesystem>

namespace fs = std::filesystem;

namespace moe::runtime {

std::string Stored::where() const {
  return *fileName + ": error: '" + *name + "': ";
}

static bool endsWith(const std::string &text, std::string_view end) {
  return text.size() >= end.size() &&
         text.compare(text.size() - end.size(), end.size(), end) == 0;
}

/// The only .safetensors file of a folder.
static std::string onlyFile(const std::string &folder) {
  std::error_code code;
  std::vector<std::string> names;
  for (fs::directory_iterator file(folder, code), end; !code && file != end;
       file.increment(code))
    if (file->path().extension() == ".safetensors")
      names.push_back(file->path().filename().string());
  if (code)
    fail(MOE_IO, folder, ": error: ", code.message());
  std::sort(names.begin(), names.end());
  if (names.size() != 1)
    fail(MOE_NOT_FOUND, folder,
         ": error: expected model.safetensors.index.json, model.safetensors or "
         "one other .safetensors file, found ",
         names.empty() ? "none" : names[0] + " and " + names[1]);
  return names[0];
}

/// The file that a path stands for, which may be a model's folder.
static std::string resolveFolder(const std::string &path) {
  std::error_code code;
  if (!fs::is_directory(path, code))
    return path;
  for (const char *name : {"model.safetensors.index.json", "model.safetensors"})
    if (fs::exists(fs::path(path) / name, code))
      return (fs::path(path) / name).string();
  return (fs::path(path) / onlyFile(path)).string();
}

Checkpoint::Checkpoint(const std::string &given) : path(resolveFolder(given)) {
  if (endsWith(path, ".json"))
    index.emplace(path);
  else
    open(path);
}

Checkpoint::OpenFile &Checkpoint::open(const std::string &name) {
  OpenFile &open = files[name];
  if (!open.file) {
    auto file = std::make_unique<File>(name);
    open.header = readSafetensorsHeader(*file, name);
    open.file = std::move(file);
  }
  return open;
}

std::optional<Stored> Checkpoint::find(const std::string &name) {
  if (!has(name))
    return std::nullopt;
  const std::string shard = index ? index->shardOf(name) : path;
  OpenFile &file = open(shard);
  auto place = file.header.find(name);
  if (place == file.header.end())
    fail(MOE_WEIGHT_MISSING, shard, ": error: there is no tensor '", name,
         "', which ", path, " says is there");
  return Stored{file.file.get(), &files.find(shard)->first, &place->first,
                &place->second};
}

bool Checkpoint::has(const std::string &name) const {
  return index ? index->has(name) : files.at(path).header.count(name) != 0;
}

void Checkpoint::visitNames(
    const std::function<void(const std::string &)> &visit) const {
  if (index)
    return index->visitNames(visit);
  for (const auto &tensor : files.at(path).header)
    visit(tensor.first);
}

} // namespace moe::runtime
