//===- Fiber.h - Threads that take turns on one processor -------*- C++ -*-===//
//
// Part of moe-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef MOE_LIB_SIM_MACHINE_FIBER_H
#define MOE_LIB_SIM_MACHINE_FIBER_H

#include <cstddef>
#include <vector>

namespace moe::sim {

/// Memory for the stack of a fiber, with a page below that faults.
class Stack {
public:
  Stack();
  ~Stack();
  Stack(const Stack &) = delete;
  Stack &operator=(const Stack &) = delete;

  char *bottom() const { return base; }
  static constexpr size_t size = 256 << 10;
  bool holds(const void *p) const { return p >= base && p < base + size; }

private:
  char *base;
};

/// A function on a stack of its own that can stop in the middle.
class Fiber {
public:
  /// Must not return: it leaves for the last time with `leave`.
  using Entry = void (*)(void *argument);

  void start(Stack &stack, Entry entry, void *argument);
  /// From outside: runs it until it leaves.
  void resume();
  /// From within: back to whoever resumed it.
  void leave(bool forGood = false);
  /// First thing in the entry.
  void entered();

private:
  void *inside = nullptr;  // stack pointer of the fiber while it does not run
  void *outside = nullptr; // that of whoever resumed it
  Stack *stack = nullptr;
  // What sanitizers keep for each stack.
  [[maybe_unused]] void *insideFake = nullptr;
  [[maybe_unused]] void *outsideFake = nullptr;
  [[maybe_unused]] const void *outsideBottom = nullptr;
  [[maybe_unused]] size_t outsideSize = 0;
  [[maybe_unused]] void *tsanInside = nullptr;
  [[maybe_unused]] void *tsanOutside = nullptr;
};

} // namespace moe::sim

#endif // MOE_LIB_SIM_MACHINE_FIBER_H
