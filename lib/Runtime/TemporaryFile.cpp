//===- TemporaryFile.cpp - Files that are whole or absent -----------------===//
//
// Part of moe-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
// Written beside its place, synchronised, renamed.
//
//===----------------------------------------------------------------------===//

#include "TemporaryFile.h"
#include "File.h"
#include "Status.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <cstdio>

namespace moe::runtime {

TemporaryFile::TemporaryFile(const std::string &path) : target(path) {
  static std::atomic<unsigned> counter{0};
  for (int attempt = 0; descriptor < 0; ++attempt) {
    name = text(path, ".tmp.", getpid(), ".", counter++);
    descriptor =
        open(name.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
    if (descriptor < 0 && (errno != EEXIST || attempt == 100))
      failSystem(path);
  }
}

TemporaryFile::~TemporaryFile() {
  if (descriptor >= 0)
    close(descriptor);
  if (!committed)
    unlink(name.c_str());
}

void TemporaryFile::write(const void *data, size_t count) {
  const char *next = static_cast<const char *>(data);
  while (count) {
    ssize_t done = ::write(descriptor, next, std::min(count, size_t(1) << 30));
    if (done < 0 && errno == EINTR)
      continue;
    if (done < 0)
      failSystem(target);
    next += done;
    count -= static_cast<size_t>(done);
  }
}

void TemporaryFile::commit(bool durable) {
  bool synced = !durable || fsync(descriptor) == 0 || errno == EINVAL;
  int result = close(descriptor);
  descriptor = -1;
  if (!synced || result != 0 || std::rename(name.c_str(), target.c_str()) != 0)
    failSystem(target);
  committed = true;
}

} // namespace moe::runtime
