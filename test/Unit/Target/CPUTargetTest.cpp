//===- CPUTargetTest.cpp - What is known of CPUs --------------------------===//
//
// Part of moe-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "moe/Target/CPU/CPU.h"

#include "llvm/ADT/STLExtras.h"

#include <gtest/gtest.h>

using namespace moe;

#if defined(__x86_64__)
namespace {
struct Known {
  const char *cpu;
  int64_t vectorWidth, registers;
  bool bf16Dot;
};
} // namespace

TEST(CPUTarget, WhatLoweringsAsk) {
  const Known table[] = {
      {"generic", 4, 16, false},         {"x86-64", 4, 16, false},
      {"x86-64-v3", 8, 16, false},       {"x86-64-v4", 16, 32, false},
      {"skylake-avx512", 16, 32, false}, {"cooperlake", 16, 32, true},
      {"sapphirerapids", 16, 32, true},  {"znver3", 8, 16, false},
      {"znver4", 16, 32, true},          {"znver5", 16, 32, true},
  };
  for (const Known &known : table) {
    llvm::Expected<CPUTarget> target = CPUTarget::create(known.cpu);
    ASSERT_TRUE(bool(target)) << llvm::toString(target.takeError());
    EXPECT_EQ(known.cpu, target->name());
    EXPECT_EQ(known.vectorWidth, target->vectorWidth()) << known.cpu;
    EXPECT_EQ(known.registers, target->registers()) << known.cpu;
    EXPECT_EQ(known.bf16Dot, target->hasBF16Dot()) << known.cpu;
    EXPECT_EQ(known.bf16Dot,
              llvm::is_contained(target->requiredFeatures(), "avx512bf16"))
        << known.cpu;
  }
}
#endif

TEST(CPUTarget, UnknownName) {
  llvm::Expected<CPUTarget> target = CPUTarget::create("toaster");
  EXPECT_FALSE(bool(target));
  llvm::consumeError(target.takeError());
}
