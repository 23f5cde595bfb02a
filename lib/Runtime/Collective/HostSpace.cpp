//===- HostSpace.cpp - Rows in the host's memory --------------------------===//
//
// Part of moe-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Space.h"

#include <cstring>

namespace moe::runtime {

void HostSpace::copy(void *to, const void *from, int64_t size) {
  if (size && to != from)
    std::memcpy(to, from, static_cast<size_t>(size));
}

void HostSpace::clear(void *to, int64_t size) {
  if (size)
    std::memset(to, 0, static_cast<size_t>(size));
}

char *HostSpace::scratch(size_t which, int64_t size) {
  world.scratch[which].ensure(size);
  return static_cast<char *>(world.scratch[which].data());
}

void HostSpace::start(const Operation &operation, Group &group,
                      const std::vector<moe_piece> &send,
                      const std::vector<moe_piece> &receive, Moving &moving) {
  moving.started =
      world.startMove(operation, group, send.data(), receive.data());
}

void HostSpace::finish(const Operation &operation, Moving &moving) {
  world.finishMove(operation, moving.started);
}

} // namespace moe::runtime
