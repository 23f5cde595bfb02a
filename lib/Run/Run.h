//===- Run.h - The whole of moe-run -----------------------------*- C++ -*-===//
//
// Part of moe-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
// Everything but `main`, so that tests can call it.
//
//===----------------------------------------------------------------------===//

#ifndef MOE_LIB_RUN_RUN_H
#define MOE_LIB_RUN_RUN_H

#include <ostream>

namespace moe::run {

/// Returns the exit status: 0 only if everything asked for was done, and with
/// --against, only if the packages agree.
int runMain(int argc, const char *const *argv, std::ostream &out,
            std::ostream &err);

} // namespace moe::run

#endif // MOE_LIB_RUN_RUN_H
