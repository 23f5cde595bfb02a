//===- Mbarrier.h - Barriers in shared memory -------------------*- C++ -*-===//
//
// Part of moe-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef MOE_LIB_SIM_MACHINE_MBARRIER_H
#define MOE_LIB_SIM_MACHINE_MBARRIER_H

#include "../Operations/Abi.h"
#include "Clock.h"

#include <cstdint>
#include <vector>

namespace moe::sim {

struct Block;
struct Thread;

/// What is known of an mbarrier object. Its eight bytes in memory only say that
/// there is one, so that plain accesses to them are seen as such.
struct Mbarrier {
  unsigned expected = 0; // arrivals of each phase
  unsigned pending = 0;  // those that the current one lacks
  int64_t bytes = 0;     // expected and not yet there
  uint64_t phase = 0;    // how many are complete
  unsigned agent = 0;    // of copies that complete on it
  unsigned initializer = 0;
  uint32_t initialized = 0; // when, by the initializer's clock
  unsigned site = 0;        // of its init
  bool fenced = false;      // fence.mbarrier_init after that
  Block *block = nullptr;   // of which it is
  // By threads of the block and copies, and by threads of other blocks.
  Gathering gathering, fromOthers;
  Past past, pastOfOthers; // of the phase that is complete
  std::vector<Thread *> waiting;
};

} // namespace moe::sim

#endif // MOE_LIB_SIM_MACHINE_MBARRIER_H
