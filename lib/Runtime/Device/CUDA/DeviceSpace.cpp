//===- DeviceSpace.cpp - Rows of exchanges on a device --------------------===//
//
// Part of moe-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "DeviceSpace.h"

namespace moe::runtime {

static moe_cu_address address(const void *pointer) {
  return reinterpret_cast<moe_cu_address>(pointer);
}

void DeviceSpace::addAddresses(std::vector<int64_t> &to) const {
  for (const cuda::Memory &each : memory)
    to.push_back(static_cast<int64_t>(each.address()));
}

void DeviceSpace::copy(void *to, const void *from, int64_t size) {
  if (to != from)
    stream.copy(address(to), address(from), size);
}

void DeviceSpace::clear(void *to, int64_t size) {
  stream.clear(address(to), size);
}

char *DeviceSpace::scratch(size_t which, int64_t size) {
  memory[which].ensure(device, size);
  return reinterpret_cast<char *>(memory[which].address());
}

const int32_t *DeviceSpace::read(const int32_t *counts, size_t count,
                                 Buffer &buffer) {
  int64_t size = static_cast<int64_t>(count * sizeof *counts);
  buffer.ensure(size);
  launches->finish();
  stream.toHost(buffer.data(), address(counts), size);
  stream.wait();
  return static_cast<const int32_t *>(buffer.data());
}

/// Makes copies of pieces on the host; the own one never leaves the device.
/// Nothing is under way from blocks of before when the stream has been waited
/// for.
void DeviceSpace::stage(const Group &group, const std::vector<moe_piece> &send,
                        const std::vector<moe_piece> &receive, Moving &moving) {
  launches->finish();
  auto layOut = [&](const std::vector<moe_piece> &pieces, void *&block,
                    std::vector<moe_piece> &copies) {
    copies = pieces;
    copies[static_cast<size_t>(group.self)] = {};
    uint64_t total = 0;
    for (const moe_piece &piece : copies)
      total += piece.bytes;
    block = blocks.take(static_cast<int64_t>(total));
    char *at = static_cast<char *>(block);
    for (moe_piece &piece : copies) {
      piece.data = at;
      at += piece.bytes;
    }
  };
  layOut(send, moving.out, moving.send);
  layOut(receive, moving.in, moving.receive);
  moving.to = receive;
  for (size_t i = 0; i < send.size(); ++i)
    stream.toHost(moving.send[i].data, address(send[i].data),
                  static_cast<int64_t>(moving.send[i].bytes));
  stream.wait();
}

void DeviceSpace::start(const Operation &operation, Group &group,
                        const std::vector<moe_piece> &send,
                        const std::vector<moe_piece> &receive, Moving &moving) {
  if (world.movesInStreams()) {
    moving.started =
        world.startMove(operation, group, send.data(), receive.data(),
                        MOE_REDUCE_NONE, MOE_BYTE, stream.handle());
    return;
  }
  stage(group, send, receive, moving);
  auto self = static_cast<size_t>(group.self);
  copy(receive[self].data, send[self].data,
       static_cast<int64_t>(send[self].bytes));
  moving.started = world.startMove(operation, group, moving.send.data(),
                                   moving.receive.data());
}

void DeviceSpace::finish(const Operation &operation, Moving &moving) {
  world.finishMove(operation, moving.started);
  if (world.movesInStreams())
    return;
  for (size_t i = 0; i < moving.to.size(); ++i)
    stream.toDevice(address(moving.to[i].data), moving.receive[i].data,
                    static_cast<int64_t>(moving.receive[i].bytes));
  blocks.giveBack(moving.out);
  blocks.giveBack(moving.in);
}

} // namespace moe::runtime
