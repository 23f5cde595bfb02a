//===- TemporaryFile.h - Files that are whole or absent ---------*- C++ -*-===//
//
// Part of moe-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
// The file appears under its name when it is complete, or not at all: it is
// written beside its place and then renamed.
//
//===----------------------------------------------------------------------===//

#ifndef MOE_LIB_RUNTIME_TEMPORARYFILE_H
#define MOE_LIB_RUNTIME_TEMPORARYFILE_H

#include <cstddef>
#include <string>

namespace moe::runtime {

/// A file beside `path` that is removed again unless it is committed.
class TemporaryFile {
public:
  explicit TemporaryFile(const std::string &path);
  ~TemporaryFile();
  TemporaryFile(const TemporaryFile &) = delete;
  TemporaryFile &operator=(const TemporaryFile &) = delete;

  void write(const void *data, size_t count);
  /// Not on disk yet unless `durable`.
  void commit(bool durable = true);

private:
  std::string target, name;
  int descriptor = -1;
  bool committed = false;
};

} // namespace moe::runtime

#endif // MOE_LIB_RUNTIME_TEMPORARYFILE_H
