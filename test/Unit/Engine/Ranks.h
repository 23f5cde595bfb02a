//===- Ranks.h - Ranks that are threads, each with an engine ----*- C++ -*-===//
//
// Part of moe-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef MOE_TEST_UNIT_ENGINE_RANKS_H
#define MOE_TEST_UNIT_ENGINE_RANKS_H

#include "FakeNccl.h"
#include "moe/Runtime/Engine.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <functional>
#include <string>
#include <vector>

namespace moe::test {

/// The time of moe_clock, so many milliseconds from now.
int64_t in(int64_t milliseconds);
double secondsSince(int64_t time);

/// What a call came to.
struct Outcome {
  moe_status status;
  moe_engine_failure failure;
  std::string text() const { return failure.text; }
};

/// Pieces of one exchange with known bytes in them, and how it is described.
class Exchange {
public:
  using Size = std::function<uint64_t(int32_t from, int32_t to)>;
  /// Sizes are by rank; `self` is a rank of `ranks`.
  Exchange(std::vector<int32_t> ranks, int32_t self, const Size &size);
  Exchange(const Exchange &) = delete;
  Exchange &operator=(const Exchange &) = delete;

  /// Whether what came is what was sent.
  bool isRight() const;

  moe_transfer transfer = {};
  std::vector<moe_piece> send, receive; /* of the transfer */

private:
  std::vector<int32_t> ranks;
  std::vector<std::vector<uint8_t>> sent, received;
};

/// An engine of one rank. Closed in the end.
class Rank {
public:
  /// `options` may leave out all but rank and size.
  explicit Rank(moe_engine_options options);
  ~Rank();
  Rank(const Rank &) = delete;
  Rank &operator=(const Rank &) = delete;

  moe_engine engine = {};
  Outcome opened;

  std::vector<int32_t> all() const;
  Outcome start(const moe_transfer &transfer, moe_engine_request **request);
  Outcome poll(moe_engine_request *request);
  Outcome wait(moe_engine_request *request, int64_t milliseconds = 20000);
  /// Both; the number of the group's exchange is counted.
  Outcome exchange(Exchange &exchange, int64_t milliseconds = 20000);
  void close();

private:
  uint64_t count = 0;
};

moe_engine_opener engineNccl();

/// The environment of the engine 'nccl' with the stand-in, and what that
/// complains about in the end.
class NcclTest : public testing::Test {
protected:
  void SetUp() override;
  void TearDown() override;
  /// Runs `body` on a thread for each rank, once all engines were opened.
  void run(int32_t size, const std::function<void(Rank &)> &body);
  /// The same, whatever came of the opening.
  void open(int32_t size, int64_t milliseconds,
            const std::function<void(Rank &)> &body);
  std::string meetingPlace();
  static void expectNoLeaks();

  std::filesystem::path folder;
  bool mayComplain = false, mayLeak = false;

private:
  int meetings = 0;
};

} // namespace moe::test

#define EXPECT_OUTCOME(expected, words, outcome)                               \
  do {                                                                         \
    moe::test::Outcome found = outcome;                                        \
    EXPECT_EQ(expected, found.status) << found.text();                         \
    EXPECT_NE(std::string::npos, found.text().find(words)) << found.text();    \
  } while (false)
#define EXPECT_OK(outcome)                                                     \
  do {                                                                         \
    moe::test::Outcome found = outcome;                                        \
    EXPECT_EQ(MOE_OK, found.status) << found.text();                           \
  } while (false)

#endif // MOE_TEST_UNIT_ENGINE_RANKS_H
