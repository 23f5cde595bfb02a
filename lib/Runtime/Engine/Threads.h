//===- Threads.h - The engine of ranks in one process -----------*- C++ -*-===//
//
// Part of moe-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
// Ranks are threads; their memory is read and written directly.
//
//===----------------------------------------------------------------------===//

#ifndef MOE_LIB_RUNTIME_ENGINE_THREADS_H
#define MOE_LIB_RUNTIME_ENGINE_THREADS_H

#include "moe/Runtime/Engine.h"

#include <vector>

namespace moe::runtime {

/// One for each of `size` ranks. Each is used by one thread at a time, and
/// closed on its own.
std::vector<moe_engine> openThreads(int32_t size);

} // namespace moe::runtime

#endif // MOE_LIB_RUNTIME_ENGINE_THREADS_H
