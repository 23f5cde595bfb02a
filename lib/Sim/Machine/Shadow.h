//===- Shadow.h - Who has last touched each byte ----------------*- C++ -*-===//
//
// Part of moe-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef MOE_LIB_SIM_MACHINE_SHADOW_H
#define MOE_LIB_SIM_MACHINE_SHADOW_H

#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

namespace moe::sim {

/// One access, in 16 bytes. All zero means that there was none.
struct Access {
  uint32_t cluster = 0; // number of the cluster's run in this process
  uint16_t agent = 0;   // index of the thread, or unit, in the cluster
  uint16_t flags = 0;
  uint32_t stamp = 0; // its clock then
  uint32_t site = 0;

  enum Flag : uint16_t {
    Async = 1,    // through the async proxy
    Atomic = 2,   // and so no race with other atomic ones
    InFlight = 4, // a copy that has been asked for and not waited for
    Host = 8,     // before any kernel
  };
  bool any() const { return flags || stamp; }
  bool operator==(const Access &other) const {
    return cluster == other.cluster && agent == other.agent &&
           flags == other.flags && stamp == other.stamp;
  }
};

/// For one byte: the last write, and two of the reads after it. With more
/// readers than that, which two is left to chance; a missing barrier concerns
/// so many bytes that one of them shows it.
struct Cell {
  Access writer;
  Access readers[2];
};

/// The cells of a range of memory, a page at a time when they are first needed.
class Shadow {
public:
  explicit Shadow(size_t bytes);

  size_t size() const { return bytes; }
  /// Bytes from `offset` that lie on one page, at most `count`; their cells.
  Cell *cells(size_t offset, size_t count, size_t &here);
  /// The same without making cells: null where every byte has one history.
  bool written(size_t offset, size_t count) const;
  void markHost(size_t offset, size_t count);
  void markUnwritten(size_t offset, size_t count);
  /// What was written stays so, by whom is no longer of interest.
  void forget();

private:
  static constexpr size_t pageBytes = 1024;
  enum class State : uint8_t { Unwritten, Written, Cells };
  struct Page {
    State state = State::Unwritten;
    std::unique_ptr<Cell[]> cells;
  };
  void mark(size_t offset, size_t count, State state);
  Cell *materialize(Page &page);

  size_t bytes;
  std::vector<Page> pages;
};

} // namespace moe::sim

#endif // MOE_LIB_SIM_MACHINE_SHADOW_H
