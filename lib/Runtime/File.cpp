//===- File.cpp - Files, read exactly -------------------------------------===//
//
// Part of moe-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
// Regular files only, read with pread.
//
//===----------------------------------------------------------------------===//

#include "File.h"
#include "Status.h"

#include <cerrno>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <system_error>
#include <unistd.h>

#include <algorithm>

namespace moe::runtime {

void failSystem(const std::string &path) {
  int code = errno;
  fail(code == ENOENT || code == ENOTDIR ? MOE_NOT_FOUND : MOE_IO, path,
       ": error: ", std::generic_category().message(code));
}

File::File(std::string name)
    : path(std::move(name)),
      descriptor(open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK)) {
  if (descriptor < 0)
    failSystem(path);
  struct stat info;
  if (fstat(descriptor, &info) != 0 || !S_ISREG(info.st_mode)) {
    close(descriptor);
    fail(MOE_IO, path, ": error: not a regular file");
  }
  length = static_cast<uint64_t>(info.st_size);
}

File::~File() { close(descriptor); }

void File::read(uint64_t offset, void *to, size_t count) const {
  char *next = static_cast<char *>(to);
  while (count) {
    ssize_t got = pread(descriptor, next, std::min(count, size_t(1) << 30),
                        static_cast<off_t>(offset));
    if (got < 0 && errno == EINTR)
      continue;
    if (got < 0)
      failSystem(path);
    if (got == 0)
      fail(MOE_IO, path, ": error: the file ended while it was read");
    next += got;
    offset += static_cast<uint64_t>(got);
    count -= static_cast<size_t>(got);
  }
}

void File::readRows(uint64_t offset, void *to, size_t count, size_t rows,
                    size_t pitch) const {
  constexpr size_t most = 64;
  char *next = static_cast<char *>(to);
  while (rows) {
    iovec parts[most];
    size_t now = std::min(rows, most);
    for (size_t i = 0; i < now; ++i)
      parts[i] = {next + i * pitch, count};
    ssize_t got = preadv(descriptor, parts, static_cast<int>(now),
                         static_cast<off_t>(offset));
    // What the system does not give at once is read row by row.
    if (got < 0 || static_cast<size_t>(got) != now * count)
      for (size_t i = 0; i < now; ++i)
        read(offset + i * count, next + i * pitch, count);
    next += now * pitch;
    offset += now * count;
    rows -= now;
  }
}

std::string readTextFile(const std::string &path, size_t limit) {
  File file(path);
  if (file.size() > limit)
    fail(MOE_BAD_FILE, path, ": error: expected at most ", limit,
         " bytes, found ", file.size());
  std::string text(static_cast<size_t>(file.size()), '\0');
  file.read(0, text.data(), text.size());
  return text;
}

} // namespace moe::runtime
