//===- Status.cpp - Errors inside, status codes outside -------------------===//
//
// Part of moe-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// The message lives in a fixed thread-local array: recording a failure cannot
// itself fail, and nothing needs to be destroyed when a thread ends.
//
//===----------------------------------------------------------------------===//

#include "Status.h"

#include <algorithm>
#include <new>
#include <string_view>

namespace moe::runtime {

static thread_local char lastError[4096];

/// Names in messages come from files: control characters become '?', so that a
/// message is one line and nothing but text.
static moe_status record(moe_status status, std::string_view message) noexcept {
  size_t length = std::min(message.size(), sizeof lastError - 1);
  for (size_t i = 0; i < length; ++i) {
    unsigned char c = static_cast<unsigned char>(message[i]);
    lastError[i] = c < 32 || c == 127 ? '?' : message[i];
  }
  lastError[length] = 0;
  return status;
}

moe_status recordException() noexcept {
  try {
    throw;
  } catch (const Error &error) {
    return record(error.status, error.message);
  } catch (const std::bad_alloc &) {
    return record(MOE_OUT_OF_MEMORY, "out of memory");
  } catch (const std::exception &error) {
    return record(MOE_INVALID_ARGUMENT, error.what());
  } catch (...) {
    return record(MOE_INVALID_ARGUMENT, "unknown failure");
  }
}

} // namespace moe::runtime

const char *moe_last_error(void) { return moe::runtime::lastError; }

const char *moe_status_name(moe_status status) {
  switch (status) {
  case MOE_OK:
    return "MOE_OK";
  case MOE_INVALID_ARGUMENT:
    return "MOE_INVALID_ARGUMENT";
  case MOE_OUT_OF_MEMORY:
    return "MOE_OUT_OF_MEMORY";
  case MOE_NOT_FOUND:
    return "MOE_NOT_FOUND";
  case MOE_IO:
    return "MOE_IO";
  case MOE_BAD_FILE:
    return "MOE_BAD_FILE";
  case MOE_ABI_MISMATCH:
    return "MOE_ABI_MISMATCH";
  case MOE_CPU_MISMATCH:
    return "MOE_CPU_MISMATCH";
  case MOE_SHAPE_MISMATCH:
    return "MOE_SHAPE_MISMATCH";
  case MOE_DTYPE_MISMATCH:
    return "MOE_DTYPE_MISMATCH";
  case MOE_WEIGHT_MISSING:
    return "MOE_WEIGHT_MISSING";
  case MOE_NOT_FINITE:
    return "MOE_NOT_FINITE";
  case MOE_CANCELLED:
    return "MOE_CANCELLED";
  case MOE_TIMEOUT:
    return "MOE_TIMEOUT";
  case MOE_RANK_FAILED:
    return "MOE_RANK_FAILED";
  case MOE_OP_MISMATCH:
    return "MOE_OP_MISMATCH";
  case MOE_PROGRAM_MISMATCH:
    return "MOE_PROGRAM_MISMATCH";
  case MOE_ABORTED:
    return "MOE_ABORTED";
  case MOE_UNAVAILABLE:
    return "MOE_UNAVAILABLE";
  case MOE_IN_PROGRESS:
    return "MOE_IN_PROGRESS";
  case MOE_GPU_MISMATCH:
    return "MOE_GPU_MISMATCH";
  case MOE_DEVICE_FAILED:
    return "MOE_DEVICE_FAILED";
  }
  return "unknown status";
}
