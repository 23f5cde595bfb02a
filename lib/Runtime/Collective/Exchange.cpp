//===- Exchange.cpp - The exchange of generated code ----------------------===//
//
// Part of moe-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
// From a number and pointers to a collective.
//
//===----------------------------------------------------------------------===//

#include "Exchange.h"
#include "../Status.h"
#include "Collectives.h"

#include "moe/Runtime/Package.h"

#include <algorithm>
#include <numeric>

namespace moe::runtime {

static bool isBetweenTwo(CollectiveKind kind) {
  return kind == CollectiveKind::send || kind == CollectiveKind::recv;
}

static uint64_t hash(uint64_t seed, std::string_view text) {
  for (unsigned char c : text)
    seed = (seed ^ c) * 0x100000001b3;
  return seed;
}

/// Equal where members are at the same collective.
static uint64_t tagOf(const Collective &collective, std::string_view what) {
  // Both ends have names of their own.
  if (isBetweenTwo(collective.kind))
    return hash(0xcbf29ce484222325, text("pair ", name(collective.dtype)));
  return hash(0xcbf29ce484222325,
              text(what, ' ', name(collective.dtype), ' ', collective.row, ' ',
                   name(collective.reduce), ' ', collective.root, ' ',
                   name(collective.pattern), ' ', name(collective.mode), ' ',
                   collective.places, ' ', collective.first, ' ',
                   collective.end, ' ', collective.even, ' ',
                   collective.packed));
}

void checkGrid(const moe_world &world, const Grid &grid) {
  if (grid.dp < 1 || grid.ep < 1 || grid.tp < 1 || grid.size() != world.size())
    fail(MOE_INVALID_ARGUMENT, "the grid dp = ", grid.dp, ", ep = ", grid.ep,
         ", tp = ", grid.tp, " has ", grid.size(), " ranks, the world has ",
         world.size());
}

/// The runtime has no arithmetic for a device.
static void checkForDevice(const Collective &collective, size_t number) {
  auto refuse = [&](const char *what) {
    fail(MOE_INVALID_ARGUMENT, "collective ", number, " '", collective.name,
         "': expected code for the device to ", what);
  };
  if (collective.reduce)
    refuse("add");
  if (collective.mode == Mode::padded && !collective.packed)
    refuse("pad rows");
}

Exchange::Exchange(moe_world &world, const Grid &grid,
                   std::vector<Collective> table, Space *given)
    : world(world), host(world), space(given ? *given : host) {
  checkGrid(world, grid);
  for (int32_t axes = 1; axes <= allAxes; ++axes)
    members[axes] = world.group(grid, axes).self;
  entries.reserve(table.size());
  for (Collective &collective : table) {
    Entry entry;
    entry.collective = std::move(collective);
    entry.group = &world.group(grid, entry.collective.axes & allAxes);
    check(entry.collective, entries.size(), entry.group->size());
    if (space.isOfDevice())
      checkForDevice(entry.collective, entries.size());
    entries.push_back(std::move(entry));
  }
  // From here on entries stay where they are.
  for (Entry &entry : entries)
    describe(entry);
}

Exchange::~Exchange() {
  for (const Entry &entry : entries)
    if (entry.chunk.isUnderWay())
      guard([&] {
        world.end(MOE_ABORTED,
                  world.where(entry.operation) + ": nobody has waited for it");
      });
  abandonChunks();
}

void Exchange::describe(Entry &entry) {
  const Collective &collective = entry.collective;
  entry.what = name(collective.kind);
  if (!collective.name.empty())
    entry.what += " '" + collective.name + "'";
  entry.what += " over " + describeAxes(collective.axes);
  entry.bound = collective.bound;
  entry.room = collective.room;
  entry.operation.kind = name(collective.kind);
  entry.operation.name = collective.name.c_str();
  entry.operation.axes = collective.axes;
  entry.operation.what = entry.what.c_str();
  entry.operation.tag = tagOf(collective, entry.what);
  if (!isBetweenTwo(collective.kind) || collective.peer == entry.group->self)
    return;
  int32_t self = world.rank(), other = entry.group->ranks[collective.peer];
  entry.pair = &world.groupOf({std::min(self, other), std::max(self, other)});
}

std::string Exchange::neededOnHost() const {
  for (const Entry &entry : entries) {
    const Collective &collective = entry.collective;
    if (collective.kind == CollectiveKind::barrier ||
        (collective.kind == CollectiveKind::allToAllV && !collective.packed))
      return entry.what;
  }
  return "";
}

void Exchange::begin(const int64_t *sizes, const std::vector<int64_t> *tokens) {
  world.check();
  if (!tokens || *tokens != lastTokens)
    for (Entry &entry : entries)
      entry.rows.clear();
  lastTokens = tokens ? *tokens : std::vector<int64_t>();
  auto scale = [&](const Entry &entry, int64_t factor, int size, int64_t &to) {
    if (size >= 0 && __builtin_mul_overflow(factor, sizes[size], &to))
      fail(MOE_SHAPE_MISMATCH, entry.what, ": the bound ", factor, " * ",
           sizes[size], " overflows");
  };
  for (Entry &entry : entries) {
    const Collective &collective = entry.collective;
    scale(entry, collective.bound, collective.boundSize, entry.bound);
    scale(entry, collective.room, collective.roomSize, entry.room);
  }
}

void Exchange::end() {
  // A function may end between a start and its wait, and does so on all ranks.
  for (size_t i = 0; i < entries.size(); ++i)
    if (entries[i].chunk.isUnderWay())
      wait(static_cast<int32_t>(i));
  if (status)
    world.throwFailure();
}

/// The bytes for each member out of `places` counts of rows for each.
static void addCounts(const Context &context, std::vector<int64_t> &sizes,
                      const int32_t *counts, int64_t places, int64_t rowBytes) {
  int32_t members = context.group.size();
  sizes.assign(static_cast<size_t>(members), 0);
  for (int32_t i = 0; i < members; ++i) {
    for (int64_t place = 0; place < places; ++place) {
      int32_t count = counts[i * places + place];
      if (count < 0)
        context.mismatch("found a count of ", count, " rows");
      sizes[static_cast<size_t>(i)] += count * rowBytes;
    }
  }
}

static void allToAllRows(const Context &context, const Collective &collective,
                         int64_t bound, int64_t room, const void *send,
                         void *receive, int64_t rows, const int32_t *sendCounts,
                         const int32_t *receiveCounts) {
  moe_world &world = context.world;
  int64_t rowBytes = collective.row * bytes(collective.dtype);
  std::vector<int64_t> &sent = world.numbers[0], &received = world.numbers[1];
  addCounts(context, sent, sendCounts, collective.places, rowBytes);
  addCounts(context, received, receiveCounts, collective.places, rowBytes);
  auto rowsOf = [&](const std::vector<int64_t> &sizes) {
    return std::accumulate(sizes.begin(), sizes.end(), int64_t(0)) / rowBytes;
  };
  if (rowsOf(sent) > rows)
    context.mismatch("counts say ", rowsOf(sent), " rows, there are ", rows);
  // Those are counts of other ranks.
  if (room >= 0 && rowsOf(received) > room)
    context.mismatch("counts say that ", rowsOf(received),
                     " rows come, there is room for ", room);
  Traffic traffic{send, receive, sent, received};
  if (collective.mode == Mode::padded)
    allToAllPadded(context, collective.pattern, traffic, bound * rowBytes);
  else
    allToAllV(context, collective.pattern, traffic);
}

void Exchange::moveRows(Entry &entry, const Context &context, const void *send,
                        void *receive, int64_t rows, const int32_t *sendCounts,
                        const int32_t *receiveCounts) {
  const Collective &collective = entry.collective;
  if (collective.packed)
    return allToAll(context, collective.pattern, send, receive,
                    entry.bound * collective.row * bytes(collective.dtype));
  requireSet(sendCounts, "send_counts");
  requireSet(receiveCounts, "receive_counts");
  size_t many = entry.group->ranks.size() * size_t(collective.places);
  allToAllRows(context, collective, entry.bound, entry.room, send, receive,
               rows, space.read(sendCounts, many, counts[0]),
               space.read(receiveCounts, many, counts[1]));
}

void Exchange::dispatch(Entry &entry, const void *send, void *receive,
                        int64_t rows, const int32_t *sendCounts,
                        const int32_t *receiveCounts) {
  const Collective &collective = entry.collective;
  Context context = contextOf(entry);
  int64_t rowBytes = collective.row * bytes(collective.dtype);
  if (rows < 0)
    context.mismatch("found ", rows, " rows");
  switch (collective.kind) {
  case CollectiveKind::allReduce:
    return allReduce(context, collective.reduce, collective.dtype, send,
                     receive, rows * collective.row);
  case CollectiveKind::reduceScatter:
    return reduceScatter(context, collective.reduce, collective.dtype, send,
                         receive, {rows, collective.even, &entry.rows},
                         collective.row);
  case CollectiveKind::allGather:
    return allGather(context, send, receive,
                     {rows, collective.even, &entry.rows}, rowBytes);
  case CollectiveKind::broadcast:
    return broadcast(context, collective.root, send, receive, rows * rowBytes);
  case CollectiveKind::allToAll:
    if (rows % entry.group->size())
      context.mismatch("found ", rows, " rows, expected a multiple of ",
                       entry.group->size());
    return allToAll(context, collective.pattern, send, receive,
                    rows / entry.group->size() * rowBytes);
  case CollectiveKind::allToAllV:
    return moveRows(entry, context, send, receive, rows, sendCounts,
                    receiveCounts);
  case CollectiveKind::send:
  case CollectiveKind::recv: {
    if (!entry.pair)
      context.mismatch("the peer is the rank itself");
    Context pair{world, entry.operation, *entry.pair, space};
    return collective.kind == CollectiveKind::send
               ? runtime::send(pair, send, rows * rowBytes)
               : runtime::receive(pair, receive, rows * rowBytes);
  }
  case CollectiveKind::barrier:
    return barrier(context);
  }
}

void Exchange::abandonChunks() noexcept {
  for (Entry &entry : entries)
    if (entry.chunk.isUnderWay())
      entry.chunk.abandon(contextOf(entry));
}

template <typename Body>
moe_status Exchange::attempt(int32_t number, bool isChunk,
                             const Body &body) noexcept {
  if (status)
    return status;
  status = guard([&] {
    if (number < 0 || static_cast<size_t>(number) >= entries.size())
      fail(MOE_INVALID_ARGUMENT, "there is no collective ", number);
    Entry &entry = entries[static_cast<size_t>(number)];
    if (entry.collective.isChunk() != isChunk)
      fail(MOE_INVALID_ARGUMENT, world.where(entry.operation),
           isChunk ? ": it is not started and waited for"
                   : ": it is started and waited for");
    body(entry);
  });
  if (!status)
    return status;
  // Others must not wait for a call that did not come to be.
  if (!world.failure())
    world.end(status, moe_last_error());
  abandonChunks();
  return status;
}

moe_status Exchange::run(int32_t number, const void *send, void *receive,
                         int64_t rows, const int32_t *sendCounts,
                         const int32_t *receiveCounts) noexcept {
  return attempt(number, /*isChunk=*/false, [&](Entry &entry) {
    world.operate(entry.operation, [&] {
      dispatch(entry, send, receive, rows, sendCounts, receiveCounts);
    });
  });
}

moe_status Exchange::start(int32_t number, const ChunkRows &rows) noexcept {
  return attempt(number, /*isChunk=*/true, [&](Entry &entry) {
    if (entry.chunk.isUnderWay())
      fail(MOE_INVALID_ARGUMENT, world.where(entry.operation),
           ": it is under way already");
    world.start(entry.operation, [&] {
      entry.chunk.start(contextOf(entry), entry.collective, entry.bound, rows);
    });
  });
}

moe_status Exchange::wait(int32_t number) noexcept {
  return attempt(number, /*isChunk=*/true, [&](Entry &entry) {
    if (!entry.chunk.isUnderWay())
      fail(MOE_INVALID_ARGUMENT, world.where(entry.operation),
           ": it has not been started");
    world.complete(entry.operation,
                   [&] { entry.chunk.wait(contextOf(entry)); });
  });
}

} // namespace moe::runtime

using namespace moe::runtime;

int32_t moe_collective(void *exchange, int32_t number, const void *send,
                       void *receive, int64_t rows, const int32_t *send_counts,
                       const int32_t *receive_counts) {
  return static_cast<Exchange *>(exchange)->run(number, send, receive, rows,
                                                send_counts, receive_counts);
}

int32_t moe_collective_start(void *exchange, int32_t number, const void *send,
                             void *receive, int64_t rows, int64_t room,
                             const int32_t *send_counts,
                             const int32_t *receive_counts) {
  return static_cast<Exchange *>(exchange)->start(
      number, {send, receive, rows, room, send_counts, receive_counts});
}

int32_t moe_collective_wait(void *exchange, int32_t number) {
  return static_cast<Exchange *>(exchange)->wait(number);
}

int32_t moe_member(void *exchange, int32_t axes) {
  return static_cast<const Exchange *>(exchange)->member(axes);
}
