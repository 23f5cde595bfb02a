//===- PhaseTest.cpp - Operations with one deadline -----------------------===//
//
// Part of moe-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Ranks.h"

using namespace moe::runtime;
using namespace moe::test;

static constexpr int64_t timeoutMs = 200;

static void sleepFor(int64_t milliseconds) {
  std::this_thread::sleep_for(std::chrono::milliseconds(milliseconds));
}

static double secondsSince(int64_t start) {
  return static_cast<double>(moe_clock() - start) * 1e-9;
}

/// What rank 0 is told when rank 1 comes to each operation in time, but to all
/// of them too late; empty if that took too long.
static std::string runLate(int64_t worldMs, int64_t phaseMs, int &done) {
  RanksOptions options;
  options.timeoutMs = worldMs;
  Ranks ranks(2, options);
  std::string message;
  ranks.run([&](moe_world &world) {
    Exchange exchange =
        makeExchange(world, makeCollective(CollectiveKind::barrier));
    bool late = world.rank() == 1;
    WorldPhase phase(world, "test of phases", late ? 30000 : phaseMs);
    int64_t start = moe_clock();
    int number = 0;
    for (moe_status status = MOE_OK; !status; ++number) {
      if (late)
        sleepFor(timeoutMs / 4);
      status = exchange.run(0, nullptr, nullptr, 0, nullptr, nullptr);
      if (!late && status && secondsSince(start) < timeoutMs * 1e-3 + 0.1)
        message = moe_last_error();
    }
    if (!late)
      done = number - 1;
  });
  return message;
}

static void expectLate(int64_t worldMs, int64_t phaseMs) {
  std::string message;
  int done = 0;
  // Short deadlines pass on a busy machine for no fault of ours.
  for (int attempt = 0; attempt < 4 && message.empty(); ++attempt)
    message = runLate(worldMs, phaseMs, done);
  EXPECT_EQ(0u, message.find("rank 0: test of phases: barrier 'test' over ep: "
                             "rank 1 did not come, after 0.2"))
      << message;
  EXPECT_GE(done, 1);
}

TEST(PhaseTest, OperationsShareADeadline) { expectLate(30000, timeoutMs); }

TEST(PhaseTest, TheWorldsTimeoutUnlessItHasOne) { expectLate(timeoutMs, 0); }

TEST(PhaseTest, AfterItOperationsHaveTheirOwn) {
  Ranks ranks(2);
  ranks.run([](moe_world &world) {
    Exchange exchange =
        makeExchange(world, makeCollective(CollectiveKind::barrier));
    {
      WorldPhase phase(world, "short", 1);
    }
    sleepFor(5);
    EXPECT_MOE_OK(exchange.run(0, nullptr, nullptr, 0, nullptr, nullptr));
  });
}

TEST(PhaseTest, MeetingAllEndsWithIt) {
  for (int attempt = 0; attempt < 4; ++attempt) {
    Ranks ranks(5);
    std::atomic<int> inTime{0};
    ranks.run([&](moe_world &world) {
      if (world.rank() == 4)
        return sleepFor(2 * timeoutMs);
      WorldPhase phase(world, "match", timeoutMs);
      std::atomic<int32_t> ready;
      int64_t start = moe_clock();
      // Who waits for a rank that waits for the late one names that.
      EXPECT_STATUS(MOE_TIMEOUT, guard([&] { world.meetAll(ready); }),
                    "match: barrier 'match' over all ranks: rank ");
      EXPECT_NE(std::string::npos,
                std::string(moe_last_error()).find(" did not come, after 0."));
      inTime += secondsSince(start) < timeoutMs * 1e-3 + 0.1;
    });
    if (inTime == 4)
      return;
  }
  ADD_FAILURE() << "never in time";
}
