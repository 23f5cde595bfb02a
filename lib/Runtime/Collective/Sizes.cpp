//===- Sizes.cpp - What all ranks are about to run ------------------------===//
//
// Part of moe-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
// Every rank sees the same table, so that all find the same mistake.
//
//===----------------------------------------------------------------------===//

#include "../Status.h"
#include "Exchange.h"

#include <cstdio>

namespace moe::runtime {

/// The rank with the same indices on `axes` and zeros elsewhere.
static int32_t project(const Grid &grid, int32_t rank, int32_t axes) {
  int32_t tp = rank % grid.tp, ep = rank / grid.tp % grid.ep;
  int32_t dp = rank / grid.tp / grid.ep;
  auto kept = [&](int32_t axis, int32_t index) {
    return axes & axis ? index : 0;
  };
  return (kept(dpAxis, dp) * grid.ep + kept(epAxis, ep)) * grid.tp +
         kept(tpAxis, tp);
}

static std::string hexadecimal(uint64_t value) {
  char out[24];
  std::snprintf(out, sizeof out, "%016llx",
                static_cast<unsigned long long>(value));
  return out;
}

/// Fails where a rank is not about to do what rank 0 is.
static void compare(const Grid &grid, const std::vector<RunHeader> &headers,
                    int32_t tokensOver,
                    const std::function<std::string(int64_t)> &functionName) {
  const RunHeader &first = headers[0];
  auto program = [](const RunHeader &header) {
    return hexadecimal(header.fingerprint);
  };
  auto differ = [](size_t rank, const auto &...what) {
    fail(MOE_PROGRAM_MISMATCH, "rank 0 and rank ", rank, what...);
  };
  for (size_t rank = 1; rank < headers.size(); ++rank) {
    const RunHeader &other = headers[rank];
    if (first.fingerprint != other.fingerprint)
      differ(rank, " have different packages: fingerprints ", program(first),
             " and ", program(other));
    if (first.function != other.function)
      differ(rank, " run different functions: ", functionName(first.function),
             " and ", functionName(other.function));
  }
  for (size_t rank = 0; rank < headers.size(); ++rank) {
    auto replica = static_cast<size_t>(
        project(grid, static_cast<int32_t>(rank), tokensOver));
    if (headers[rank].tokens != headers[replica].tokens)
      fail(MOE_PROGRAM_MISMATCH, "rank ", replica, " and rank ", rank,
           " must have the same tokens: found ", headers[replica].tokens,
           " and ", headers[rank].tokens);
  }
}

void gatherSizes(moe_world &world, const Grid &grid, const RunHeader &header,
                 int32_t tokensOver,
                 const std::function<std::string(int64_t)> &functionName,
                 std::vector<int64_t> &tokens) {
  size_t ranks = static_cast<size_t>(world.size());
  std::vector<RunHeader> &headers = world.headers;
  headers.assign(ranks, header);
  Operation operation;
  operation.kind = "all_gather";
  operation.name = "sizes";
  operation.what = "all_gather 'sizes' over all ranks";
  operation.tag = 0x73697a6573;
  world.operate(operation, [&] {
    auto &send = world.pieces[0], &receive = world.pieces[1];
    size_t self = static_cast<size_t>(world.rank());
    RunHeader own = header;
    send.assign(ranks, {&own, sizeof own});
    receive.resize(ranks);
    for (size_t i = 0; i < ranks; ++i)
      receive[i] = {&headers[i], sizeof own};
    send[self].bytes = receive[self].bytes = 0;
    if (ranks > 1)
      world.move(operation, world.everyone(), send.data(), receive.data());
    compare(grid, headers, tokensOver, functionName);
  });
  tokens.resize(ranks);
  for (size_t i = 0; i < ranks; ++i)
    tokens[i] = headers[i].tokens;
}

int64_t sumTokens(const moe_world &world, const Grid &grid, int32_t axes,
                  const std::vector<int64_t> &tokens) {
  int32_t others = allAxes & ~axes;
  int32_t self = project(grid, world.rank(), others);
  int64_t total = 0;
  for (size_t rank = 0; rank < tokens.size(); ++rank)
    if (project(grid, static_cast<int32_t>(rank), others) == self)
      total += tokens[rank];
  return total;
}

} // namespace moe::runtime
