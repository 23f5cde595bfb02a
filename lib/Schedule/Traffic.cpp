//===- Traffic.cpp - What ranks send each other ---------------------------===//
//
// Part of moe-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "RowExchange.h"

#include <algorithm>

using namespace moe;

// What the runtime sends besides the payload.
static constexpr int64_t bytesOfSizes = 24; // program, function, tokens
static constexpr int64_t bytesOfCount = 4;  // rows of one place
/// Slices of sums are whole ones.
static constexpr int64_t cacheLine = 64;

namespace {

/// The collectives of one rank, in the order of its program.
class Program {
public:
  Program(const GridLayer &layer, const RankGrid &grid, const Routing &routing,
          int64_t rank)
      : layer(layer), grid(grid), routing(routing), rank(rank),
        routed(routedTokens(grid, routing, rank)) {}

  std::vector<Traffic> traffic;
  void run();

private:
  const GridLayer &layer;
  const RankGrid &grid;
  const Routing &routing;
  const int64_t rank, routed;

  Traffic &add(CollectiveKind kind, GridStep step, const RankGroup &group,
               Axes axes, std::string name);
  /// The same to each other member.
  void toEach(CollectiveKind kind, GridStep step, Axes axes, std::string name,
              int64_t bytes);
  /// `rowsOf(rank)` rows of all members.
  template <typename RowsOf>
  void gatherRows(GridStep step, Axes axes, std::string name, int64_t rowBytes,
                  RowsOf rowsOf);
  void allReduce(GridStep step, Axes axes, std::string name, int64_t elements);
  void scatterRows(Axes axes, std::string name, int64_t rowBytes);
  template <typename Rows>
  void exchangeRows(GridStep step, std::string name, int64_t rowBytes,
                    Rows rows);
  void gatherWeights();
  void lookAtAll();
  void exchange();
  void sum();
};

} // namespace

Traffic &Program::add(CollectiveKind kind, GridStep step,
                      const RankGroup &group, Axes axes, std::string name) {
  Traffic one;
  one.kind = kind;
  one.step = step;
  one.axes = axes;
  one.name = std::move(name);
  one.members = group.size;
  return traffic.emplace_back(std::move(one));
}

void Program::toEach(CollectiveKind kind, GridStep step, Axes axes,
                     std::string name, int64_t bytes) {
  RankGroup group(grid, axes, rank);
  if (group.size == 1)
    return;
  auto [first, last] = group.onNode(grid.nodeRanks);
  Traffic &one = add(kind, step, group, axes, std::move(name));
  one.messages = group.size - 1;
  one.sent = one.received = bytes * (group.size - 1);
  one.sentOnNode = bytes * (last - first - 1);
}

template <typename RowsOf>
void Program::gatherRows(GridStep step, Axes axes, std::string name,
                         int64_t rowBytes, RowsOf rowsOf) {
  RankGroup group(grid, axes, rank);
  if (group.size == 1)
    return;
  auto [first, last] = group.onNode(grid.nodeRanks);
  Traffic &one =
      add(CollectiveKind::all_gather, step, group, axes, std::move(name));
  int64_t mine = rowsOf(rank) * rowBytes, others = group.size - 1;
  one.rounds = 2;
  one.messages = (mine > 0 ? 2 : 1) * others;
  one.sent = (bytesOfRows + mine) * others;
  one.sentOnNode = (bytesOfRows + mine) * (last - first - 1);
  one.received = bytesOfRows * others - mine;
  for (int64_t member = 0; member < group.size; ++member)
    one.received += rowsOf(group.rank(member)) * rowBytes;
}

/// Each member sums a slice and gives it to the others.
void Program::allReduce(GridStep step, Axes axes, std::string name,
                        int64_t elements) {
  RankGroup group(grid, axes, rank);
  if (group.size == 1)
    return;
  int64_t bytes = elements * 4;
  int64_t slice = (bytes + group.size - 1) / group.size;
  slice = (slice + cacheLine - 1) / cacheLine * cacheLine;
  // Of the slices of members before this one.
  auto before = [&](int64_t member) { return std::min(bytes, member * slice); };
  int64_t mine = before(group.self + 1) - before(group.self);
  auto [first, last] = group.onNode(grid.nodeRanks);
  Traffic &one =
      add(CollectiveKind::all_reduce, step, group, axes, std::move(name));
  one.rounds = 2;
  one.messages = 2 * (group.size - 1);
  one.sent = before(group.size) - mine + mine * (group.size - 1);
  one.received = one.sent;
  one.sentOnNode =
      before(last) - before(first) - mine + mine * (last - first - 1);
}

