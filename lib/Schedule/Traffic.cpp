//===- Traffic.cpp - What ranks send each other ---------------------------===//
//
// Part of moe-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "moe/Schedule/Traffic.h"

#include <algorithm>
#include <cmath>

using namespace moe;

// What the runtime sends besides the payload.
static constexpr int64_t bytesOfSizes = 24; // program, function, tokens
static constexpr int64_t bytesOfRows = 8;   // how many a member has
static constexpr int64_t bytesOfCount = 4;  // rows of one place

//===----------------------------------------------------------------------===//
// Ranks
//===----------------------------------------------------------------------===//

/// The axes are neighbours, so that the ranks are a stride apart.
RankGroup::RankGroup(const RankGrid &grid, Axes axes, int64_t rank)
    : stride(axes & kTp   ? 1
             : axes & kEp ? grid.tp
                          : grid.ep * grid.tp),
      size((axes & kDp ? grid.dp : 1) * (axes & kEp ? grid.ep : 1) *
           (axes & kTp ? grid.tp : 1)) {
  self = rank / stride % size;
  base = rank - self * stride;
}

std::pair<int64_t, int64_t> RankGroup::onNode(int64_t nodeRanks) const {
  if (nodeRanks == 0)
    return {0, size};
  int64_t node = rank(self) / nodeRanks * nodeRanks;
  auto atLeast = [&](int64_t rank) {
    return rank <= base ? 0 : (rank - base + stride - 1) / stride;
  };
  return {atLeast(node), std::min(size, atLeast(node + nodeRanks))};
}

bool moe::hasLevels(const RankGrid &grid) {
  int64_t node = grid.nodeRanks, group = grid.ep * grid.tp;
  return node > grid.tp && node % grid.tp == 0 && group > node &&
         group % node == 0;
}

/// The first have one more.
static int64_t evenShare(int64_t total, int64_t parts, int64_t part) {
  return total / parts + (part < total % parts ? 1 : 0);
}

int64_t UniformRouting::tokens(int64_t rank) const {
  return evenShare(total, tokenRanks(),
                   grid.sequenceParallel ? rank : rank / grid.tp);
}

int64_t UniformRouting::groupTokens() const {
  int64_t ranks = tokenRanks(), first = ranks / grid.dp;
  return total / ranks * first + std::min(first, total % ranks);
}

int64_t UniformRouting::rows(int64_t rank, int64_t member) const {
  RankGroup group(grid, kEp, rank);
  double rows = double(routedTokens(grid, *this, rank)) * rowsPerToken;
  // Whom the odd rows go to differs from sender to sender.
  int64_t part = (member - group.self + group.size) % group.size;
  return evenShare(std::llround(rows), group.size, part);
}

int64_t moe::routedTokens(const RankGrid &grid, const Routing &routing,
                          int64_t rank) {
  if (!grid.sequenceParallel)
    return routing.tokens(rank);
  RankGroup group(grid, kTp, rank);
  int64_t tokens = 0;
  for (int64_t member = 0; member < group.size; ++member)
    tokens += routing.tokens(group.rank(member));
  return tokens;
}

//===----------------------------------------------------------------------===//
// Weights
//===----------------------------------------------------------------------===//

int64_t moe::sharedParts(const RankGrid &grid, int64_t intermediate) {
  return intermediate % grid.tp == 0 ? grid.tp : 1;
}

static int64_t partsOf(const RankGrid &grid, const GridWeight &weight) {
  if (weight.split == GridWeight::Split::none)
    return 1;
  return weight.of == GridWeight::Of::experts ? grid.expertParts()
                                              : sharedParts(grid, weight.inner);
}

bool moe::isShared(const RankGrid &grid, const GridWeight &weight) {
  int64_t first = weight.first;
  if (weight.of == GridWeight::Of::experts)
    first /= grid.places();
  else if (weight.split == GridWeight::Split::outputs)
    first /= partsOf(grid, weight);
  return grid.fsdp && grid.dp > 1 && !weight.isVector && first % grid.dp == 0;
}

int64_t moe::rankBytes(const RankGrid &grid, const GridWeight &weight,
                       bool gathered) {
  bool ofExperts = weight.of == GridWeight::Of::experts;
  int64_t bytes =
      weight.bytes / (ofExperts ? grid.places() : 1) / partsOf(grid, weight);
  return isShared(grid, weight) && !gathered ? bytes / grid.dp : bytes;
}

//===----------------------------------------------------------------------===//
// Collectives
//===----------------------------------------------------------------------===//

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
  template <typename Bytes>
  void sendDirectly(Traffic &traffic, const RankGroup &group,
                    Bytes bytes) const;
  template <typename Bytes>
  void passAround(Traffic &traffic, const RankGroup &group, Bytes bytes) const;
  template <typename Bytes>
  void forward(Traffic &traffic, const RankGroup &group, Bytes bytes) const;
  void learnSizes(Traffic &traffic, const RankGroup &group) const;
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
  constexpr int64_t elementBytes = 4;
  int64_t slice = (elements + group.size - 1) / group.size;
  // Of the slices of members before this one.
  auto before = [&](int64_t member) {
    return std::min(elements, member * slice) * elementBytes;
  };
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
  auto bytes = [&](int64_t from, int64_t to) {
    return rows(from, to) * rowBytes;
  };
  auto [first, last] = group.onNode(grid.nodeRanks);
  if (grid.exchange == Exchange::ring)
    passAround(one, group, bytes);
  else if (grid.exchange == Exchange::hierarchical && last - first < group.size)
    forward(one, group, bytes);
  else
    sendDirectly(one, group, bytes);
}

