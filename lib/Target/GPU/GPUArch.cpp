//===- GPUArch.cpp - Architectures of GPUs --------------------------------===//
//
// Part of moe-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "moe/Target/GPU/GPUArch.h"

#include "moe/Support/Suggest.h"

using namespace llvm;
using namespace moe;

static constexpr int64_t oldest = 80;

/// Each with the version of PTX that it needs, but no less than what drivers
/// for CUDA 12.0 read.
static constexpr std::pair<StringLiteral, int64_t> architectures[] = {
    {"sm_80", 80},  {"sm_86", 80},  {"sm_87", 80},   {"sm_89", 80},
    {"sm_90", 80},  {"sm_90a", 80}, {"sm_100", 86},  {"sm_100a", 86},
    {"sm_103", 88}, {"sm_120", 87}, {"sm_120a", 87},
};

Expected<GPUArch> GPUArch::parse(StringRef name) {
  GPUArch arch;
  arch.name = name.str();
  StringRef suffix = name;
  arch.isPtx = suffix.consume_front("compute_");
  arch.sm = arch.isPtx ? ("sm_" + suffix).str() : name.str();
  StringRef digits = arch.sm;
  digits.consume_front("sm_");
  if (!digits.consumeInteger(10, arch.number) && digits.empty() &&
      arch.number < oldest)
    return createStringError("gpu architecture '" + name.str() +
                             "' is too old; expected 'sm_80' or later");
  std::vector<std::string_view> names;
  std::string all;
  for (auto &[known, ptx] : architectures) {
    names.push_back(known);
    all += (all.empty() ? "" : ", ") + known.str();
    if (known == arch.sm)
      arch.ptx = ptx;
  }
  if (!arch.ptx)
    return createStringError(
        "unknown gpu architecture '" + name.str() + "'; expected one of " +
        all + ", or for PTX compute_80 and so on" + didYouMean(name, names));
  return arch;
}
