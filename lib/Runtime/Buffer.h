//===- Buffer.h - Aligned memory that grows ---------------------*- C++ -*-===//
//
// Part of moe-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Memory for weights, state, plans and workspaces, aligned to 64 bytes.
//
//===----------------------------------------------------------------------===//

#ifndef MOE_LIB_RUNTIME_BUFFER_H
#define MOE_LIB_RUNTIME_BUFFER_H

#include <sys/mman.h>

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <memory>
#include <new>

namespace moe::runtime {

class Buffer {
public:
  static constexpr size_t alignment = 64;
  static constexpr size_t largePage = size_t(2) << 20;

  /// At least `bytes` bytes. Contents are kept only where nothing grows: the
  /// old memory goes before the new one comes, so that only one is held.
  void ensure(int64_t bytes) {
    if (memory && bytes <= size)
      return;
    memory.reset();
    size = 0;
    if (static_cast<uint64_t>(bytes) > SIZE_MAX / 2 - largePage)
      throw std::bad_alloc();
    // Weights are large: with pages to match, the system makes and finds them
    // many times faster. It takes the advice where it has such pages.
    bool large = static_cast<uint64_t>(bytes) >= 4 * largePage;
    size_t to = large ? largePage : alignment;
    size_t rounded = (static_cast<size_t>(bytes) + to - 1) / to * to;
    memory.reset(std::aligned_alloc(to, rounded ? rounded : to));
    if (!memory)
      throw std::bad_alloc();
#ifdef MADV_HUGEPAGE
    if (large)
      madvise(memory.get(), rounded, MADV_HUGEPAGE);
#endif
    size = bytes;
  }

  void *data() const { return memory.get(); }

private:
  struct Free {
    void operator()(void *pointer) const { std::free(pointer); }
  };
  std::unique_ptr<void, Free> memory;
  int64_t size = 0;
};

} // namespace moe::runtime

#endif // MOE_LIB_RUNTIME_BUFFER_H
