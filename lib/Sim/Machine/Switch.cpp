//===- Switch.cpp - From one stack to another -----------------------------===//
//
// Part of moe-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Switch.h"

#include <cstdint>

using namespace moe::sim;

extern "C" void moe_sim_first();

/// The uppermost words of a stack, cleared.
static uintptr_t *topWords(Stack &stack, int count) {
  auto *top = reinterpret_cast<uintptr_t *>(stack.bottom() + Stack::size);
  for (int i = 1; i <= count; ++i)
    top[-i] = 0;
  return top - count;
}

#if defined(__x86_64__)
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

void *moe::sim::firstFrame(Stack &stack, Fiber::Entry entry, void *argument) {
  // The stack is a multiple of 16 at a call: six registers, where to return
  // to, and two to spare.
  uintptr_t *frame = topWords(stack, 9);
  frame[2] = reinterpret_cast<uintptr_t>(entry);    // r13
  frame[3] = reinterpret_cast<uintptr_t>(argument); // r12
  frame[6] = reinterpret_cast<uintptr_t>(&moe_sim_first);
  return frame;
}
#elif defined(__aarch64__)
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

void *moe::sim::firstFrame(Stack &stack, Fiber::Entry entry, void *argument) {
  uintptr_t *frame = topWords(stack, 20);
  frame[0] = reinterpret_cast<uintptr_t>(argument); // x19
  frame[1] = reinterpret_cast<uintptr_t>(entry);    // x20
  frame[11] = reinterpret_cast<uintptr_t>(&moe_sim_first);
  return frame;
}
#else
#error "the simulator switches stacks on x86-64 and AArch64 only"
#endif
