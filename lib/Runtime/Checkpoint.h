//===- Checkpoint.h - The tensors of a model's files ------------*- C++ -*-===//
//
// Part of moe-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
// One file, the shards of an index, or what a folder has of the two. A shard is
// opened when the first tensor in it is looked for.
//
//===----------------------------------------------------------------------===//

#ifndef MOE_LIB_RUNTIME_CHECKPOINT_H
#define MOE_LIB_RUNTIME_CHECKPOINT_H

#include "Safetensors.h"

#include <functional>
#include <map>
#include <memory>

namespace moe::runtime {

/// One tensor in its file.
struct Stored {
  const File *file;
  const std::string *fileName;
  const std::string *name;
  const SafetensorsEntry *entry;

  uint64_t bytes() const { return entry->end - entry->begin; }
  /// "FILE: error: 'NAME': ", before what is wrong with it.
  std::string where() const;
};

class Checkpoint {
public:
  explicit Checkpoint(const std::string &path);

  /// Nothing where no file has such a tensor.
  std::optional<Stored> find(const std::string &name);
  bool has(const std::string &name) const;
  void visitNames(const std::function<void(const std::string &)> &visit) const;
  /// The file that says which tensors there are.
  const std::string &label() const { return path; }

private:
  struct OpenFile {
    std::unique_ptr<File> file;
    SafetensorsHeader header;
  };
  OpenFile &open(const std::string &name);

  std::string path;
  std::optional<SafetensorsIndex> index; ///< none: one file
  std::map<std::string, OpenFile> files;
};

} // namespace moe::runtime

#endif // MOE_LIB_RUNTIME_CHECKPOINT_H
