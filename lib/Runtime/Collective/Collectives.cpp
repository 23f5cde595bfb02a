//===- Collectives.cpp - What members of a group do together --------------===//
//
// Part of moe-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
// Sums, gathers and what is between two; AllToAll.cpp has the patterns.
//
//===----------------------------------------------------------------------===//

#include "Collectives.h"
#include "Reduce.h"

#include <algorithm>

namespace moe::runtime {

static moe_piece piece(const void *data, uint64_t size) {
  return {const_cast<void *>(data), size};
}

static const char *at(const void *base, uint64_t offset) {
  return static_cast<const char *>(base) + offset;
}

void layOut(std::vector<moe_piece> &pieces, const void *base,
            const std::vector<int64_t> &sizes) {
  uint64_t offset = 0;
  pieces.resize(sizes.size());
  for (size_t i = 0; i < sizes.size(); ++i) {
    pieces[i] = piece(at(base, offset), static_cast<uint64_t>(sizes[i]));
    offset += pieces[i].bytes;
  }
}

/// One number of each member.
static const std::vector<int64_t> &gatherNumbers(const Context &context,
                                                 int64_t own) {
  size_t members = context.group.ranks.size();
  std::vector<int64_t> &all = context.world.numbers[2];
  auto &send = context.world.pieces[0], &receive = context.world.pieces[1];
  all.assign(members, 0);
  send.assign(members, piece(&own, sizeof own));
  receive.resize(members);
  for (size_t i = 0; i < members; ++i)
    receive[i] = piece(&all[i], sizeof own);
  context.moveNumbers(send, receive);
  return all;
}

/// The bytes of each member's rows.
static const std::vector<int64_t> &
sizesOf(const Context &context, const RowShares &shares, int64_t rowBytes) {
  std::vector<int64_t> &sizes = context.world.numbers[3];
  int64_t members = context.group.size();
  if (!shares.even) {
    bool isKnown = shares.known && !shares.known->empty();
    sizes = isKnown ? *shares.known : gatherNumbers(context, shares.rows);
    if (shares.known)
      *shares.known = sizes;
  } else {
    int64_t most = (shares.rows + members - 1) / members;
    sizes.clear();
    for (int64_t i = 0; i < members; ++i)
      sizes.push_back(std::clamp<int64_t>(shares.rows - i * most, 0, most));
  }
  for (int64_t &size : sizes)
    size *= rowBytes;
  return sizes;
}

/// Each member adds up a slice, rounds it and gives it to the others.
static void allReduceBySlices(const Context &context, moe_reduction reduce,
                              moe_element dtype, const void *send,
                              void *receive, uint64_t size) {
  Group &group = context.group;
  size_t members = group.ranks.size();
  auto &out = context.world.pieces[0], &in = context.world.pieces[1];
  uint64_t each = sliceBytes(size, group.size());
  auto begin = [&](size_t i) { return std::min(size, i * each); };
  size_t self = static_cast<size_t>(group.self);
  uint64_t own = begin(self + 1) - begin(self);
  context.world.scratch[0].ensure(static_cast<int64_t>(own * members));
  char *parts = static_cast<char *>(context.world.scratch[0].data());
  out.resize(members);
  in.resize(members);
  for (size_t i = 0; i < members; ++i) {
    out[i] = piece(at(send, begin(i)), begin(i + 1) - begin(i));
    in[i] = piece(parts + i * own, own);
  }
  out[self].bytes = in[self].bytes = 0;
  context.move(out, in);
  char *result = static_cast<char *>(receive) + begin(self);
  reduceInOrder(
      reduce, dtype, group.size(),
      [&](int32_t i) {
        return i == group.self ? at(send, begin(self))
                               : parts + static_cast<size_t>(i) * own;
      },
      1, [&](int32_t) { return result; }, own);
  for (size_t i = 0; i < members; ++i) {
    out[i] = piece(result, own);
    in[i] = piece(at(receive, begin(i)), begin(i + 1) - begin(i));
  }
  out[self].bytes = in[self].bytes = 0;
  context.move(out, in);
}

void allReduce(const Context &context, moe_reduction reduce, moe_element dtype,
               const void *send, void *receive, int64_t count) {
  int64_t size = count * bytes(dtype);
  if (context.group.size() == 1)
    return context.space.copy(receive, send, size);
  if (!context.world.reduces())
    return allReduceBySlices(context, reduce, dtype, send, receive,
                             static_cast<uint64_t>(size));
  moe_piece from = piece(send, static_cast<uint64_t>(size));
  moe_piece to = piece(receive, static_cast<uint64_t>(size));
  context.world.move(context.operation, context.group, &from, &to, reduce,
                     dtype);
}

void reduceScatter(const Context &context, moe_reduction reduce,
                   moe_element dtype, const void *send, void *receive,
                   const RowShares &shares, int64_t row) {
  Group &group = context.group;
  int64_t rowBytes = row * bytes(dtype);
  if (group.size() == 1)
    return context.space.copy(receive, send, shares.rows * rowBytes);
  const std::vector<int64_t> &sizes = sizesOf(context, shares, rowBytes);
  auto &out = context.world.pieces[0], &in = context.world.pieces[1];
  layOut(out, send, sizes);
  size_t self = static_cast<size_t>(group.self);
  const char *mine = static_cast<const char *>(out[self].data);
  uint64_t own = out[self].bytes;
  char *parts = reduce ? context.space.scratch(0, int64_t(own) * group.size())
                       : static_cast<char *>(receive);
  in.resize(sizes.size());
  for (size_t i = 0; i < sizes.size(); ++i)
    in[i] = piece(parts + i * own, own);
  if (!reduce)
    return context.move(out, in);
  out[self].bytes = in[self].bytes = 0;
  context.move(out, in);
  reduceInOrder(
      reduce, dtype, group.size(),
      [&](int32_t i) {
        return i == group.self ? mine : parts + static_cast<size_t>(i) * own;
      },
      1, [&](int32_t) { return static_cast<char *>(receive); }, own);
}

void allGather(const Context &context, const void *send, void *receive,
               const RowShares &shares, int64_t rowBytes) {
  if (context.group.size() == 1)
    return context.space.copy(receive, send, shares.rows * rowBytes);
  const std::vector<int64_t> &sizes = sizesOf(context, shares, rowBytes);
  auto &out = context.world.pieces[0], &in = context.world.pieces[1];
  size_t self = static_cast<size_t>(context.group.self);
  out.assign(sizes.size(), piece(send, static_cast<uint64_t>(sizes[self])));
  layOut(in, receive, sizes);
  context.move(out, in);
}

void broadcast(const Context &context, int32_t root, const void *send,
               void *receive, int64_t size) {
  Group &group = context.group;
  if (group.self == root)
    context.space.copy(receive, send, size);
  if (group.size() == 1)
    return;
  auto &out = context.world.pieces[0], &in = context.world.pieces[1];
  moe_piece all = piece(send, static_cast<uint64_t>(size));
  out.assign(group.ranks.size(), group.self == root ? all : moe_piece{});
  in.assign(group.ranks.size(), moe_piece{});
  if (group.self == root)
    out[static_cast<size_t>(root)] = {};
  else
    in[static_cast<size_t>(root)] = piece(receive, all.bytes);
  context.move(out, in);
}

static void moveOne(const Context &pair, moe_piece outgoing,
                    moe_piece incoming) {
  auto &out = pair.world.pieces[0], &in = pair.world.pieces[1];
  size_t other = pair.group.self ? 0 : 1;
  out.assign(2, moe_piece{});
  in.assign(2, moe_piece{});
  out[other] = outgoing;
  in[other] = incoming;
  pair.move(out, in);
}

void send(const Context &pair, const void *data, int64_t size) {
  moveOne(pair, piece(data, static_cast<uint64_t>(size)), {});
}

void receive(const Context &pair, void *data, int64_t size) {
  moveOne(pair, {}, piece(data, static_cast<uint64_t>(size)));
}

void barrier(const Context &context) {
  size_t members = context.group.ranks.size();
  if (members == 1)
    return;
  auto &out = context.world.pieces[0], &in = context.world.pieces[1];
  context.world.scratch[0].ensure(static_cast<int64_t>(members + 1));
  char *memory = static_cast<char *>(context.world.scratch[0].data());
  memory[members] = 0;
  out.assign(members, piece(memory + members, 1));
  in.resize(members);
  for (size_t i = 0; i < members; ++i)
    in[i] = piece(memory + i, 1);
  context.moveNumbers(out, in);
}

} // namespace moe::runtime
