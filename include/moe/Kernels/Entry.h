//===- Entry.h - What a lowered function says about itself ------*- C++ -*-===//
//
// Part of moe-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef MOE_KERNELS_ENTRY_H
#define MOE_KERNELS_ENTRY_H

#include "llvm/ADT/StringRef.h"

#include <cstdint>

/// Attributes that `moe-lower-to-loops` leaves on an entry for the manifest.
namespace moe::entryAttr {
/// The function it was made from, as in "forward".
inline constexpr llvm::StringLiteral kFunction = "moe.function";
/// One dictionary per buffer: the attributes of moe::boundary, and:
inline constexpr llvm::StringLiteral kArguments = "moe.arguments";
inline constexpr llvm::StringLiteral kShape = "moe.shape";
inline constexpr llvm::StringLiteral kType = "moe.type";
/// Names of the sizes, in the order in which they are passed.
inline constexpr llvm::StringLiteral kSizes = "moe.sizes";
/// Bytes of workspace: `constant`, and `per` with so many per unit of each
/// size.
inline constexpr llvm::StringLiteral kWorkspace = "moe.workspace";
/// How many values of 64 bits may pass from one kernel of a GPU to another: the
/// first of the workspace.
inline constexpr int64_t kPassedValues = 64;
/// Where there is a pointer after the workspace: one dictionary per collective,
/// in the order of their numbers, with those of the keys below that it has;
/// `rows` are the result's.
inline constexpr llvm::StringLiteral kCollectives = "moe.collectives";
inline constexpr llvm::StringLiteral kKind = "kind";
inline constexpr llvm::StringLiteral kAxes = "axes";
inline constexpr llvm::StringLiteral kName = "name";
inline constexpr llvm::StringLiteral kDtype = "dtype";
inline constexpr llvm::StringLiteral kRow = "row";
inline constexpr llvm::StringLiteral kRows = "rows";
inline constexpr llvm::StringLiteral kReduce = "reduce";
inline constexpr llvm::StringLiteral kRoot = "root";
inline constexpr llvm::StringLiteral kPeer = "peer";
inline constexpr llvm::StringLiteral kPattern = "pattern";
inline constexpr llvm::StringLiteral kMode = "mode";
inline constexpr llvm::StringLiteral kPlaces = "places";
inline constexpr llvm::StringLiteral kBound = "bound";
/// The places [first, end) that move, of a collective in two halves, and which
/// side has the rows of all.
inline constexpr llvm::StringLiteral kChunk = "chunk";
inline constexpr llvm::StringLiteral kWhole = "whole";
/// That all members have as many rows and each one is given its share of them.
inline constexpr llvm::StringLiteral kEven = "even";
/// That rows are in blocks of `bound` for each member, and nobody counts them.
inline constexpr llvm::StringLiteral kPacked = "packed";
} // namespace moe::entryAttr

#endif // MOE_KERNELS_ENTRY_H
