//===- RowExchange.cpp - Rows from member to member -----------------------===//
//
// Part of moe-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "RowExchange.h"

using namespace moe;

namespace {

/// One rank's part in an exchange.
class Rows {
public:
  Rows(Traffic &traffic, const RankGrid &grid, const RankGroup &group,
       const BytesBetween &bytes)
      : traffic(traffic), grid(grid), group(group), bytes(bytes) {}

  void sendDirectly();
  void passAround();
  void forward();

private:
  Traffic &traffic;
  const RankGrid &grid;
  const RankGroup &group;
  const BytesBetween &bytes;

  void learnSizes();
};

} // namespace

void Rows::sendDirectly() {
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
void Rows::learnSizes() {
  auto [first, last] = group.onNode(grid.nodeRanks);
  int64_t row = bytesOfRows * group.size;
  traffic.sent += row * (group.size - 1);
  traffic.received += row * (group.size - 1);
  traffic.sentOnNode += row * (last - first - 1);
  traffic.messages += group.size - 1;
  ++traffic.rounds;
}

/// To the next member what is not yet where it goes, step by step.
void Rows::passAround() {
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
  learnSizes();
}

/// First within a node to the member that forwards to the receiver: the one
/// with its place, counted round and round where nodes are not alike.
void Rows::forward() {
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
  learnSizes();
}

void moe::countRows(Traffic &traffic, const RankGrid &grid,
                    const RankGroup &group, const BytesBetween &bytes) {
  auto [first, last] = group.onNode(grid.nodeRanks);
  bool isOneNode = last - first == group.size;
  Rows rows(traffic, grid, group, bytes);
  if (grid.exchange == Exchange::ring)
    rows.passAround();
  else if (grid.exchange == Exchange::hierarchical && !isOneNode)
    rows.forward();
  else
    rows.sendDirectly();
}
