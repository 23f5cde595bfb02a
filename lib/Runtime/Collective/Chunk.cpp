//===- Chunk.cpp - Rows of some places on their way -----------------------===//
//
// Part of moe-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
// All of a chunk moves in one exchange, so that starting it starts everything.
//
//===----------------------------------------------------------------------===//

#include "Chunk.h"

#include <cstring>

namespace moe::runtime {

static void copy(const moe_piece &to, const moe_piece &from, uint64_t bytes) {
  if (bytes)
    std::memcpy(to.data, from.data, bytes);
}

/// Rows of the chunk for each member. Returns how many rows `base` must have.
static int64_t findPieces(const Context &context, const Collective &collective,
                          std::vector<moe_piece> &pieces, const void *base,
                          const int32_t *counts, bool isWhole) {
  int64_t rowBytes = collective.row * bytes(collective.dtype), at = 0;
  pieces.resize(context.group.ranks.size());
  for (moe_piece &piece : pieces) {
    int64_t rows = 0, begin = at;
    for (int64_t place = 0; place < collective.places; ++place) {
      int32_t count = *counts++;
      if (count < 0)
        context.mismatch("found a count of ", count, " rows");
      bool isOurs = place >= collective.first && place < collective.end;
      if (isOurs && !rows)
        begin = at;
      rows += isOurs ? count : 0;
      at += isOurs || isWhole ? count : 0;
    }
    piece.data =
        const_cast<char *>(static_cast<const char *>(base)) + begin * rowBytes;
    piece.bytes = static_cast<uint64_t>(rows * rowBytes);
  }
  return at;
}

/// Puts pieces of equal size in the place of those that there are.
void Chunk::pad(const Context &context, uint64_t bound) {
  const Group &group = context.group;
  size_t members = group.ranks.size();
  auto check = [&](const moe_piece &piece, const char *verb, size_t member) {
    if (piece.bytes > bound)
      context.mismatch("rank ", group.ranks[static_cast<size_t>(group.self)],
                       verb, group.ranks[member], ' ', piece.bytes,
                       " bytes, expected at most ", bound);
  };
  outgoing.ensure(static_cast<int64_t>(members * bound));
  incoming.ensure(static_cast<int64_t>(members * bound));
  out.resize(members);
  in.resize(members);
  for (size_t i = 0; i < members; ++i) {
    check(send[i], " sends rank ", i);
    check(receive[i], " expects from rank ", i);
    out[i] = {static_cast<char *>(outgoing.data()) + i * bound, bound};
    in[i] = {static_cast<char *>(incoming.data()) + i * bound, bound};
    copy(out[i], send[i], send[i].bytes);
    std::memset(static_cast<char *>(out[i].data) + send[i].bytes, 0,
                bound - send[i].bytes);
  }
}

/// Blocks of equal size, which others have made of the rows.
void Chunk::findPacked(const Context &context, uint64_t bound,
                       const ChunkRows &rows) {
  size_t members = context.group.ranks.size();
  std::vector<int64_t> sizes(members, static_cast<int64_t>(bound));
  layOut(send, rows.send, sizes);
  layOut(receive, rows.receive, sizes);
}

void Chunk::find(const Context &context, const Collective &collective,
                 const ChunkRows &rows) {
  requireSet(rows.sendCounts, "send_counts");
  requireSet(rows.receiveCounts, "receive_counts");
  size_t counts = context.group.ranks.size() * size_t(collective.places);
  const int32_t *sent = context.space.read(rows.sendCounts, counts, sentCounts);
  const int32_t *received =
      context.space.read(rows.receiveCounts, counts, receivedCounts);
  int64_t leaving = findPieces(context, collective, send, rows.send, sent,
                               collective.whole == Whole::send);
  int64_t coming = findPieces(context, collective, receive, rows.receive,
                              received, collective.whole == Whole::receive);
  if (leaving > rows.rows)
    context.mismatch("counts say ", leaving, " rows, there are ", rows.rows);
  // Those are counts of other ranks.
  if (coming > rows.room)
    context.mismatch("counts say that ", coming,
                     " rows come, there is room for ", rows.room);
}

void Chunk::start(const Context &context, const Collective &collective,
                  int64_t bound, const ChunkRows &rows) {
  bool isAlone = context.group.size() == 1;
  uint64_t boundBytes =
      static_cast<uint64_t>(bound * collective.row * bytes(collective.dtype));
  if (collective.packed)
    findPacked(context, boundBytes, rows);
  else
    find(context, collective, rows);
  isPadded = collective.mode == Mode::padded && !collective.packed && !isAlone;
  if (isPadded)
    pad(context, boundBytes);
  if (isAlone) {
    if (send[0].bytes != receive[0].bytes)
      context.mismatch("counts say ", send[0].bytes, " bytes, expected ",
                       receive[0].bytes);
    context.space.copy(receive[0].data, send[0].data,
                       static_cast<int64_t>(send[0].bytes));
  } else {
    context.operation.flags =
        collective.mode == Mode::padded ? MOE_TRANSFER_EQUAL : 0;
    context.space.start(context.operation, context.group, isPadded ? out : send,
                        isPadded ? in : receive, moving);
  }
  underWay = true;
}

void Chunk::wait(const Context &context) {
  underWay = false;
  if (context.group.size() == 1)
    return;
  context.space.finish(context.operation, moving);
  for (size_t i = 0; isPadded && i < in.size(); ++i)
    copy(receive[i], in[i], receive[i].bytes);
}

void Chunk::abandon(const Context &context) noexcept {
  underWay = false;
  context.world.abandonMove(context.operation, moving.started);
}

} // namespace moe::runtime
