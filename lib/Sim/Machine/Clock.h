//===- Clock.h - What has happened before what ------------------*- C++ -*-===//
//
// Part of moe-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

//
// Vector clocks. Each thread of a cluster counts its own releases, and knows up
// to which count it has seen those of the others; an access has happened before
// another if the second thread has seen the count of the first. What a barrier
// hands to many threads is kept once and shared.
//
// Everything is kept twice: `seen` for accesses through the generic proxy, and
// `fenced` for how much of that a proxy fence has made visible to the units
// that copy and multiply on their own, the async proxy.
//
//===----------------------------------------------------------------------===//

#ifndef MOE_LIB_SIM_MACHINE_CLOCK_H
#define MOE_LIB_SIM_MACHINE_CLOCK_H

#include <cstdint>
#include <memory>
#include <vector>

namespace moe::sim {

struct Stamps {
  std::vector<uint32_t> seen, fenced;
};
/// Shared and never changed.
using Past = std::shared_ptr<const Stamps>;

/// The clock of one thread, or of a unit that works for threads.
class Clock {
public:
  void start(const Past &nothing, unsigned index);

  unsigned index() const { return self; }
  uint32_t now() const { return count; }
  bool hasSeen(unsigned other, uint32_t stamp) const {
    return other == self || past->seen[other] >= stamp;
  }
  /// Whether its async operations see what the other wrote by plain stores.
  bool hasFenced(unsigned other, uint32_t stamp) const {
    if (other == self)
      return ownFenced >= stamp;
    return (allFenced ? past->seen : past->fenced)[other] >= stamp;
  }
  void fence() {
    ownFenced = count++;
    allFenced = true;
  }
  /// What comes after this is not part of what was released.
  void tick() { ++count; }
  void acquire(const Past &other);
  /// In place of all that it has seen, of which `all` is made.
  void replace(const Past &all) {
    past = all;
    allFenced = false;
  }

private:
  friend class Gathering;
  Past past;
  unsigned self = 0;
  uint32_t count = 1;
  uint32_t ownFenced = 0;
  bool allFenced = false;
};

/// What several threads release to whoever acquires it.
class Gathering {
public:
  void add(const Clock &clock);
  void add(const Past &past);
  bool empty() const { return !any; }
  /// All of it; then it is empty.
  Past take(const Past &nothing);

private:
  void merge(const std::vector<uint32_t> &seen,
             const std::vector<uint32_t> &fenced);

  Stamps stamps;
  // Threads that passed the same barrier share their past: it is added once.
  std::vector<Past> added, addedFenced;
  bool any = false;
};

} // namespace moe::sim

#endif // MOE_LIB_SIM_MACHINE_CLOCK_H
