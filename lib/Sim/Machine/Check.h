//===- Check.h - Whether an access is one that may be made ------*- C++ -*-===//
//
// Part of moe-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef MOE_LIB_SIM_MACHINE_CHECK_H
#define MOE_LIB_SIM_MACHINE_CHECK_H

#include "Cluster.h"

namespace moe::sim {

/// Who makes an access: a thread, or a unit on its behalf.
struct Accessor {
  Thread *thread;
  const Clock *clock; // what it is known to come after
  unsigned agent;
  uint32_t stamp;
  uint16_t flags; // of Access
};
Accessor accessor(Thread &thread, uint16_t flags = 0);

/// As in NVVM, and those of which generic addresses can be.
enum Space : unsigned {
  Generic = 0,
  Global = 1,
  Shared = 3,
  SharedCluster = 7
};

enum class Does { Read, Write, Update };

/// Where an address is, after all checks that need no history.
struct Target {
  Shadow *shadow = nullptr; // null for memory of the thread's own
  size_t offset = 0;
};
Target locate(Thread &thread, const void *address, size_t bytes,
              size_t alignment, unsigned space, Does does, unsigned site);

/// The checks that need it, and the access becomes part of it.
void record(const Accessor &accessor, const Target &target, const void *address,
            size_t bytes, Does does, unsigned site);

/// Both.
void check(const Accessor &accessor, const void *address, size_t bytes,
           size_t alignment, unsigned space, Does does, unsigned site);

/// What it uses is memory of that block, which must be there until then.
void visit(const Accessor &accessor, Block &block, unsigned site);

} // namespace moe::sim

#endif // MOE_LIB_SIM_MACHINE_CHECK_H
