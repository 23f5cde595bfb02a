//===- Fiber.cpp - Threads that take turns on one processor ---------------===//
//
// Part of moe-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Fiber.h"

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

// A switch of ucontext is two system calls, for signal masks that nobody here
// changes: 316 ns where these few instructions take 16.
#if defined(__x86_64__)
extern "C" void moe_sim_switch(void **save, void *load);
extern "C" void moe_sim_first();
asm(R"(
.text
.p2align 4
.hidden moe_sim_switch
.globl moe_sim_switch
.type moe_sim_switch, @function
moe_sim_switch:
  pushq %rbp
  pushq %rbx
  pushq %r12
  pushq %r13
  pushq %r14
  pushq %r15
  movq %rsp, (%rdi)
  movq %rsi, %rsp
  popq %r15
  popq %r14
  popq %r13
  popq %r12
  popq %rbx
  popq %rbp
  ret
.size moe_sim_switch, .-moe_sim_switch
.hidden moe_sim_first
.globl moe_sim_first
.type moe_sim_first, @function
moe_sim_first:
  movq %r12, %rdi
  callq *%r13
  ud2
.size moe_sim_first, .-moe_sim_first
)");

static void *firstFrame(Stack &stack, Fiber::Entry entry, void *argument) {
  auto *top = reinterpret_cast<uintptr_t *>(stack.bottom() + Stack::size);
  // The stack is a multiple of 16 at a call: six registers, where to return
  // to, and two to spare.
  uintptr_t *frame = top - 9;
  for (int i = 0; i < 9; ++i)
    frame[i] = 0;
  frame[2] = reinterpret_cast<uintptr_t>(entry);    // r13
  frame[3] = reinterpret_cast<uintptr_t>(argument); // r12
  frame[6] = reinterpret_cast<uintptr_t>(&moe_sim_first);
  return frame;
}
#elif defined(__aarch64__)
extern "C" void moe_sim_switch(void **save, void *load);
extern "C" void moe_sim_first();
asm(R"(
.text
.p2align 4
.hidden moe_sim_switch
.globl moe_sim_switch
.type moe_sim_switch, %function
moe_sim_switch:
  sub sp, sp, #160
  stp x19, x20, [sp, #0]
  stp x21, x22, [sp, #16]
  stp x23, x24, [sp, #32]
  stp x25, x26, [sp, #48]
  stp x27, x28, [sp, #64]
  stp x29, x30, [sp, #80]
  stp d8, d9, [sp, #96]
  stp d10, d11, [sp, #112]
  stp d12, d13, [sp, #128]
  stp d14, d15, [sp, #144]
  mov x9, sp
  str x9, [x0]
  mov sp, x1
  ldp x19, x20, [sp, #0]
  ldp x21, x22, [sp, #16]
  ldp x23, x24, [sp, #32]
  ldp x25, x26, [sp, #48]
  ldp x27, x28, [sp, #64]
  ldp x29, x30, [sp, #80]
  ldp d8, d9, [sp, #96]
  ldp d10, d11, [sp, #112]
  ldp d12, d13, [sp, #128]
  ldp d14, d15, [sp, #144]
  add sp, sp, #160
  ret
.size moe_sim_switch, .-moe_sim_switch
.hidden moe_sim_first
.globl moe_sim_first
.type moe_sim_first, %function
moe_sim_first:
  mov x0, x19
  blr x20
  brk #1
.size moe_sim_first, .-moe_sim_first
)");

static void *firstFrame(Stack &stack, Fiber::Entry entry, void *argument) {
  auto *top = reinterpret_cast<uintptr_t *>(stack.bottom() + Stack::size);
  uintptr_t *frame = top - 20;
  for (int i = 0; i < 20; ++i)
    frame[i] = 0;
  frame[0] = reinterpret_cast<uintptr_t>(argument); // x19
  frame[1] = reinterpret_cast<uintptr_t>(entry);    // x20
  frame[11] = reinterpret_cast<uintptr_t>(&moe_sim_first);
  return frame;
}
#else
#error "the simulator switches stacks on x86-64 and AArch64 only"
#endif

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
