//===- Parallel.h - How a program is spread over ranks ----------*- C++ -*-===//
//
// Part of moe-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// `moe.parallel` on a module, which the graph is built with and `moe-shard`
// goes by.
//
//===----------------------------------------------------------------------===//

#ifndef MOE_SHARDING_PARALLEL_H
#define MOE_SHARDING_PARALLEL_H

#include "mlir/IR/BuiltinAttributes.h"
#include "mlir/IR/BuiltinOps.h"

#include <cstdint>
#include <optional>
#include <vector>

namespace moe {

/// Engines have room for as many exchanges of a group at once, and as many
/// back.
inline constexpr int64_t kMostChunks = 8;

enum class Axis { dp, ep, tp };
llvm::StringRef name(Axis axis);

struct Parallel {
  int64_t dp = 1, ep = 1, tp = 1;
  /// Experts are spread over tp, and tokens are not exchanged.
  bool expertsOnTp = false;
  bool sequenceParallel = false;
  bool fsdp = false;
  /// A capacity is that of all ranks' tokens together.
  bool globalCapacity = true;
  std::string exchange = "all_to_all";
  std::string rows = "exact";
  /// What rows are while they are exchanged, and how many values of one share a
  /// scale.
  std::string wire = "none";
  int64_t wireBlock = 128;
  /// Exchanges that rows to experts are divided among, and results.
  int64_t chunks = 1;
  /// The experts of each member of ep; empty: equal shares in order.
  std::vector<std::vector<int64_t>> placement;

  int64_t size(Axis axis) const {
    return axis == Axis::dp ? dp : axis == Axis::ep ? ep : tp;
  }
  int64_t ranks() const { return dp * ep * tp; }

  mlir::DictionaryAttr toAttr(mlir::MLIRContext *context) const;
  /// That of the module; one rank where it has none. Reports what is wrong.
  static mlir::FailureOr<Parallel> of(mlir::ModuleOp module);

  static constexpr llvm::StringLiteral kName = "moe.parallel";
};

/// Attributes that `moe-shard` leaves; docs/Manifest.md says what they mean.
namespace shardAttr {
inline constexpr llvm::StringLiteral kShard = "moe.shard";
inline constexpr llvm::StringLiteral kSums = "moe.sums";
inline constexpr llvm::StringLiteral kTokensOver = "moe.tokens_over";
inline constexpr llvm::StringLiteral kGrid = "coll.grid";
/// For `moe-overlap`, which takes it away.
inline constexpr llvm::StringLiteral kChunks = "moe.chunks";
} // namespace shardAttr

} // namespace moe

#endif // MOE_SHARDING_PARALLEL_H
