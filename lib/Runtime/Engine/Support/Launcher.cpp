//===- Launcher.cpp - Which rank the launcher has made this ---------------===//
//
// Part of moe-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Launcher.h"

#include <cstdlib>
#include <optional>

namespace moe::engine {

namespace {
struct Variables {
  const char *rank, *size, *local;
};
} // namespace

static constexpr Variables launchers[] = {
    {"RANK", "WORLD_SIZE", "LOCAL_RANK"},
    {"OMPI_COMM_WORLD_RANK", "OMPI_COMM_WORLD_SIZE",
     "OMPI_COMM_WORLD_LOCAL_RANK"},
    {"PMI_RANK", "PMI_SIZE", "MPI_LOCALRANKID"},
    {"SLURM_PROCID", "SLURM_NTASKS", "SLURM_LOCALID"},
};

static std::optional<int32_t> number(const char *variable) {
  const char *value = std::getenv(variable);
  if (!value || !*value)
    return std::nullopt;
  char *end = nullptr;
  long parsed = std::strtol(value, &end, 10);
  if (*end || parsed < 0 || parsed > 1 << 24)
    fail(MOE_INVALID_ARGUMENT, variable, " is '", value,
         "', expected a number from 0");
  return static_cast<int32_t>(parsed);
}

Launched findLaunched(const moe_engine_options &options) {
  Launched found = {options.rank, options.size, -1};
  for (const Variables &launcher : launchers) {
    auto rank = number(launcher.rank), size = number(launcher.size);
    if (!rank || !size)
      continue;
    found.rank = options.rank >= 0 ? options.rank : *rank;
    found.size = options.size >= 0 ? options.size : *size;
    found.local = number(launcher.local).value_or(-1);
    break;
  }
  if (found.rank < 0 || found.size < 0)
    fail(MOE_INVALID_ARGUMENT, "no launcher says which rank this is: expected "
                               "RANK and WORLD_SIZE or the like");
  if (found.size < 1 || found.rank >= found.size)
    fail(MOE_INVALID_ARGUMENT, "rank ", found.rank, " of ", found.size,
         " ranks, expected one below the size");
  if (found.local < 0)
    found.local = found.rank;
  return found;
}

} // namespace moe::engine
