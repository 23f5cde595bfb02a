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

/// Fails with MOE_CPU_MISMATCH unless code for this triple and these features
/// runs here. A feature that the table does not know counts as missing.
void checkCpu(const std::string &triple,
              const std::vector<std::string> &features,
              const std::string &label);

} // namespace moe::runtime

#endif // MOE_LIB_RUNTIME_CPU_H
