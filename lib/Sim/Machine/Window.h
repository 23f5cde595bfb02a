//===- Window.h - Addresses of shared memory --------------------*- C++ -*-===//
//
// Part of moe-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef MOE_LIB_SIM_MACHINE_WINDOW_H
#define MOE_LIB_SIM_MACHINE_WINDOW_H

#include <cstddef>
#include <cstdint>

namespace moe::sim {

/// Where the shared memory of the blocks of a cluster is: one window for each,
/// at a multiple of its size, and the first at a multiple of 4 GiB. So the low
/// 18 bits of a host address are the address in a block's shared memory, as in
/// matrix descriptors, and the low 32 that in the cluster's.
class Window {
public:
  Window();
  ~Window();
  Window(const Window &) = delete;
  Window &operator=(const Window &) = delete;

  static constexpr size_t size = 256 << 10;
  static constexpr size_t blocks = 16;
  char *block(size_t rank) const { return base + rank * size; }
  bool holds(const void *p) const {
    return p >= base && p < base + blocks * size;
  }
  size_t blockOf(const void *p) const {
    return size_t(static_cast<const char *>(p) - base) / size;
  }

private:
  void *reserved;
  char *base;
};

} // namespace moe::sim

#endif // MOE_LIB_SIM_MACHINE_WINDOW_H
