//===- Ranks.cpp - Ranks that are threads, each with an engine ------------===//
//
// Part of moe-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Ranks.h"

#include <atomic>
#include <chrono>
#include <cstdlib>
#include <dlfcn.h>
#include <memory>
#include <thread>
#include <unistd.h>

namespace moe::test {

static int64_t clockNow() {
  return std::chrono::nanoseconds(
             std::chrono::steady_clock::now().time_since_epoch())
      .count();
}

int64_t in(int64_t milliseconds) { return clockNow() + milliseconds * 1000000; }

double secondsSince(int64_t time) { return double(clockNow() - time) * 1e-9; }

//===----------------------------------------------------------------------===//
// Exchange
//===----------------------------------------------------------------------===//

static uint8_t byteOf(int32_t from, int32_t to, size_t index) {
  return static_cast<uint8_t>(17 * from + 5 * to + 3 * index + index / 256);
}

Exchange::Exchange(std::vector<int32_t> given, int32_t self, const Size &size)
    : ranks(std::move(given)) {
  for (size_t i = 0; i < ranks.size(); ++i) {
    sent.emplace_back(size(self, ranks[i]));
    received.emplace_back(size(ranks[i], self), uint8_t(0xcd));
    for (size_t at = 0; at < sent[i].size(); ++at)
      sent[i][at] = byteOf(self, ranks[i], at);
    if (ranks[i] == self)
      transfer.self = static_cast<int32_t>(i);
  }
  for (size_t i = 0; i < ranks.size(); ++i) {
    send.push_back({sent[i].data(), sent[i].size()});
    receive.push_back({received[i].data(), received[i].size()});
  }
  transfer.ranks = ranks.data();
  transfer.members = static_cast<int32_t>(ranks.size());
  transfer.send = send.data();
  transfer.receive = receive.data();
  transfer.tag = 7;
  transfer.what = "rows to experts";
}

bool Exchange::isRight() const {
  int32_t self = ranks[static_cast<size_t>(transfer.self)];
  for (size_t i = 0; i < ranks.size(); ++i)
    for (size_t at = 0; at < received[i].size(); ++at)
      if (received[i][at] != byteOf(ranks[i], self, at))
        return false;
  return true;
}

//===----------------------------------------------------------------------===//
// Rank
//===----------------------------------------------------------------------===//

template <typename Call> static Outcome outcome(Call &&call) {
  Outcome result = {MOE_OK, {}};
  result.status = call(&result.failure);
  if (result.status != MOE_OK && result.status != MOE_IN_PROGRESS) {
    EXPECT_EQ(result.status, result.failure.status);
  }
  return result;
}

moe_engine_opener engineNccl() {
  static void *library = dlopen(MOE_ENGINE_NCCL, RTLD_NOW | RTLD_LOCAL);
  EXPECT_NE(nullptr, library) << dlerror();
  return reinterpret_cast<moe_engine_opener>(
      dlsym(library, MOE_ENGINE_OPEN_SYMBOL));
}

Rank::Rank(moe_engine_options options)
    : opened(outcome([&](moe_engine_failure *failure) {
        return engineNccl()(&options, &engine, failure);
      })) {}

Rank::~Rank() { close(); }

void Rank::close() {
  if (opened.status == MOE_OK && engine.close)
    engine.close(engine.self);
  engine.close = nullptr;
}

std::vector<int32_t> Rank::all() const {
  std::vector<int32_t> ranks;
  for (int32_t i = 0; i < engine.size; ++i)
    ranks.push_back(i);
  return ranks;
}

Outcome Rank::start(const moe_transfer &transfer,
                    moe_engine_request **request) {
  return outcome([&](moe_engine_failure *failure) {
    return engine.start(engine.self, &transfer, request, failure);
  });
}

Outcome Rank::poll(moe_engine_request *request) {
  return outcome([&](moe_engine_failure *failure) {
    return engine.poll(engine.self, request, failure);
  });
}

Outcome Rank::wait(moe_engine_request *request, int64_t milliseconds) {
  return outcome([&](moe_engine_failure *failure) {
    return engine.wait(engine.self, request, in(milliseconds), failure);
  });
}

Outcome Rank::exchange(Exchange &exchange, int64_t milliseconds) {
  moe_engine_request *request = nullptr;
  exchange.transfer.sequence = count++;
  Outcome started = start(exchange.transfer, &request);
  return started.status == MOE_OK ? wait(request, milliseconds) : started;
}

//===----------------------------------------------------------------------===//
// NcclTest
//===----------------------------------------------------------------------===//

void NcclTest::expectNoLeaks() {
  // What `close` did not wait for.
  for (int64_t limit = in(10000); !fakeLeaks().empty() && clockNow() < limit;)
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
  EXPECT_EQ("", fakeLeaks());
}

void NcclTest::SetUp() {
  setenv("MOE_NCCL", MOE_FAKE_NCCL_LIBRARY, 1);
  setenv("MOE_CUDA", MOE_FAKE_NCCL_LIBRARY, 1);
  for (const char *name : {"RANK", "WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT"})
    unsetenv(name);
  std::string form =
      (std::filesystem::temp_directory_path() / "moe-nccl-XXXXXX").string();
  folder = mkdtemp(form.data());
  fake_nccl_reset("");
}

void NcclTest::TearDown() {
  if (!mayComplain) {
    EXPECT_EQ("", fakeComplaints());
  }
  if (!mayLeak) {
    expectNoLeaks();
  }
  fake_nccl_reset("");
  std::filesystem::remove_all(folder);
}

std::string NcclTest::meetingPlace() {
  return (folder / ("place" + std::to_string(meetings++))).string();
}

void NcclTest::open(int32_t size, int64_t milliseconds,
                    const std::function<void(Rank &)> &body) {
  std::string place = meetingPlace();
  std::vector<std::thread> threads;
  for (int32_t i = 0; i < size; ++i)
    threads.emplace_back([&, i] {
      Rank rank({i, size, in(milliseconds), place.c_str()});
      body(rank);
    });
  for (std::thread &thread : threads)
    thread.join();
}

void NcclTest::run(int32_t size, const std::function<void(Rank &)> &body) {
  std::atomic<int32_t> opened{0};
  open(size, 20000, [&](Rank &rank) {
    EXPECT_OK(rank.opened);
    for (++opened; opened < size;)
      std::this_thread::yield();
    if (rank.opened.status == MOE_OK)
      body(rank);
  });
}

} // namespace moe::test
