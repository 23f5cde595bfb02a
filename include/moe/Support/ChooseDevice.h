//===- ChooseDevice.h - Which GPU a rank has --------------------*- C++ -*-===//
//
// Part of moe-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
// The runtime and engines choose alike.
//
//===----------------------------------------------------------------------===//

#ifndef MOE_SUPPORT_CHOOSEDEVICE_H
#define MOE_SUPPORT_CHOOSEDEVICE_H

#include <cstdlib>
#include <optional>
#include <vector>

namespace moe {

/// For rank `local` of those of a machine that has `count` devices: its turn of
/// the numbers in `list`, what MOE_GPU is set to, such as "2,3"; without a
/// list, of all. None if the list makes no sense.
inline std::optional<int> chooseDevice(const char *list, int local, int count) {
  if (!list || !*list)
    return count > 0 ? local % count : 0;
  std::vector<int> numbers;
  for (const char *at = list;; ++at) {
    char *end = nullptr;
    long number = *at >= '0' && *at <= '9' ? std::strtol(at, &end, 10) : -1;
    if (number < 0 || number > 1 << 16 || (*end && *end != ','))
      return std::nullopt;
    numbers.push_back(static_cast<int>(number));
    if (!*end)
      return numbers[static_cast<size_t>(local) % numbers.size()];
    at = end;
  }
}

} // namespace moe

#endif // MOE_SUPPORT_CHOOSEDEVICE_H
