//===- Cpu.h - What this CPU can do -----------------------------*- C++ -*-===//
//
// Part of moe-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
// The features a package may ask for, by their LLVM names.
//
//===----------------------------------------------------------------------===//

#ifndef MOE_LIB_RUNTIME_CPU_H
#define MOE_LIB_RUNTIME_CPU_H

#include <string>
#include <vector>

namespace moe::runtime {

/// Fails with MOE_CPU_MISMATCH if the triple is of another architecture.
void checkArchitecture(const std::string &triple, const std::string &label);

/// Those that this CPU has not, as in "avx, fma". One that the table does not
/// know counts as missing.
std::string missingFeatures(const std::vector<std::string> &features);

} // namespace moe::runtime

#endif // MOE_LIB_RUNTIME_CPU_H
