//===- Flight.h - The last operations of a rank -----------------*- C++ -*-===//
//
// Part of moe-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
// A ring of what a rank has done with others, written as JSON when it fails.
//
//===----------------------------------------------------------------------===//

#ifndef MOE_LIB_RUNTIME_COLLECTIVE_FLIGHT_H
#define MOE_LIB_RUNTIME_COLLECTIVE_FLIGHT_H

#include "Collective.h"

#include <array>
#include <memory>
#include <vector>

namespace moe::runtime {

struct FlightEntry {
  uint64_t sequence = 0; ///< of this rank, from 0
  const char *operation = "";
  std::array<char, 40> name = {}; ///< cut off where it is longer
  int32_t axes = 0;
  uint64_t bytes = 0; ///< to other ranks and from them
  bool ended = false;
  moe_status status = MOE_OK; ///< once it has ended
  int64_t start = 0, end = 0; ///< of moe_clock
};

class FlightRecorder {
public:
  static constexpr size_t capacity = 4096;

  /// A new entry, valid until `capacity` more have come.
  FlightEntry &add();
  /// Writes all of the file or nothing. "%r" in the path is the rank.
  void write(const std::string &path, int32_t rank, int32_t size,
             moe_status status, const std::string &message) const;

private:
  std::vector<FlightEntry> ring;
  uint64_t next = 0;
};

} // namespace moe::runtime

#endif // MOE_LIB_RUNTIME_COLLECTIVE_FLIGHT_H
