//===- File.h - Files, read exactly -----------------------------*- C++ -*-===//
//
// Part of moe-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
// A file of known size, read at offsets. Reading, not mapping: a file that
// shrinks underneath gives an error and no signal.
//
//===----------------------------------------------------------------------===//

#ifndef MOE_LIB_RUNTIME_FILE_H
#define MOE_LIB_RUNTIME_FILE_H

#include <cstddef>
#include <cstdint>
#include <string>

namespace moe::runtime {

/// Bytes at offsets; a file, or memory in tests.
class ByteSource {
public:
  virtual ~ByteSource() = default;
  virtual uint64_t size() const = 0;
  /// Fills all of `to`, which lies inside the source, or fails.
  virtual void read(uint64_t offset, void *to, size_t count) const = 0;
};

class File : public ByteSource {
public:
  explicit File(std::string path);
  ~File() override;
  File(const File &) = delete;
  File &operator=(const File &) = delete;

  uint64_t size() const override { return length; }
  void read(uint64_t offset, void *to, size_t count) const override;
  /// `rows` rows of `count` bytes, which come to stand `pitch` bytes apart.
  void readRows(uint64_t offset, void *to, size_t count, size_t rows,
                size_t pitch) const;

private:
  std::string path;
  int descriptor;
  uint64_t length = 0;
};

/// Whole file as text, of at most `limit` bytes.
std::string readTextFile(const std::string &path, size_t limit);

/// "PATH: error: REASON" for the system's error in errno.
[[noreturn]] void failSystem(const std::string &path);

} // namespace moe::runtime

#endif // MOE_LIB_RUNTIME_FILE_H
