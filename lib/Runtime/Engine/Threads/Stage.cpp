//===- Stage.cpp - One exchange among threads -----------------------------===//
//
// Part of moe-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
// Checks, parts, and the copies themselves.
//
//===----------------------------------------------------------------------===//

#include "../../Collective/Reduce.h"
#include "../../Status.h"
#include "Hub.h"

#include <algorithm>
#include <cstring>
#include <thread>

namespace moe::runtime::threads {

/// Up to this many bytes in all, the last to come moves them alone: waking
/// another thread takes longer.
static constexpr uint64_t aloneBytes = 32 << 10;
static constexpr uint64_t partBytes = 256 << 10;
static constexpr uint64_t reducePartBytes = 32 << 10;
static_assert(aloneBytes <= reducePartBytes && aloneBytes <= partBytes,
              "what one moves alone is one part");

Stage::Stage(const std::vector<int32_t> &ranks, Bell &bell)
    : ranks(ranks), bell(bell), members(static_cast<int32_t>(ranks.size())),
      slots(new Slot[ranks.size()]) {}

Stage::Inside::Inside(Stage &stage, const Hub &hub)
    : allowed((stage.inside.fetch_add(1), !hub.hasEnded())), stage(stage) {}

void Stage::drain(uint64_t round) const {
  // All have come, so the last one will move on.
  auto isBeginning = [&] {
    return state(round) == State::waiting &&
           arrived.load() >= static_cast<uint64_t>(members) * (round + 1);
  };
  for (int turn = 0; isBeginning() || inside.load(); ++turn)
    if (turn > 100)
      std::this_thread::yield();
}

void Stage::arrive(Hub &hub, uint64_t round, const moe_transfer &transfer) {
  Slot &slot = slots[transfer.self];
  slot.transfer = transfer;
  slot.came.store(round + 1, std::memory_order_release);
  uint64_t expected = static_cast<uint64_t>(members) * (round + 1);
  if (arrived.fetch_add(1) + 1 != expected)
    return;
  begin(hub, round);
  bell.ring();
}

/// By the last to come. Whoever leaves meanwhile waits until it moves on.
void Stage::begin(Hub &hub, uint64_t round) {
  if (hub.hasEnded())
    return progress.store(refused);
  if (std::string reason = mismatch(); !reason.empty()) {
    progress.store(refused);
    return hub.end(MOE_OP_MISMATCH, -1, reason);
  }
  uint64_t bytes = 0;
  for (int32_t i = 0; i < members; ++i)
    bytes += bytesOf(i);
  if (bytes > aloneBytes) {
    split();
    return progress.store(2 * round + 1);
  }
  // Nothing is written that the others would have to fetch.
  for (int32_t i = 0; i < members; ++i)
    runPart(i, 0);
  progress.store(2 * round + 2);
}

std::string Stage::where(int32_t member) const {
  const moe_transfer &transfer = slots[member].transfer;
  std::string at = text("rank ", ranks[member], " is at ");
  return transfer.what ? at + transfer.what : text(at, "tag ", transfer.tag);
}

/// Why the transfers do not fit; empty if they do.
std::string Stage::mismatch() const {
  const moe_transfer &first = slots[0].transfer;
  for (int32_t i = 1; i < members; ++i) {
    const moe_transfer &other = slots[i].transfer;
    if (first.tag != other.tag || first.reduce != other.reduce ||
        first.dtype != other.dtype)
      return where(0) + ", " + where(i);
    if (first.sequence != other.sequence)
      return text(where(0), ", exchange ", first.sequence, " of its group, ",
                  where(i), ", exchange ", other.sequence);
  }
  for (int32_t i = 0; i < members; ++i) {
    const moe_transfer &from = slots[i].transfer;
    if (first.reduce) {
      if (from.send[0].bytes != first.send[0].bytes ||
          from.receive[0].bytes != first.send[0].bytes)
        return text("rank ", ranks[0], " adds ", first.send[0].bytes,
                    " bytes, rank ", ranks[i], " adds ", from.send[0].bytes,
                    " and expects ", from.receive[0].bytes);
      continue;
    }
    for (int32_t j = 0; j < members; ++j) {
      uint64_t sent = from.send[j].bytes;
      uint64_t expected = slots[j].transfer.receive[i].bytes;
      if (sent != expected)
        return text("rank ", ranks[i], " sends ", sent, " bytes to rank ",
                    ranks[j], ", which expects ", expected);
    }
  }
  return "";
}

/// Of the work that is a member's first.
uint64_t Stage::bytesOf(int32_t member) const {
  const moe_transfer &transfer = slots[member].transfer;
  if (transfer.reduce)
    return member == 0 ? transfer.send[0].bytes : 0;
  uint64_t bytes = 0;
  for (int32_t from = 0; from < members; ++from)
    bytes += transfer.receive[from].bytes;
  return bytes;
}

/// Cuts the work into parts.
void Stage::split() {
  uint64_t parts = 0;
  for (int32_t i = 0; i < members; ++i) {
    Slot &slot = slots[i];
    uint64_t each = slot.transfer.reduce ? reducePartBytes : partBytes;
    slot.parts = (bytesOf(i) + each - 1) / each;
    slot.next.store(0, std::memory_order_relaxed);
    parts += slot.parts;
  }
  remaining.store(parts, std::memory_order_relaxed);
}

void Stage::work(const Hub &hub, uint64_t round, int32_t self) {
  if (takeParts(hub, round, self))
    bell.ring();
}

/// True if the last part was among them.
bool Stage::takeParts(const Hub &hub, uint64_t round, int32_t self) {
  Inside guard(*this, hub);
  // Looked at from inside: members stay as long as the round is open.
  if (!guard.allowed || state(round) != State::open)
    return false;
  for (int32_t i = 0; i < members; ++i) {
    int32_t which = (self + i) % members;
    Slot &slot = slots[which];
    while (slot.next.load(std::memory_order_relaxed) < slot.parts) {
      uint64_t part = slot.next.fetch_add(1, std::memory_order_relaxed);
      if (part >= slot.parts)
        break;
      runPart(which, part);
      if (remaining.fetch_sub(1) == 1) {
        progress.store(2 * round + 2);
        return true;
      }
      if (hub.hasEnded())
        return false;
    }
  }
  return false;
}

void Stage::runPart(int32_t slot, uint64_t part) const {
  if (slots[slot].transfer.reduce) {
    uint64_t begin = part * reducePartBytes, bytes = bytesOf(slot);
    if (begin < bytes)
      reduce(begin, std::min(begin + reducePartBytes, bytes));
  } else {
    copy(slot, part * partBytes, (part + 1) * partBytes);
  }
}

/// Bytes [begin, end) of all that a member receives, sender after sender.
void Stage::copy(int32_t to, uint64_t begin, uint64_t end) const {
  uint64_t at = 0;
  for (int32_t from = 0; from < members && at < end; ++from) {
    const moe_piece &target = slots[to].transfer.receive[from];
    const moe_piece &source = slots[from].transfer.send[to];
    uint64_t low = std::max(begin, at), high = std::min(end, at + target.bytes);
    if (low < high && target.data != source.data)
      std::memcpy(static_cast<char *>(target.data) + (low - at),
                  static_cast<const char *>(source.data) + (low - at),
                  high - low);
    at += target.bytes;
  }
}

/// Bytes [begin, end) of the sum, from the memory of all into that of all.
void Stage::reduce(uint64_t begin, uint64_t end) const {
  const moe_transfer &first = slots[0].transfer;
  reduceInOrder(
      static_cast<moe_reduction>(first.reduce),
      static_cast<moe_element>(first.dtype), members,
      [&](int32_t i) {
        return static_cast<const char *>(slots[i].transfer.send[0].data) +
               begin;
      },
      members,
      [&](int32_t i) {
        return static_cast<char *>(slots[i].transfer.receive[0].data) + begin;
      },
      end - begin);
}

} // namespace moe::runtime::threads
