//===- Window.cpp - Addresses of shared memory ----------------------------===//
//
// Part of moe-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Window.h"

#include <cstdlib>
#include <sys/mman.h>

using namespace moe::sim;

static constexpr size_t multiple = size_t(1) << 32;
static constexpr size_t reservedBytes =
    multiple + Window::size * Window::blocks;

Window::Window() {
  reserved = mmap(nullptr, reservedBytes, PROT_NONE,
                  MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (reserved == MAP_FAILED)
    abort();
  auto address = reinterpret_cast<uintptr_t>(reserved);
  base =
      reinterpret_cast<char *>((address + multiple - 1) / multiple * multiple);
  if (mprotect(base, size * blocks, PROT_READ | PROT_WRITE) != 0)
    abort();
}

Window::~Window() { munmap(reserved, reservedBytes); }
