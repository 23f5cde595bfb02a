//===- Status.h - Errors inside, status codes outside -----------*- C++ -*-===//
//
// Part of moe-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Inside the runtime a failure is an Error that unwinds. `guard` stands at each
// entry of the C interface: it turns whatever arrives into a status and keeps
// the message for `moe_last_error`.
//
//===----------------------------------------------------------------------===//

#ifndef MOE_LIB_RUNTIME_STATUS_H
#define MOE_LIB_RUNTIME_STATUS_H

#include "moe/Runtime/moe.h"

#include <exception>
#include <sstream>
#include <string>

namespace moe::runtime {

class Error : public std::exception {
public:
  Error(moe_status status, std::string message)
      : status(status), message(std::move(message)) {}
  const char *what() const noexcept override { return message.c_str(); }

  moe_status status;
  std::string message;
};

/// The parts, one after the other, as text.
template <typename... Parts> std::string text(const Parts &...parts) {
  std::ostringstream out;
  (out << ... << parts);
  return out.str();
}

template <typename... Parts>
[[noreturn]] void fail(moe_status status, const Parts &...parts) {
  throw Error(status, text(parts...));
}

/// Records the exception in flight as this thread's last error.
moe_status recordException() noexcept;

template <typename Body> moe_status guard(Body &&body) noexcept {
  try {
    body();
    return MOE_OK;
  } catch (...) {
    return recordException();
  }
}

/// Fails unless a pointer that a caller passed is set.
template <typename T> void requireSet(T *pointer, const char *name) {
  if (!pointer)
    fail(MOE_INVALID_ARGUMENT, "'", name, "' is null");
}

} // namespace moe::runtime

#endif // MOE_LIB_RUNTIME_STATUS_H
