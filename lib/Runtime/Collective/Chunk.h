//===- Chunk.h - Rows of some places on their way ---------------*- C++ -*-===//
//
// Part of moe-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// The half of an all_to_all_v that is started here and waited for later. Rows
// lie by member and by place; a chunk moves those of some places of each
// member. On one side the rows of other places lie between them.
//
//===----------------------------------------------------------------------===//

#ifndef MOE_LIB_RUNTIME_COLLECTIVE_CHUNK_H
#define MOE_LIB_RUNTIME_COLLECTIVE_CHUNK_H

#include "Collectives.h"

namespace moe::runtime {

/// What generated code hands over. Counts are of all places; packed rows have
/// none.
struct ChunkRows {
  const void *send;
  void *receive;
  int64_t rows, room; ///< that there are in `send` and in `receive`
  const int32_t *sendCounts, *receiveCounts;
};

class Chunk {
public:
  bool isUnderWay() const { return underWay; }
  /// `bound`: rows that each pair moves when padded.
  void start(const Context &context, const Collective &collective,
             int64_t bound, const ChunkRows &rows);
  /// Returns when the rows are there.
  void wait(const Context &context);
  /// Once the world has failed.
  void abandon(const Context &context) noexcept;

private:
  void find(const Context &context, const Collective &collective,
            const ChunkRows &rows);
  void findPacked(const Context &context, uint64_t bound,
                  const ChunkRows &rows);
  void pad(const Context &context, uint64_t bound);

  bool underWay = false, isPadded = false;
  Moving moving;
  /// Where rows lie, by member, and what is moved instead of them when padded.
  std::vector<moe_piece> send, receive, out, in;
  Buffer outgoing, incoming, sentCounts, receivedCounts;
};

} // namespace moe::runtime

#endif // MOE_LIB_RUNTIME_COLLECTIVE_CHUNK_H