template <typename Bytes>
void Program::sendDirectly(Traffic &traffic, const RankGroup &group,
                           Bytes bytes) const {
  auto [first, last] = group.onNode(grid.nodeRanks);
  int64_t filled = 0;
  for (int64_t member = 0; member < group.size; ++member) {
    if (member == group.self)
      continue;
    int64_t sent = bytes(group.self, member);
    filled += sent > 0 ? 1 : 0;
    traffic.sent += sent;
    traffic.sentOnNode += member >= first && member < last ? sent : 0;
    traffic.received += bytes(member, group.self);
  }
  bool alone = grid.exchange == Exchange::point_to_point;
  traffic.messages = alone ? filled : group.size - 1;
  traffic.rounds = alone ? group.size - 1 : 1;
}

/// All members learn the sizes between all pairs.
void Program::learnSizes(Traffic &traffic, const RankGroup &group) const {
  auto [first, last] = group.onNode(grid.nodeRanks);
  int64_t row = bytesOfRows * group.size;
  traffic.sent += row * (group.size - 1);
  traffic.received += row * (group.size - 1);
  traffic.sentOnNode += row * (last - first - 1);
  traffic.messages += group.size - 1;
  ++traffic.rounds;
}

/// To the next member what is not yet where it goes, step by step.
template <typename Bytes>
void Program::passAround(Traffic &traffic, const RankGroup &group,
                         Bytes bytes) const {
  int64_t n = group.size, self = group.self, sent = 0;
  // What is left in a step of what began at `origin`.
  auto left = [&](int64_t origin, int64_t step) {
    int64_t total = 0;
    for (int64_t i = step; i < n; ++i)
      total += bytes(origin, (origin + i) % n);
    return total;
  };
  for (int64_t step = 1; step < n; ++step) {
    sent += left((self + n - step + 1) % n, step);
    traffic.received += left((self + n - step) % n, step);
  }
  auto [first, last] = group.onNode(grid.nodeRanks);
  int64_t next = (self + 1) % n;
  traffic.sent += sent;
  traffic.sentOnNode += next >= first && next < last ? sent : 0;
  traffic.messages += n - 1;
  traffic.rounds = n - 1;
  learnSizes(traffic, group);
}

/// First within a node to the member that forwards to the receiver: the one
/// with its place, counted round and round where nodes are not alike.
template <typename Bytes>
void Program::forward(Traffic &traffic, const RankGroup &group,
                      Bytes bytes) const {
  int64_t n = group.size, self = group.self;
  struct Node {
    int64_t first, last;
  };
  auto nodeOf = [&](int64_t member) {
    RankGroup at = group;
    at.self = member;
    auto [first, last] = at.onNode(grid.nodeRanks);
    return Node{first, last};
  };
  auto forwarder = [&](const Node &node, int64_t to) {
    return node.first + (to - nodeOf(to).first) % (node.last - node.first);
  };
  Node here = nodeOf(self);
  auto isHere = [&](int64_t member) {
    return member >= here.first && member < here.last;
  };
  int64_t within = 0, across = 0, others = 0;
  for (int64_t to = 0; to < n; ++to) {
    if (forwarder(here, to) != self) {
      within += bytes(self, to);
      continue;
    }
    for (int64_t from = here.first; from < here.last; ++from) {
      across += isHere(to) ? 0 : bytes(from, to);
      traffic.received += from == self ? 0 : bytes(from, to);
    }
  }
  for (int64_t from = 0; from < n; from = nodeOf(from).last)
    others += isHere(from) ? 0 : 1;
  for (int64_t from = 0; from < n; ++from)
    traffic.received += isHere(from) ? 0 : bytes(from, self);
  traffic.sent += within + across;
  traffic.sentOnNode += within;
  traffic.messages += here.last - here.first - 1 + others;
  learnSizes(traffic, group);
}

void Program::gatherWeights() {
  for (const GridWeight &weight : layer.weights)
    if (isShared(grid, weight))
      toEach(CollectiveKind::all_gather, GridStep::weights, kDp, weight.name,
             rankBytes(grid, weight, /*gathered=*/false));
}

/// Losses see the tokens of all, and statistics their counts.
void Program::lookAtAll() {
  auto tokens = [&](int64_t rank) { return routedTokens(grid, routing, rank); };
  int64_t scores = layer.experts + layer.nullExperts;
  if (layer.hasLosses) {
    gatherRows(GridStep::router, kDpEp, "logits", scores * 4, tokens);
    gatherRows(GridStep::router, kDpEp, "indices", layer.slots * 4, tokens);
  }
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
  exchangeRows(GridStep::dispatch, "rows to experts",
               layer.width * layer.rowBytes, rows);
  exchangeRows(GridStep::back, "results to tokens", layer.width * 4,
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
  if (layer.addsTokens)
    total(layer.slots * layer.width);
  else if (layer.latent)
    total(layer.width);
  bool isPart = !layer.addsTokens && !layer.latent;
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

//===----------------------------------------------------------------------===//
// Names
//===----------------------------------------------------------------------===//

std::string_view moe::name(CollectiveKind kind) {
  constexpr std::string_view names[] = {"sizes",      "all_gather",
                                        "all_to_all", "all_to_all_v",
                                        "all_reduce", "reduce_scatter"};
  return names[int(kind)];
}

std::string moe::name(Axes axes) {
  std::string text;
  for (auto [axis, name] :
       {std::pair{kDp, "dp"}, std::pair{kEp, "ep"}, std::pair{kTp, "tp"}})
    if (axes & axis)
      text += (text.empty() ? "" : ",") + std::string(name);
  return text;
}

std::string_view moe::name(Exchange exchange) {
  constexpr std::string_view names[] = {"all_to_all", "point_to_point",
                                        "hierarchical", "ring"};
  return names[int(exchange)];
}
