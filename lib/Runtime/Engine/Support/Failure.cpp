//===- Failure.cpp - Why an exchange does not end well --------------------===//
//
// Part of moe-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Failure.h"

#include <algorithm>
#include <cstring>
#include <new>

namespace moe::engine {

static moe_status write(moe_status status, int32_t rank, const char *message,
                        moe_engine_failure *told) noexcept {
  if (!told)
    return status;
  told->status = status;
  told->rank = rank;
  size_t length = std::min(std::strlen(message), sizeof told->text - 1);
  std::memcpy(told->text, message, length);
  told->text[length] = 0;
  return status;
}

moe_status tell(const Failure &failure, moe_engine_failure *told) noexcept {
  return write(failure.status, failure.rank, failure.what(), told);
}

moe_status tellException(moe_engine_failure *told) noexcept {
  try {
    throw;
  } catch (const Failure &failure) {
    return tell(failure, told);
  } catch (const std::bad_alloc &) {
    return write(MOE_OUT_OF_MEMORY, -1, "out of memory", told);
  } catch (const std::exception &error) {
    return write(MOE_INVALID_ARGUMENT, -1, error.what(), told);
  } catch (...) {
    return write(MOE_INVALID_ARGUMENT, -1, "unknown failure", told);
  }
}

/// Three and more that follow each other are one entry.
static std::vector<std::string> entries(const std::vector<int32_t> &ranks) {
  std::vector<std::string> result;
  for (size_t begin = 0, end; begin < ranks.size(); begin = end) {
    end = begin + 1;
    while (end < ranks.size() && ranks[end] == ranks[end - 1] + 1)
      ++end;
    if (end - begin < 3)
      end = begin + 1;
    result.push_back(end - begin == 1
                         ? text(ranks[begin])
                         : text(ranks[begin], " to ", ranks[end - 1]));
  }
  return result;
}

std::string nameRanks(const std::vector<int32_t> &ranks) {
  if (ranks.empty())
    return "no rank";
  std::string result = ranks.size() == 1 ? "rank " : "ranks ";
  std::vector<std::string> names = entries(ranks);
  for (size_t i = 0; i < names.size(); ++i)
    result += (i == 0 ? "" : i + 1 == names.size() ? " and " : ", ") + names[i];
  return result;
}

} // namespace moe::engine
