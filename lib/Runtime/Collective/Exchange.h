//===- Exchange.h - The exchange of generated code --------------*- C++ -*-===//
//
// Part of moe-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
// What `void *exchange` points to: a world, a grid and a table of collectives.
//
//===----------------------------------------------------------------------===//

#ifndef MOE_LIB_RUNTIME_COLLECTIVE_EXCHANGE_H
#define MOE_LIB_RUNTIME_COLLECTIVE_EXCHANGE_H

#include "Chunk.h"

#include <functional>

namespace moe::runtime {

/// One for each function of a layer. The world outlives it.
class Exchange {
public:
  /// Fails unless the grid is as large as the world and every entry of the
  /// table makes sense.
  /// `space` is where rows lie, null for the host; it outlives this.
  Exchange(moe_world &world, const Grid &grid, std::vector<Collective> table,
           Space *space = nullptr);
  ~Exchange();
  Exchange(const Exchange &) = delete;
  Exchange &operator=(const Exchange &) = delete;

  /// Before each run, with the sizes of the function. `tokens`: those of each
  /// rank, if they say how many rows there are everywhere; what ranks have then
  /// told each other is not asked for again until a rank has others.
  void begin(const int64_t *sizes,
             const std::vector<int64_t> *tokens = nullptr);
  /// After each run, with nothing under way: fails with the first failure of a
  /// collective.
  void end();

  /// moe_collective, its two halves, and moe_member; generated code has `this`.
  moe_status run(int32_t number, const void *send, void *receive, int64_t rows,
                 const int32_t *sendCounts,
                 const int32_t *receiveCounts) noexcept;
  moe_status start(int32_t number, const ChunkRows &rows) noexcept;
  moe_status wait(int32_t number) noexcept;
  int32_t member(int32_t axes) const { return members[axes & allAxes]; }
  /// An exchange for which the host needs to know what kernels have found,
  /// empty if there is none.
  std::string neededOnHost() const;

private:
  struct Entry {
    Collective collective;
    Group *group = nullptr;
    Group *pair = nullptr; ///< with the peer, where there is one
    Operation operation;
    std::string what;
    int64_t bound = 0, room = -1; ///< for the sizes of this run
    std::vector<int64_t> rows;    ///< of each member, where known
    Chunk chunk;
  };
  void describe(Entry &entry);
  Context contextOf(Entry &entry) const {
    return {world, entry.operation, *entry.group, space};
  }
  /// Calls `body` with the entry, unless there was a failure before.
  template <typename Body>
  moe_status attempt(int32_t number, bool isChunk, const Body &body) noexcept;
  void abandonChunks() noexcept;
  void dispatch(Entry &entry, const void *send, void *receive, int64_t rows,
                const int32_t *sendCounts, const int32_t *receiveCounts);
  void moveRows(Entry &entry, const Context &context, const void *send,
                void *receive, int64_t rows, const int32_t *sendCounts,
                const int32_t *receiveCounts);

  moe_world &world;
  HostSpace host;
  Space &space;
  Buffer counts[2];
  std::vector<int64_t> lastTokens;
  std::vector<Entry> entries;
  int32_t members[allAxes + 1] = {};
  moe_status status = MOE_OK;
};

/// Fails unless the grid has as many ranks as the world.
void checkGrid(const moe_world &world, const Grid &grid);

/// One exchange of all ranks: the tokens of each rank. Fails with
/// MOE_PROGRAM_MISMATCH on all of them where fingerprints or functions differ,
/// or the tokens of ranks that differ in axes outside `tokensOver` alone.
void gatherSizes(moe_world &world, const Grid &grid, const RunHeader &header,
                 int32_t tokensOver,
                 const std::function<std::string(int64_t)> &functionName,
                 std::vector<int64_t> &tokens);

/// The sum of `tokens` over the group of this rank: the value of a size "R".
int64_t sumTokens(const moe_world &world, const Grid &grid, int32_t axes,
                  const std::vector<int64_t> &tokens);

} // namespace moe::runtime

#endif // MOE_LIB_RUNTIME_COLLECTIVE_EXCHANGE_H