/// The rows of the tokens that each member passed go back to it.
void Program::scatterRows(Axes axes, std::string name, int64_t rowBytes) {
  RankGroup group(grid, axes, rank);
  if (group.size == 1)
    return;
  auto [first, last] = group.onNode(grid.nodeRanks);
  Traffic &one = add(CollectiveKind::reduce_scatter, GridStep::sum, group, axes,
                     std::move(name));
  one.rounds = 2;
  one.messages = 2 * (group.size - 1);
  for (int64_t member = 0; member < group.size; ++member) {
    if (member == group.self)
      continue;
    int64_t bytes = bytesOfRows + routing.tokens(group.rank(member)) * rowBytes;
    one.sent += bytes;
    one.sentOnNode += member >= first && member < last ? bytes : 0;
    one.received += bytesOfRows + routing.tokens(rank) * rowBytes;
  }
}

/// `rows(from, to)` from member to member.
template <typename Rows>
void Program::exchangeRows(GridStep step, std::string name, int64_t rowBytes,
                           Rows rows) {
  RankGroup group(grid, kEp, rank);
  Traffic &one =
      add(CollectiveKind::all_to_all_v, step, group, kEp, std::move(name));
  countRows(one, grid, group, [&](int64_t from, int64_t to) {
    return rows(from, to) * rowBytes;
  });
  int64_t chunks = chunksOf(layer, grid);
  one.rounds *= chunks;
  one.messages *= chunks;
}

void Program::gatherWeights() {
  for (const GridWeight &weight : layer.weights) {
    int64_t share = rankBytes(grid, weight, /*gathered=*/false);
    if (isShared(grid, weight))
      gatherRows(GridStep::weights, kDp, weight.name, share,
                 [](int64_t) { return 1; });
  }
}

/// Losses and choices for all see the tokens of all, and statistics their
/// counts.
void Program::lookAtAll() {
  auto tokens = [&](int64_t rank) { return routedTokens(grid, routing, rank); };
  int64_t scores = layer.experts + layer.nullExperts;
  auto gather = [&](std::string name, int64_t values) {
    gatherRows(GridStep::router, kDpEp, std::move(name), values * 4, tokens);
  };
  const CapacitySpec &capacity = layer.capacity;
  bool limited = capacity.limited() && capacity.scope == Scope::global;
  if (layer.hasLosses || layer.choosesByLogits)
    gather("logits", scores);
  if ((layer.hasLosses || limited) && !layer.choosesForAll)
    gather("indices", layer.slots);
  if (limited && capacity.priority == Priority::probability &&
      !layer.choosesForAll)
    gather("weights", layer.slots);
  allReduce(GridStep::router, kDpEp, "counts of all tokens", scores);
}

void Program::exchange() {
  if (grid.ep == 1)
    return;
  RankGroup group(grid, kEp, rank);
  toEach(CollectiveKind::all_to_all, GridStep::dispatch, kEp, "counts of rows",
         bytesOfCount * (layer.experts / grid.ep));
  auto rows = [&](int64_t from, int64_t to) {
    return routing.rows(group.rank(from), to);
  };
  exchangeRows(GridStep::dispatch, "rows to experts", layer.sentRowBytes, rows);
  exchangeRows(GridStep::back, "results to tokens", layer.sentResultBytes,
               [&](int64_t from, int64_t to) { return rows(to, from); });
}

/// Experts give parts over tp, which are summed before what is not linear in
/// them, and else at the end.
void Program::sum() {
  if (grid.tp == 1)
    return;
  auto total = [&](int64_t elements) {
    allReduce(GridStep::sum, kTp, "parts of sums", routed * elements);
  };
  if (layer.latent)
    total(layer.width);
  bool isPart = !layer.latent;
  if (layer.sharedIntermediate) {
    bool sharedIsPart = sharedParts(grid, layer.sharedIntermediate) > 1;
    if (isPart != sharedIsPart)
      total(layer.hidden);
    isPart = isPart && sharedIsPart;
  }
  if (!grid.sequenceParallel) {
    if (isPart)
      total(layer.hidden);
    return;
  }
  for (size_t i = 0; i < layer.outputs.size(); ++i)
    scatterRows(kTp, "rows of the sequence",
                i == 0 && isPart ? layer.hidden * 4 : layer.outputs[i]);
}

void Program::run() {
  toEach(CollectiveKind::sizes, GridStep::sizes, kWorld, "sizes", bytesOfSizes);
  gatherWeights();
  if (grid.sequenceParallel)
    for (int64_t bytes : layer.inputs)
      gatherRows(GridStep::tokens, kTp, "tokens of the sequence", bytes,
                 [&](int64_t rank) { return routing.tokens(rank); });
  lookAtAll();
  if (grid.expertsOn == ExpertsOn::ep)
    exchange();
  sum();
}

std::vector<Traffic> moe::exactBytes(const GridLayer &layer,
                                     const RankGrid &grid,
                                     const Routing &routing, int64_t rank) {
  Program program(layer, grid, routing, rank);
  program.run();
  return std::move(program.traffic);
}
