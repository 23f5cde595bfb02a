//===- Transfer.h - Reads pieces --------------------------------*- C++ -*-===//
//
// Part of moe-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
// Runs of bytes that go where they belong as they are, and parts of tensors
// that are placed from memory of a few hundred kilobytes. Each is small and can
// run on any thread.
//
//===----------------------------------------------------------------------===//

#ifndef MOE_LIB_RUNTIME_TRANSFER_H
#define MOE_LIB_RUNTIME_TRANSFER_H

#include "Pieces.h"

#include <functional>

namespace moe::runtime {

/// A piece, and where its first unit that is read goes.
struct Destination {
  const Piece *piece;
  char *unit;
};

/// Part of one unit of a tensor, for all that is made of it.
struct Transfer {
  enum class Kind : uint8_t { bytes, rows, number };
  Kind kind = Kind::bytes;
  std::vector<Destination> to; ///< all see the tensor in one way
  uint64_t offset = 0;         ///< in the file
  uint64_t size = 0;           ///< in bytes
  int64_t begin = 0, end = 0;  ///< rows
};

/// Adds what reads units [begin, end) of those that all of `to` take of the
/// tensor. Rows are read from end to end, whatever is taken of them.
void addTransfers(const std::vector<Destination> &to, int64_t begin,
                  int64_t end, std::vector<Transfer> &transfers);

/// Runs them on all threads. `progress` is called by this thread with what has
/// been read now and then.
void runTransfers(const std::vector<Transfer> &transfers,
                  const std::function<void(uint64_t bytes)> &progress);

} // namespace moe::runtime

#endif // MOE_LIB_RUNTIME_TRANSFER_H
