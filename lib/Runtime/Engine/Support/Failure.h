//===- Failure.h - Why an exchange does not end well ------------*- C++ -*-===//
//
// Part of moe-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Inside an engine a failure is an exception. `guard` stands at each function
// of the table: it turns whatever arrives into a status and a
// moe_engine_failure.
//
//===----------------------------------------------------------------------===//

#ifndef MOE_LIB_RUNTIME_ENGINE_SUPPORT_FAILURE_H
#define MOE_LIB_RUNTIME_ENGINE_SUPPORT_FAILURE_H

#include "../../Status.h"
#include "moe/Runtime/Engine.h"

#include <vector>

namespace moe::engine {

using runtime::text;

/// `rank` is who is to blame, or -1.
class Failure : public runtime::Error {
public:
  Failure(moe_status status, int32_t rank, std::string message)
      : Error(status, std::move(message)), rank(rank) {}

  int32_t rank;
};

template <typename... Parts>
[[noreturn]] void failOf(moe_status status, int32_t rank,
                         const Parts &...parts) {
  throw Failure(status, rank, text(parts...));
}

template <typename... Parts>
[[noreturn]] void fail(moe_status status, const Parts &...parts) {
  failOf(status, -1, parts...);
}

/// Throws a copy.
[[noreturn]] inline void failAgain(const Failure &failure) {
  failOf(failure.status, failure.rank, failure.message);
}

/// For what starts after a failure: it did not wait until a deadline itself.
[[noreturn]] inline void failAfter(const Failure &failure) {
  failOf(failure.status == MOE_TIMEOUT ? MOE_ABORTED : failure.status,
         failure.rank, failure.message);
}

/// The status of `failure`, after writing it to `told`, which may be null.
moe_status tell(const Failure &failure, moe_engine_failure *told) noexcept;

/// The same for the exception in flight.
moe_status tellException(moe_engine_failure *told) noexcept;

template <typename Body>
moe_status guard(moe_engine_failure *told, Body &&body) noexcept {
  try {
    return body();
  } catch (...) {
    return tellException(told);
  }
}

/// As in "rank 3", "ranks 1, 3 and 4" or "ranks 1 to 9, 12 and 20".
std::string nameRanks(const std::vector<int32_t> &ranks);

} // namespace moe::engine

#endif // MOE_LIB_RUNTIME_ENGINE_SUPPORT_FAILURE_H
