//===- RowExchange.h - Rows from member to member ---------------*- C++ -*-===//
//
// Part of moe-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef MOE_LIB_SCHEDULE_ROWEXCHANGE_H
#define MOE_LIB_SCHEDULE_ROWEXCHANGE_H

#include "moe/Schedule/Traffic.h"

#include <functional>

namespace moe {

/// A number that one member tells another.
constexpr int64_t bytesOfRows = 8;

/// Of the rows that one member has for another.
using BytesBetween = std::function<int64_t(int64_t from, int64_t to)>;

/// Adds what one member sends and gets in `grid.exchange`.
void countRows(Traffic &traffic, const RankGrid &grid, const RankGroup &group,
               const BytesBetween &bytes);

} // namespace moe

#endif // MOE_LIB_SCHEDULE_ROWEXCHANGE_H
