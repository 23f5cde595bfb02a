//===- Fiber.cpp - Threads that take turns on one processor ---------------===//
//
// Part of moe-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Fiber.h"
#include "Switch.h"

#include <cstdint>
#include <cstdlib>
#include <sys/mman.h>

#if defined(__SANITIZE_ADDRESS__)
#define MOE_SIM_ASAN 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define MOE_SIM_ASAN 1
#endif
#endif
#if defined(__SANITIZE_THREAD__)
#define MOE_SIM_TSAN 1
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define MOE_SIM_TSAN 1
#endif
#endif

#ifdef MOE_SIM_ASAN
#include <sanitizer/asan_interface.h>
#include <sanitizer/common_interface_defs.h>
#endif
#ifdef MOE_SIM_TSAN
#include <sanitizer/tsan_interface.h>
#endif

using namespace moe::sim;

static constexpr size_t guard = 4096;

Stack::Stack() {
  void *memory = mmap(nullptr, guard + size, PROT_READ | PROT_WRITE,
                      MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (memory == MAP_FAILED || mprotect(memory, guard, PROT_NONE) != 0)
    abort();
  base = static_cast<char *>(memory) + guard;
}

Stack::~Stack() { munmap(base - guard, guard + size); }

void Fiber::start(Stack &newStack, Entry entry, void *argument) {
  stack = &newStack;
#ifdef MOE_SIM_ASAN
  // Another fiber may have been left here in the middle of something.
  __asan_unpoison_memory_region(stack->bottom(), Stack::size);
  insideFake = nullptr;
#endif
#ifdef MOE_SIM_TSAN
  if (tsanInside)
    __tsan_destroy_fiber(tsanInside);
  tsanInside = __tsan_create_fiber(0);
#endif
  inside = firstFrame(*stack, entry, argument);
}

void Fiber::resume() {
#ifdef MOE_SIM_ASAN
  __sanitizer_start_switch_fiber(&outsideFake, stack->bottom(), Stack::size);
#endif
#ifdef MOE_SIM_TSAN
  tsanOutside = __tsan_get_current_fiber();
  __tsan_switch_to_fiber(tsanInside, 0);
#endif
  moe_sim_switch(&outside, inside);
#ifdef MOE_SIM_ASAN
  __sanitizer_finish_switch_fiber(outsideFake, nullptr, nullptr);
#endif
}

void Fiber::entered() {
#ifdef MOE_SIM_ASAN
  __sanitizer_finish_switch_fiber(nullptr, &outsideBottom, &outsideSize);
#endif
}

void Fiber::leave([[maybe_unused]] bool forGood) {
#ifdef MOE_SIM_ASAN
  __sanitizer_start_switch_fiber(forGood ? nullptr : &insideFake, outsideBottom,
                                 outsideSize);
#endif
#ifdef MOE_SIM_TSAN
  __tsan_switch_to_fiber(tsanOutside, 0);
#endif
  moe_sim_switch(&inside, outside);
#ifdef MOE_SIM_ASAN
  __sanitizer_finish_switch_fiber(insideFake, &outsideBottom, &outsideSize);
#endif
}
