//===- AllToAll.cpp - Pieces from all to all, in patterns -----------------===//
//
// Part of moe-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Where pieces pass through others, all members first learn the sizes between
// all pairs, and then know without a word what comes and where it goes on to.
//
//===----------------------------------------------------------------------===//

#include "Collectives.h"

#include <algorithm>

namespace moe::runtime {

namespace {
/// Members of one machine.
struct Node {
  int32_t first, count;
  bool has(int32_t member) const {
    return member >= first && member < first + count;
  }
};

/// One exchange of pieces.
class Route {
public:
  /// `uniform`: the size of all pieces, -1 where they differ.
  Route(const Context &context, const Traffic &traffic, int64_t uniform)
      : context(context), world(context.world), n(context.group.size()),
        self(context.group.self), uniform(uniform), traffic(traffic) {
    layOut(world.pieces[0], traffic.send, traffic.sent);
    layOut(world.pieces[1], traffic.receive, traffic.received);
  }

  void run(Pattern pattern);

private:
  void direct() {
    context.operation.flags = uniform >= 0 ? MOE_TRANSFER_EQUAL : 0;
    context.move(world.pieces[0], world.pieces[1]);
    context.operation.flags = 0;
  }
  void pointToPoint();
  void hierarchical();
  void ring();

  void learnSizes();
  int64_t size(int32_t from, int32_t to) const {
    return uniform >= 0 ? uniform : world.numbers[3][from * n + to];
  }
  const char *outgoing(int32_t to) const {
    return static_cast<const char *>(world.pieces[0][to].data);
  }
  char *incoming(int32_t from) const {
    return static_cast<char *>(world.pieces[1][from].data);
  }
  void copyOwn() { append(incoming(self), outgoing(self), traffic.sent[self]); }

  /// Pieces of one step, empty at first.
  void clear();
  void send(int32_t to, const char *data, int64_t bytes) {
    world.pieces[2][to] = {const_cast<char *>(data),
                           static_cast<uint64_t>(bytes)};
  }
  void receive(int32_t from, char *data, int64_t bytes) {
    world.pieces[3][from] = {data, static_cast<uint64_t>(bytes)};
  }
  void moveStep() { context.move(world.pieces[2], world.pieces[3]); }

  char *append(char *to, const char *from, int64_t bytes) {
    context.space.copy(to, from, bytes);
    return to + bytes;
  }

  Node nodeOf(int32_t member) const;
  int32_t forwarder(const Node &node, int32_t to) const;
  int64_t fromNode(const Node &node, int32_t to) const;
  int64_t through(int32_t from, const Node &node, int32_t by) const;
  void gatherInNode(const Node &node, char *out, char *in);
  void sendAcross(const Node &node, const char *in, char *out);

  int64_t bundle(int32_t origin, int32_t step) const;

