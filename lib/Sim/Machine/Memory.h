//===- Memory.h - Memory of the device --------------------------*- C++ -*-===//
//
// Part of moe-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef MOE_LIB_SIM_MACHINE_MEMORY_H
#define MOE_LIB_SIM_MACHINE_MEMORY_H

#include "Shadow.h"

#include <map>
#include <string>

namespace moe::sim {

/// One piece of device memory: host memory between guards.
struct Allocation {
  char *base;
  size_t size;
  Shadow shadow;
  bool freed = false;
  bool touched = false; // by the launch that runs
  std::string name;     // of a module's variable

  Allocation(char *base, size_t size) : base(base), size(size), shadow(size) {}
};

/// All of it.
class Memory {
public:
  explicit Memory(size_t limit) : limit(limit) {}
  ~Memory();

  /// Null if there is no room.
  char *allocate(size_t size);
  /// Whether that was allocated. What is freed stays known for a while.
  bool release(void *address);
  /// A variable of a module, whose memory is its own.
  void adopt(void *address, size_t size, const std::string &name);
  void disown(void *address);

  /// What the address is in, or what it just missed.
  struct Place {
    Allocation *allocation = nullptr;
    ptrdiff_t offset = 0;
  };
  Place find(const void *address);
  /// At the end of a launch.
  void forget();
  void touch(Allocation *allocation);

  size_t free() const { return limit - used; }
  size_t total() const { return limit; }

private:
  void retire();

  std::map<char *, Allocation *> byBase; // freed ones too
  std::vector<Allocation *> retired;     // oldest first
  std::vector<Allocation *> touched;
  Allocation *last = nullptr;
  size_t limit;
  size_t used = 0;
  size_t retiredBytes = 0;
};

} // namespace moe::sim

#endif // MOE_LIB_SIM_MACHINE_MEMORY_H
