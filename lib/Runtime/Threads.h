//===- Threads.h - Work that can fail, on all threads -----------*- C++ -*-===//
//
// Part of moe-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
// No exception may pass through an executor of the application.
//
//===----------------------------------------------------------------------===//

#ifndef MOE_LIB_RUNTIME_THREADS_H
#define MOE_LIB_RUNTIME_THREADS_H

#include "Buffer.h"

#include "moe/Runtime/Package.h"

#include <atomic>
#include <exception>

namespace moe::runtime {

/// Calls `body(i, scratch)` for each i < count, with memory that a thread uses
/// again and again, and throws what the first to fail has thrown.
template <typename Body> void onAllThreads(int64_t count, const Body &body) {
  struct Work {
    const Body &body;
    std::atomic<bool> failed{false};
    std::exception_ptr failure = nullptr;

    static void run(void *context, int64_t begin, int64_t end) {
      Work &work = *static_cast<Work *>(context);
      try {
        Buffer scratch;
        for (int64_t i = begin; i < end && !work.failed; ++i)
          work.body(i, scratch);
      } catch (...) {
        if (!work.failed.exchange(true))
          work.failure = std::current_exception();
      }
    }
  };
  Work work{body};
  moe_parallel_for(Work::run, &work, count);
  if (work.failure)
    std::rethrow_exception(work.failure);
}

} // namespace moe::runtime

#endif // MOE_LIB_RUNTIME_THREADS_H
