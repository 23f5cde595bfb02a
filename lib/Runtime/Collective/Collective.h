//===- Collective.h - What does not change from call to call ----*- C++ -*-===//
//
// Part of moe-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
// One entry of a function's table of collectives, as the manifest has it.
//
//===----------------------------------------------------------------------===//

#ifndef MOE_LIB_RUNTIME_COLLECTIVE_COLLECTIVE_H
#define MOE_LIB_RUNTIME_COLLECTIVE_COLLECTIVE_H

#include "moe/Runtime/Engine.h"

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

namespace moe::runtime {

/// Sets of axes are masks of these.
enum Axis : int32_t { dpAxis = 1, epAxis = 2, tpAxis = 4, allAxes = 7 };

/// rank = (dp_index * ep + ep_index) * tp + tp_index.
struct Grid {
  int32_t dp = 1, ep = 1, tp = 1;
  int64_t size() const { return int64_t(dp) * ep * tp; }
};

enum class CollectiveKind : uint8_t {
  allReduce,
  reduceScatter,
  allGather,
  broadcast,
  allToAll,
  allToAllV,
  send,
  recv,
  barrier
};

/// How rows reach their members. The result is the same.
enum class Pattern : uint8_t { allToAll, pointToPoint, hierarchical, ring };

/// Exact: as many rows as the counts say. Padded: `bound` for each pair.
enum class Mode : uint8_t { exact, padded };

/// The side of a chunk that has the rows of all places.
enum class Whole : uint8_t { send, receive };

struct Collective {
  CollectiveKind kind = CollectiveKind::barrier;
  int32_t axes = 0;
  moe_element dtype = MOE_BYTE;
  int64_t row = 1; ///< elements of a row
  moe_reduction reduce = MOE_REDUCE_NONE;
  int32_t root = 0; ///< member that broadcasts
  int32_t peer = 0; ///< member that is sent to or received from
  Pattern pattern = Pattern::allToAll;
  Mode mode = Mode::exact;
  int64_t places = 1; ///< counts of rows for each member, of all_to_all_v
  /// The places of each member whose rows are moved, from `first` to before
  /// `end`, by an all_to_all_v that is started and waited for; end 0: no chunk.
  int64_t first = 0, end = 0;
  /// Where rows of other places lie among those that are moved.
  Whole whole = Whole::send;
  /// Rows that each pair moves when padded: this, or this times a size of the
  /// function, which must be the same on all members.
  int64_t bound = 0;
  int boundSize = -1; ///< index into Function::sizes; -1: a plain number
  /// Rows that all_to_all_v has room for, in the same way; -1: nobody said.
  int64_t room = -1;
  int roomSize = -1;
  /// All members have as many rows, and member i is given the i-th share.
  bool even = false;
  /// Rows are in blocks of `bound` for each member, and there are no counts.
  bool packed = false;
  std::string name;
  bool isChunk() const { return end != 0; }
};

/// The names that manifests use: "all_to_all_v", "point_to_point", "padded",
/// "sum", "bf16".
const char *name(CollectiveKind kind);
const char *name(Pattern pattern);
const char *name(Mode mode);
const char *name(Whole whole);
const char *name(moe_reduction reduce);
const char *name(moe_element dtype);
std::optional<CollectiveKind> collectiveKindNamed(std::string_view name);
std::optional<Pattern> patternNamed(std::string_view name);
std::optional<Mode> modeNamed(std::string_view name);
std::optional<moe_reduction> reductionNamed(std::string_view name);
std::optional<moe_element> elementNamed(std::string_view name);
/// The mask of "dp", "ep" or "tp".
std::optional<int32_t> axisNamed(std::string_view name);
/// "ep, tp".
std::string describeAxes(int32_t axes);

int64_t bytes(moe_element dtype);

/// Fails unless the collective, which has this number in its table, makes sense
/// in a group of so many members.
void check(const Collective &collective, size_t number, int32_t members);

} // namespace moe::runtime

#endif // MOE_LIB_RUNTIME_COLLECTIVE_COLLECTIVE_H
