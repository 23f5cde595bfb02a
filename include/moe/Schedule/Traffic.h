//===- Traffic.h - What ranks send each other -------------------*- C++ -*-===//
//
// Part of moe-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Counts, to the byte, what the program of a rank sends to other ranks:
// docs/decisions/0008-sharding.md.
//
//===----------------------------------------------------------------------===//

#ifndef MOE_SCHEDULE_TRAFFIC_H
#define MOE_SCHEDULE_TRAFFIC_H

#include "moe/Schedule/GridLayer.h"

namespace moe {

/// Ranks are dp x ep x tp, of which tp runs fastest.
struct RankGrid {
  int64_t dp = 1, ep = 1, tp = 1;
  bool fsdp = false;
  bool sequenceParallel = false;
  ExpertsOn expertsOn = ExpertsOn::ep;
  Exchange exchange = Exchange::all_to_all;
  int64_t nodeRanks = 0; // of one machine; 0: all

  int64_t ranks() const { return dp * ep * tp; }
  /// Parts that the experts' inner width is cut into.
  int64_t expertParts() const { return expertsOn == ExpertsOn::tp ? 1 : tp; }
  /// Ranks that have different experts, within a group that has all of them.
  int64_t places() const { return expertsOn == ExpertsOn::tp ? tp : ep; }
};

/// A mask: dp 1, ep 2, tp 4.
enum Axes : int { kDp = 1, kEp = 2, kTp = 4, kDpEp = 3, kWorld = 7 };

/// Ranks that differ in some axes alone, in ascending order.
struct RankGroup {
  int64_t base = 0, stride = 1, size = 1, self = 0;

  RankGroup(const RankGrid &grid, Axes axes, int64_t rank);
  int64_t rank(int64_t member) const { return base + member * stride; }
  /// The first member on the machine of this rank, and one past the last.
  std::pair<int64_t, int64_t> onNode(int64_t nodeRanks) const;
};

/// Where a forward is when it sends.
enum class GridStep {
  sizes,    // before it
  weights,  // fsdp
  tokens,   // to all of tp, with sequence parallelism
  router,   // what looks at the tokens of all
  dispatch, // rows to experts
  experts,  // they and the shared one compute, and send nothing
  back,     // rows from experts
  sum       // of parts over tp
};
constexpr int kGridSteps = int(GridStep::sum) + 1;

enum class CollectiveKind {
  sizes,
  all_gather,
  all_to_all,
  all_to_all_v,
  all_reduce,
  reduce_scatter
};

/// What one rank does in a collective. Bytes are those to and from other ranks.
struct Traffic {
  CollectiveKind kind;
  GridStep step;
  Axes axes;
  std::string name;
  int64_t members = 1;
  int64_t sent = 0, received = 0;
  int64_t sentOnNode = 0; // of `sent`, to ranks of the same machine
  int64_t messages = 0;   // that are not empty
  int64_t rounds = 1;     // exchanges, one after the other
};

/// Who has how many tokens, and sends how many rows to whom.
class Routing {
public:
  virtual ~Routing() = default;
  /// Of a rank's own call. Ranks that differ in tp alone pass the same tokens,
  /// unless with sequence parallelism.
  virtual int64_t tokens(int64_t rank) const = 0;
  /// From a rank to a member of its group over ep.
  virtual int64_t rows(int64_t rank, int64_t member) const = 0;
};

/// Tokens and rows as even as whole numbers can be; the first have more.
class UniformRouting : public Routing {
public:
  UniformRouting(const GridLayer &layer, const RankGrid &grid, int64_t tokens)
      : grid(grid), rowsPerToken(layer.rowsPerToken), total(tokens) {}
  int64_t tokens(int64_t rank) const override;
  int64_t rows(int64_t rank, int64_t member) const override;
  /// Of all ranks of the first group over ep, which has as many as any.
  int64_t groupTokens() const;

private:
  int64_t tokenRanks() const {
    return grid.ranks() / (grid.sequenceParallel ? 1 : grid.tp);
  }

  const RankGrid &grid;
  const double rowsPerToken;
  const int64_t total;
};

/// The tokens that a rank routes: its own, or with sequence parallelism those
/// of its group over tp.
int64_t routedTokens(const RankGrid &grid, const Routing &routing,
                     int64_t rank);

/// What `rank` sends and gets in one forward, in the order of the program.
/// Collectives over one rank are left out.
std::vector<Traffic> exactBytes(const GridLayer &layer, const RankGrid &grid,
                                const Routing &routing, int64_t rank);

/// The share of a weight that a rank has, or with `gathered` what it computes
/// with.
int64_t rankBytes(const RankGrid &grid, const GridWeight &weight,
                  bool gathered);
/// Parts that the shared expert is cut into: one where tp does not divide it.
int64_t sharedParts(const RankGrid &grid, int64_t intermediate);
/// Whether fsdp keeps it in shares.
bool isShared(const RankGrid &grid, const GridWeight &weight);

/// Whether a group over ep has several members on each of several machines, so
/// that `hierarchical` is an exchange of its own.
bool hasLevels(const RankGrid &grid);

/// The exchanges that rows to experts are divided among, and results: no more
/// than there are experts on a rank.
int64_t chunksOf(const GridLayer &layer, const RankGrid &grid);

std::string_view name(CollectiveKind kind);
std::string name(Axes axes);
std::string_view name(Exchange exchange);

} // namespace moe

#endif // MOE_SCHEDULE_TRAFFIC_H
