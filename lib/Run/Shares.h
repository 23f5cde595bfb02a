//===- Shares.h - Which tokens each rank has --------------------*- C++ -*-===//
//
// Part of moe-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
// Ranks that differ along axes of `tokens_over` have tokens of their own; the
// others are replicas.
//
//===----------------------------------------------------------------------===//

#ifndef MOE_LIB_RUN_SHARES_H
#define MOE_LIB_RUN_SHARES_H

#include "../Runtime/Slice.h"
#include "Array.h"

#include <nlohmann/json.hpp>

#include <map>

namespace moe::run {

runtime::Grid gridOf(const nlohmann::json &manifest);

class Shares {
public:
  /// The shares of `tokens` that ranks have of a call of `function`.
  Shares(const nlohmann::json &manifest, const nlohmann::json &function,
         int64_t tokens);

  /// First token of a rank, and how many.
  int64_t begin(int rank) const { return firstOf(groupOf(rank)); }
  int64_t count(int rank) const {
    return firstOf(groupOf(rank) + 1) - begin(rank);
  }
  /// Whether no rank before this one has the same tokens.
  bool isFirst(int rank) const;
  int64_t groups() const { return groupCount; }

  /// How the first dimension of an argument counts tokens, if no other does.
  struct Rows {
    int64_t ofToken = 0;  ///< 0: it does not
    int32_t gathered = 0; ///< axes whose ranks have each other's tokens, too
    explicit operator bool() const { return ofToken != 0; }
  };
  Rows rowsOf(const nlohmann::json &argument) const;

  Array split(const Array &whole, Rows rows, int rank) const;
  /// One array out of those of all ranks. Those of replicas must be equal, bit
  /// for bit. Without tokens, that of the first rank.
  Array join(const std::vector<Array> &parts, Rows rows,
             const std::string &name) const;

private:
  /// Among those of ranks that differ in `axes`.
  int64_t groupOf(int rank, int32_t axes) const;
  int64_t groupOf(int rank) const { return groupOf(rank, axes); }
  int64_t firstOf(int64_t group) const;

  runtime::Grid grid;
  int32_t axes = 0;
  int64_t tokens = 0, groupCount = 1;
  std::map<std::string, int32_t> sums; ///< size -> axes
};

/// What a rank has of a weight with the key 'shard'.
runtime::Slice sliceOf(const nlohmann::json &shard, const runtime::Grid &grid,
                       int rank);

} // namespace moe::run

#endif // MOE_LIB_RUN_SHARES_H
