//===- Moves.cpp - What the device and NCCL do for an exchange ------------===//
//
// Part of moe-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Pieces in the host's memory go through blocks of the device's; those on the
// device are used where they are.
//
//===----------------------------------------------------------------------===//

#include "Work.h"

namespace moe::engine::nccl {

template <typename Copy> bool Work::touch(Copy &&copy) {
  if (!beginTouch())
    return false;
  try {
    copy();
  } catch (...) {
    endTouch();
    throw;
  }
  endTouch();
  return true;
}

char *Work::takeBlock(Device &device, uint64_t bytes) {
  blocks.push_back(device.take(bytes));
  return blocks.back();
}

static void bring(Device &device, char *to, const moe_piece &piece) {
  if (device.holds(piece.data))
    device.copy(to, piece.data, piece.bytes);
  else
    device.fromHost(to, piece.data, piece.bytes);
}

/// Of a piece in a block.
static uint64_t aligned(uint64_t bytes) { return (bytes + 15) / 16 * 16; }

static uint64_t total(const std::vector<moe_piece> &pieces) {
  uint64_t sum = 0;
  for (const moe_piece &piece : pieces)
    sum += aligned(piece.bytes);
  return sum;
}

void Work::issue(Device &device, const Nccl &nccl, Comm comm) {
  bool equal = transfer.flags & MOE_TRANSFER_EQUAL && nccl.AlltoAll && comm &&
               !isInStream();
  phase = Issued;
  bool mayGoOn = touch([&] {
    if (isInStream())
      prepareInStream(device);
    else if (equal)
      prepareEqual(device);
    else
      preparePairs(device);
  });
  // NCCL may hang, and then the caller does not wait for it.
  if (!mayGoOn || calls.empty())
    return;
  if (equal)
    check(nccl,
          nccl.AlltoAll(calls[0].from, calls[0].to, calls[0].bytes, Uint8, comm,
                        device.stream()),
          "ncclAlltoAll", comm);
  else
    ask(nccl, comm, device.stream());
}

/// One block of equal pieces each way, unless there is nothing in them.
void Work::prepareEqual(Device &device) {
  uint64_t bytes = sent[0].bytes;
  if (bytes == 0)
    return;
  char *leaves = takeBlock(device, bytes * ranks.size());
  char *comes = takeBlock(device, bytes * ranks.size());
  for (size_t i = 0; i < ranks.size(); ++i) {
    bring(device, leaves + i * bytes, sent[i]);
    void *to = received[i].data;
    arrivals.push_back({to, comes + i * bytes, bytes, device.holds(to)});
  }
  calls.push_back({-1, leaves, comes, bytes});
}

/// Pieces are where they are, and nobody waits.
void Work::prepareInStream(Device &device) {
  device.waitFor(ready);
  for (size_t i = 0; i < ranks.size(); ++i) {
    int peer = static_cast<int>(i);
    if (peer == transfer.self) {
      if (sent[i].data != received[i].data)
        device.copyInOrder(received[i].data, sent[i].data, sent[i].bytes);
      continue;
    }
    if (sent[i].bytes)
      calls.push_back({peer, sent[i].data, nullptr, sent[i].bytes});
    if (received[i].bytes)
      calls.push_back({peer, nullptr, received[i].data, received[i].bytes});
  }
}

/// Sends and receives of what is not empty.
void Work::preparePairs(Device &device) {
  char *leaves = takeBlock(device, total(sent));
  char *comes = takeBlock(device, total(received));
  for (size_t i = 0; i < ranks.size(); ++i) {
    bool own = static_cast<int32_t>(i) == transfer.self;
    int peer = static_cast<int>(i);
    if (own)
      keepOwn(device, leaves);
    else if (sent[i].bytes)
      calls.push_back(
          {peer, prepare(device, sent[i], leaves), nullptr, sent[i].bytes});
    if (!own && received[i].bytes)
      calls.push_back({peer, nullptr, expect(device, received[i], comes),
                       received[i].bytes});
    leaves += aligned(sent[i].bytes);
    comes += aligned(received[i].bytes);
  }
}

/// Where NCCL finds the piece: where it is, or else at `block`.
const void *Work::prepare(Device &device, const moe_piece &piece, char *block) {
  if (device.holds(piece.data))
    return piece.data;
  device.fromHost(block, piece.data, piece.bytes);
  return block;
}

void *Work::expect(Device &device, const moe_piece &piece, char *block) {
  if (device.holds(piece.data))
    return piece.data;
  arrivals.push_back({piece.data, block, piece.bytes, false});
  return block;
}

/// The piece of this rank for itself, which no library needs to see.
void Work::keepOwn(Device &device, char *block) {
  const moe_piece &from = sent[static_cast<size_t>(transfer.self)];
  const moe_piece &to = received[static_cast<size_t>(transfer.self)];
  if (!from.bytes || from.data == to.data)
    return;
  if (!device.holds(from.data) && !device.holds(to.data))
    return copyOwnPiece(transfer);
  bring(device, block, from);
  arrivals.push_back({to.data, block, from.bytes, device.holds(to.data)});
}

/// All at once: they may be in any order on the other ranks.
void Work::ask(const Nccl &nccl, Comm comm, Stream stream) {
  check(nccl, nccl.GroupStart(), "ncclGroupStart");
  int result = Success;
  const char *name = nullptr;
  auto note = [&](int answer, const char *call) {
    if (answer == Success || answer == InProgress || name)
      return;
    result = answer;
    name = call;
  };
  for (const Call &call : calls)
    if (call.from)
      note(nccl.Send(call.from, call.bytes, Uint8, call.peer, comm, stream),
           "ncclSend");
    else
      note(nccl.Recv(call.to, call.bytes, Uint8, call.peer, comm, stream),
           "ncclRecv");
  // A group that was begun is ended, come what may.
  note(nccl.GroupEnd(), "ncclGroupEnd");
  check(nccl, result, name, comm);
}

bool Work::isOver(Device &device) {
  return (isInStream() || device.reached(event)) && missing().empty();
}

void Work::finish(Device &device) {
  touch([&] {
    for (const Arrival &arrival : arrivals)
      if (arrival.toDevice)
        device.copy(arrival.to, arrival.from, arrival.bytes);
      else
        device.toHost(arrival.to, arrival.from, arrival.bytes);
  });
}

void Work::release(Device &device) {
  for (char *block : blocks)
    device.giveBack(block);
  blocks.clear();
  if (event && !isInStream()) {
    device.release(event);
    event = nullptr;
  }
}

} // namespace moe::engine::nccl
