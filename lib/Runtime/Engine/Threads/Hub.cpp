//===- Hub.cpp - Where the ranks of one process meet ----------------------===//
//
// Part of moe-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
// Rooms are made when their group first meets and stay.
//
//===----------------------------------------------------------------------===//

#include "Hub.h"

#include <thread>

namespace moe::runtime::threads {

Room::Room(std::vector<int32_t> members) : ranks(std::move(members)) {
  for (size_t i = 0; i < depth; ++i)
    stages.push_back(std::make_unique<Stage>(ranks, bell));
}

Hub::Hub(int32_t size)
    : size(size), coreForEach(static_cast<unsigned>(size) <=
                              std::thread::hardware_concurrency()),
      gone(static_cast<size_t>(size)), sleepers(static_cast<size_t>(size)) {}

Room &Hub::room(const int32_t *ranks, int32_t members) {
  std::vector<int32_t> key(ranks, ranks + members);
  std::lock_guard<std::mutex> lock(mutex);
  std::unique_ptr<Room> &room = rooms[key];
  if (!room)
    room = std::make_unique<Room>(std::move(key));
  return *room;
}

void Hub::wakeAll() {
  std::lock_guard<std::mutex> lock(mutex);
  for (auto &[ranks, room] : rooms)
    if (room)
      room->bell.ring();
}

void Hub::end(moe_status status, int32_t rank, std::string_view text) {
  {
    std::lock_guard<std::mutex> lock(mutex);
    if (ended.load())
      return;
    why.status = status;
    why.rank = rank;
    why.text[text.copy(why.text, sizeof why.text - 1)] = 0;
    ended.store(true);
  }
  wakeAll();
}

void Hub::fallAsleep(int32_t rank, const Stage &stage, uint64_t round,
                     int32_t member) {
  std::string reason;
  {
    std::lock_guard<std::mutex> lock(mutex);
    sleepers[rank] = {&stage, round, member};
    reason = stuck();
  }
  if (!reason.empty())
    end(MOE_OP_MISMATCH, -1, reason);
}

void Hub::wakeUp(int32_t rank) {
  std::lock_guard<std::mutex> lock(mutex);
  sleepers[rank].stage = nullptr;
}

std::string Hub::stuck() const {
  for (int32_t rank = 0; rank < size; ++rank) {
    const Sleeper &sleeper = sleepers[rank];
    // Who sleeps cannot come anywhere, so no stage changes while this looks.
    bool waits = sleeper.stage &&
                 sleeper.stage->state(sleeper.round) == Stage::State::waiting;
    if (!waits && !hasLeft(rank))
      return "";
  }
  std::string list = "all wait for others";
  for (int32_t rank = 0; rank < size; ++rank)
    if (!hasLeft(rank))
      list += (list.find(':') == std::string::npos ? ": " : ", ") +
              sleepers[rank].stage->where(sleepers[rank].member);
  return list;
}

void Hub::leave(int32_t rank) {
  gone[rank].store(true);
  goneCount.fetch_add(1);
  wakeAll();
}

} // namespace moe::runtime::threads