  const Context &context;
  moe_world &world;
  const int32_t n, self;
  const int64_t uniform;
  const Traffic traffic;
};
} // namespace

void Route::run(Pattern pattern) {
  switch (pattern) {
  case Pattern::allToAll:
    return direct();
  case Pattern::pointToPoint:
    return pointToPoint();
  case Pattern::hierarchical:
    return hierarchical();
  case Pattern::ring:
    return ring();
  }
}

void Route::clear() {
  world.pieces[2].assign(static_cast<size_t>(n), moe_piece{});
  world.pieces[3].assign(static_cast<size_t>(n), moe_piece{});
}

/// Fills the sizes between all pairs.
void Route::learnSizes() {
  if (uniform >= 0)
    return;
  size_t members = static_cast<size_t>(n);
  std::vector<int64_t> &sizes = world.numbers[3];
  sizes.assign(members * members, 0);
  int64_t row = static_cast<int64_t>(members * sizeof(int64_t));
  auto rowOf = [&](int32_t i) {
    return reinterpret_cast<char *>(sizes.data()) + i * row;
  };
  std::copy(traffic.sent.begin(), traffic.sent.end(),
            sizes.begin() + int64_t(self) * n);
  clear();
  for (int32_t i = 0; i < n; ++i) {
    if (i == self)
      continue;
    send(i, rowOf(self), row);
    receive(i, rowOf(i), row);
  }
  context.moveNumbers(world.pieces[2], world.pieces[3]);
  for (int32_t i = 0; i < n; ++i)
    if (size(i, self) != traffic.received[i])
      context.mismatch("rank ", context.group.ranks[i], " sends ",
                       size(i, self), " bytes to rank ",
                       context.group.ranks[self], ", which expects ",
                       traffic.received[i]);
}

/// In step s to the s-th after this member, from the s-th before it.
void Route::pointToPoint() {
  copyOwn();
  for (int32_t step = 1; step < n; ++step) {
    int32_t to = (self + step) % n, from = (self + n - step) % n;
    clear();
    send(to, outgoing(to), traffic.sent[to]);
    receive(from, incoming(from), traffic.received[from]);
    moveStep();
  }
}

Node Route::nodeOf(int32_t member) const {
  const std::vector<int32_t> &ranks = context.group.ranks;
  auto machine = [&](int32_t i) { return ranks[i] / world.nodeRanks(); };
  Node node{member, 1};
  while (node.first > 0 && machine(node.first - 1) == machine(member))
    --node.first, ++node.count;
  while (node.first + node.count < n &&
         machine(node.first + node.count) == machine(member))
    ++node.count;
  return node;
}

/// The member of a node through whom pieces to `to` go.
int32_t Route::forwarder(const Node &node, int32_t to) const {
  return node.first + (to - nodeOf(to).first) % node.count;
}

/// Bytes that all of a node have for `to`.
int64_t Route::fromNode(const Node &node, int32_t to) const {
  int64_t total = 0;
  for (int32_t i = 0; i < node.count; ++i)
    total += size(node.first + i, to);
  return total;
}

/// Bytes of `from` that go through `by`, of the same node.
int64_t Route::through(int32_t from, const Node &node, int32_t by) const {
  int64_t total = 0;
  for (int32_t to = 0; to < n; ++to)
    if (forwarder(node, to) == by)
      total += size(from, to);
  return total;
}

/// Within a node: everyone gives each other member what goes through that one.
void Route::gatherInNode(const Node &node, char *out, char *in) {
  clear();
  for (int32_t by = node.first; by < node.first + node.count; ++by) {
    if (by == self)
      continue;
    char *begin = out;
    for (int32_t to = 0; to < n; ++to)
      if (forwarder(node, to) == by)
        out = append(out, outgoing(to), traffic.sent[to]);
    send(by, begin, out - begin);
    int64_t bytes = through(by, node, self);
    receive(by, in, bytes);
    in += bytes;
  }
  moveStep();
}

/// Across nodes: what this member forwards, by destination and then by sender;
/// it arrives as it lies there.
void Route::sendAcross(const Node &node, const char *in, char *out) {
  clear();
  for (int32_t to = 0; to < n; ++to) {
    if (node.has(to) || forwarder(node, to) != self)
      continue;
    send(to, out, fromNode(node, to));
    out += fromNode(node, to);
  }
  for (int32_t from = node.first; from < node.first + node.count; ++from)
    for (int32_t to = 0; to < n; ++to) {
      if (forwarder(node, to) != self)
        continue;
      const char *data = from == self ? outgoing(to) : in;
      if (to == self) {
        append(incoming(from), data, size(from, to));
      } else {
        char *place = static_cast<char *>(world.pieces[2][to].data);
        append(place + fromNode({node.first, from - node.first}, to), data,
               size(from, to));
      }
      if (from != self)
        in += size(from, to);
    }
  for (int32_t from = 0; from < n;) {
    Node other = nodeOf(from);
    if (!node.has(from))
      receive(forwarder(other, self), incoming(from), fromNode(other, self));
    from = other.first + other.count;
  }
  moveStep();
}

void Route::hierarchical() {
  Node node = nodeOf(self);
  if (node.count == n)
    return direct();
  learnSizes();
  int64_t out = 0, in = 0, on = 0;
  for (int32_t i = 0; i < n; ++i) {
    out += traffic.sent[i];
    if (node.has(i))
      in += through(i, node, self);
    else if (forwarder(node, i) == self)
      on += fromNode(node, i);
  }
  char *memory = context.space.scratch(2, std::max(out, on) + in);
  gatherInNode(node, memory, memory + std::max(out, on));
  sendAcross(node, memory + std::max(out, on), memory);
}

/// Bytes that a member sends in a step: what is left of what began at `origin`.
int64_t Route::bundle(int32_t origin, int32_t step) const {
  int64_t total = 0;
  for (int32_t i = step; i < n; ++i)
    total += size(origin, (origin + i) % n);
  return total;
}

/// To the next member what is not yet where it goes, nearest first. Each takes
/// the first piece of what comes and sends on the rest.
void Route::ring() {
  copyOwn();
  learnSizes();
  int64_t most = 0;
  for (int32_t origin = 0; origin < n; ++origin)
    most = std::max(most, bundle(origin, 1));
  char *memory = context.space.scratch(2, 2 * most);
  char *end = memory;
  for (int32_t i = 1; i < n; ++i)
    end = append(end, outgoing((self + i) % n), traffic.sent[(self + i) % n]);
  const char *here = memory;
  for (int32_t step = 1; step < n; ++step) {
    char *coming = memory + (step % 2) * most;
    int32_t left = (self + n - 1) % n, origin = (self + n - step) % n;
    clear();
    send((self + 1) % n, here, bundle((origin + 1) % n, step));
    receive(left, coming, bundle(origin, step));
    moveStep();
    here = coming + size(origin, self);
    append(incoming(origin), coming, size(origin, self));
  }
}

void allToAllV(const Context &context, Pattern pattern,
               const Traffic &traffic) {
  Route route(context, traffic, -1);
  if (context.group.size() == 1)
    pattern = Pattern::pointToPoint; // which is a copy
  route.run(pattern);
}

void allToAll(const Context &context, Pattern pattern, const void *send,
              void *receive, int64_t size) {
  std::vector<int64_t> &sizes = context.world.numbers[2];
  sizes.assign(context.group.ranks.size(), size);
  Route route(context, {send, receive, sizes, sizes}, size);
  if (context.group.size() == 1)
    pattern = Pattern::pointToPoint;
  route.run(pattern);
}

void allToAllPadded(const Context &context, Pattern pattern,
                    const Traffic &traffic, int64_t bound) {
  const Group &group = context.group;
  auto check = [&](int64_t size, const char *verb, int32_t member) {
    if (size > bound)
      context.mismatch("rank ", group.ranks[group.self], verb,
                       group.ranks[member], ' ', size,
                       " bytes, expected at most ", bound);
  };
  int32_t n = group.size();
  for (int32_t i = 0; i < n; ++i) {
    check(traffic.sent[i], " sends rank ", i);
    check(traffic.received[i], " expects from rank ", i);
  }
  Space &space = context.space;
  char *out = space.scratch(0, n * bound), *in = space.scratch(1, n * bound);
  const char *from = static_cast<const char *>(traffic.send);
  for (int32_t i = 0; i < n; ++i) {
    char *to = out + i * bound;
    space.copy(to, from, traffic.sent[i]);
    space.clear(to + traffic.sent[i], bound - traffic.sent[i]);
    from += traffic.sent[i];
  }
  allToAll(context, pattern, out, in, bound);
  char *to = static_cast<char *>(traffic.receive);
  for (int32_t i = 0; i < n; ++i) {
    space.copy(to, in + i * bound, traffic.received[i]);
    to += traffic.received[i];
  }
}

} // namespace moe::runtime
