//===- Environment.cpp - What launchers say -------------------------------===//
//
// Part of moe-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
// A pair of variables is there as a whole, or not at all.
//
//===----------------------------------------------------------------------===//

#include "Environment.h"
#include "../Status.h"

#include <charconv>
#include <cstdlib>
#include <string_view>

namespace moe::runtime {

namespace {
struct Launcher {
  const char *rank, *size, *engine;
};
} // namespace

static constexpr Launcher launchers[] = {
    {"OMPI_COMM_WORLD_RANK", "OMPI_COMM_WORLD_SIZE", "mpi"},
    {"PMI_RANK", "PMI_SIZE", "mpi"},
    {"RANK", "WORLD_SIZE", "nccl"},
    {"SLURM_PROCID", "SLURM_NTASKS", "mpi"}};

static int32_t readNumber(const char *variable, const char *value) {
  std::string_view digits = value;
  int32_t number = -1;
  auto [end, error] =
      std::from_chars(digits.data(), digits.data() + digits.size(), number);
  if (error != std::errc() || end != digits.data() + digits.size() ||
      number < 0)
    fail(MOE_INVALID_ARGUMENT, "environment variable ", variable, ": found '",
         value, "', expected a number");
  return number;
}

std::optional<Launched> readLauncher() {
  for (const Launcher &launcher : launchers) {
    const char *rank = std::getenv(launcher.rank);
    const char *size = std::getenv(launcher.size);
    if (!rank && !size)
      continue;
    if (!rank || !size)
      fail(MOE_INVALID_ARGUMENT, "environment variable ",
           rank ? launcher.size : launcher.rank, " is not set, but ",
           rank ? launcher.rank : launcher.size, " is");
    Launched found{readNumber(launcher.rank, rank),
                   readNumber(launcher.size, size), launcher.engine};
    if (found.rank >= found.size)
      fail(MOE_INVALID_ARGUMENT, "environment variables ", launcher.rank,
           " and ", launcher.size, ": found rank ", found.rank, " of ",
           found.size);
    return found;
  }
  return std::nullopt;
}

} // namespace moe::runtime
