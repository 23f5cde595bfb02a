//===- Graph.h - From a Spec to the moe dialect -----------------*- C++ -*-===//
//
// Part of moe-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef MOE_GRAPH_GRAPH_H
#define MOE_GRAPH_GRAPH_H

#include "moe/Import/Spec.h"

#include "mlir/IR/BuiltinOps.h"
#include "mlir/IR/OwningOpRef.h"

namespace moe {

/// Attributes at the boundary of a function, on arguments and results alike.
namespace boundary {
/// Name of the tensor in the manifest.
inline constexpr llvm::StringLiteral kName = "moe.name";
/// "input", "weight", "state", "output" or "plan".
inline constexpr llvm::StringLiteral kRole = "moe.role";
/// One size expression per dynamic dimension: "T", "2*T" or "ceil(n/64)".
inline constexpr llvm::StringLiteral kSizes = "moe.sizes";
/// On integers that the manifest calls unsigned.
inline constexpr llvm::StringLiteral kUnsigned = "moe.unsigned";
/// On a weight whose rows are not as long as what they are multiplied with: how
/// many values that is.
inline constexpr llvm::StringLiteral kFanIn = "moe.fan_in";
/// On a weight whose outputs are in strips.
inline constexpr llvm::StringLiteral kPacked = "moe.packed";
/// On a state argument that starts as a copy of the weight of the same name.
inline constexpr llvm::StringLiteral kInitial = "moe.initial";
/// On a weight of which a rank has a part: `{whole = array<i64: 8, 64>, split =
/// [{dim = 0, axis = "ep"}]}`, as the manifest's `shard`.
inline constexpr llvm::StringLiteral kShard = "moe.shard";
} // namespace boundary

/// On functions: sizes that are sums over a group, `{R = {of = "T", axes =
/// ["ep"]}}`, and the axes whose ranks have tokens of their own.
inline constexpr llvm::StringLiteral kSums = "moe.sums";
inline constexpr llvm::StringLiteral kTokensOver = "moe.tokens_over";

/// On the module: the prefix of every symbol of its package.
inline constexpr llvm::StringLiteral kPackageName = "moe.name";

/// Builds one function per entry of `spec.functions`. What docs/Spec.md says in
/// words, this says in operations. `file` is where the spec came from, for
/// messages.
mlir::OwningOpRef<mlir::ModuleOp> buildGraph(const Spec &spec,
                                             mlir::MLIRContext &context,
                                             llvm::StringRef file = "spec");

} // namespace moe

#endif // MOE_GRAPH_GRAPH_H
