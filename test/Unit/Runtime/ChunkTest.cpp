//===- ChunkTest.cpp - Exchanges that are started and waited for ----------===//
//
// Part of moe-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Chunks give what one exchange of all rows would, and with several under way
// each fault ends all of them, in time.
//
//===----------------------------------------------------------------------===//

#include "Ranks.h"

#include "moe/Runtime/Package.h"

#include <atomic>

using namespace moe::runtime;
using namespace moe::test;

namespace {
/// Counts between all pairs; a row is a number that says where it comes from,
/// where it goes, and which it is.
struct Plan {
  int32_t size;
  int64_t places;
  std::vector<int32_t> counts; ///< [from][to][place]

  int32_t count(int32_t from, int32_t to, int64_t place) const {
    return counts[static_cast<size_t>((from * size + to) * places + place)];
  }
  /// Of what `rank` sends, or receives: those of the members, place by place.
  std::vector<int32_t> countsOf(int32_t rank, bool sends) const {
    std::vector<int32_t> out;
    for (int32_t other = 0; other < size; ++other)
      for (int64_t place = 0; place < places; ++place)
        out.push_back(sends ? count(rank, other, place)
                            : count(other, rank, place));
    return out;
  }
  std::vector<int32_t> rowsOf(int32_t rank, bool sends, int64_t first,
                              int64_t end) const {
    std::vector<int32_t> out;
    for (int32_t other = 0; other < size; ++other)
      for (int64_t place = first; place < end; ++place) {
        int32_t from = sends ? rank : other, to = sends ? other : rank;
        for (int32_t i = 0; i < count(from, to, place); ++i)
          out.push_back(static_cast<int32_t>(
              ((int64_t(from) * 8 + to) * 16 + place) * 1000 + i));
      }
    return out;
  }
};
} // namespace

static Plan randomPlan(int32_t size, int64_t places, Numbers &numbers) {
  Plan plan{size, places, {}};
  int64_t kind = numbers.below(4), only = numbers.below(size);
  for (int32_t from = 0; from < size; ++from)
    for (int32_t to = 0; to < size; ++to)
      for (int64_t place = 0; place < places; ++place) {
        bool some = kind == 0   ? to == only
                    : kind == 1 ? from != only
                    : kind == 2 ? place == 0
                                : numbers.below(3) != 0;
        plan.counts.push_back(some ? static_cast<int32_t>(numbers.below(30))
                                   : 0);
      }
  return plan;
}

/// Chunks of places of an exchange, in the order of the places.
static std::vector<Collective> makeChunks(int64_t places, int64_t chunks,
                                          Whole whole, Mode mode = Mode::exact,
                                          moe_element dtype = MOE_I32) {
  std::vector<Collective> table;
  for (int64_t i = 0; i < chunks; ++i) {
    Collective chunk = makeCollective(CollectiveKind::allToAllV, dtype);
    chunk.places = places;
    chunk.first = i * places / chunks;
    chunk.end = (i + 1) * places / chunks;
    chunk.whole = whole;
    chunk.mode = mode;
    chunk.bound = 480;
    chunk.name = text("rows, ", i + 1, " of ", chunks);
    table.push_back(chunk);
  }
  return table;
}

/// There and back, with all chunks under way at once.
static void checkPlan(Ranks &ranks, const Plan &plan, int64_t chunks,
                      Mode mode) {
  ranks.run([&](moe_world &world) {
    int32_t self = world.rank();
    auto there = makeChunks(plan.places, chunks, Whole::send, mode);
    auto back = makeChunks(plan.places, chunks, Whole::receive, mode);
    std::vector<Collective> table = there;
    table.insert(table.end(), back.begin(), back.end());
    Exchange exchange(world, {1, world.size(), 1}, table);
    auto send = plan.rowsOf(self, true, 0, plan.places);
    auto sent = plan.countsOf(self, true), coming = plan.countsOf(self, false);
    std::vector<std::vector<int32_t>> expected, came;
    for (const Collective &chunk : there) {
      expected.push_back(plan.rowsOf(self, false, chunk.first, chunk.end));
      came.emplace_back(expected.back().size(), -1);
    }
    std::vector<int32_t> returned(send.size(), -1);
    auto rows = [](const auto &list) { return int64_t(list.size()); };
    for (size_t i = 0; i < there.size(); ++i)
      EXPECT_MOE_OK(moe_status(moe_collective_start(
          &exchange, int32_t(i), send.data(), came[i].data(), rows(send),
          rows(came[i]), sent.data(), coming.data())));
    for (size_t i = 0; i < there.size(); ++i) {
      EXPECT_MOE_OK(moe_status(moe_collective_wait(&exchange, int32_t(i))));
      EXPECT_EQ(expected[i], came[i]) << i << " on " << self;
      EXPECT_MOE_OK(exchange.start(
          int32_t(chunks + i), {came[i].data(), returned.data(), rows(came[i]),
                                rows(returned), coming.data(), sent.data()}));
    }
    for (size_t i = 0; i < there.size(); ++i)
      EXPECT_MOE_OK(exchange.wait(int32_t(chunks + i)));
    EXPECT_EQ(send, returned) << chunks << " chunks on " << self;
    exchange.end();
  });
}

TEST(ChunkTest, RowsGoThereAndBack) {
  Numbers numbers(5);
  for (int32_t size = 1; size <= 5; ++size) {
    Ranks ranks(size);
    for (int64_t places : {1, 2, 3, 5, 8})
      for (int64_t chunks = 1; chunks <= places; chunks += 1 + chunks / 3) {
        Plan plan = randomPlan(size, places, numbers);
        checkPlan(ranks, plan, chunks, Mode::exact);
        checkPlan(ranks, plan, chunks, Mode::padded);
      }
  }
}

TEST(ChunkTest, BytesAreThoseOfOneExchange) {
  Ranks ranks(3);
  ranks.run([&](moe_world &world) {
    Exchange exchange(world, {1, 3, 1}, makeChunks(4, 2, Whole::send));
    std::vector<int32_t> counts(12, 5), send(60), receive(60);
    for (int32_t i = 0; i < 2; ++i) {
      EXPECT_MOE_OK(exchange.start(i, {send.data(), receive.data(), 60, 30,
                                       counts.data(), counts.data()}));
      EXPECT_MOE_OK(exchange.wait(i));
    }
    moe_world_statistics statistics;
    ASSERT_MOE_OK(moe_world_get_statistics(&world, &statistics));
    EXPECT_EQ(2u, statistics.operations);
    EXPECT_EQ(2u * 4 * 5 * 4, statistics.sent_bytes);
    EXPECT_EQ(2u * 4 * 5 * 4, statistics.received_bytes);
  });
}

/// A deadline is for waiting: who computes is not late.
TEST(ChunkTest, ComputingIsNotWaiting) {
  RanksOptions options;
  options.timeoutMs = 100;
  Ranks ranks(2, options);
  ranks.run([&](moe_world &world) {
    Exchange exchange(world, {1, 2, 1}, makeChunks(1, 1, Whole::send));
    int32_t counts[2] = {1, 1}, send[2] = {}, receive[2];
    EXPECT_MOE_OK(exchange.start(0, {send, receive, 2, 2, counts, counts}));
    std::this_thread::sleep_for(std::chrono::milliseconds(250));
    EXPECT_MOE_OK(exchange.wait(0));
    moe_world_statistics statistics;
    ASSERT_MOE_OK(moe_world_get_statistics(&world, &statistics));
    EXPECT_LT(statistics.waited_seconds, 0.2);
  });
}

//===----------------------------------------------------------------------===//
// What is refused
//===----------------------------------------------------------------------===//

TEST(ChunkTest, CountsThatDoNotFit) {
  struct Case {
    std::vector<int32_t> counts;
    int64_t rows, room;
    Mode mode;
    const char *message;
  };
  const Case cases[] = {
      {{1, -1, 1, 1}, 8, 8, Mode::exact, "found a count of -1 rows"},
      {{3, 2, 3, 2}, 9, 8, Mode::exact, "counts say 10 rows, there are 9"},
      {{3, 2, 3, 2},
       10,
       5,
       Mode::exact,
       "counts say that 6 rows come, there is room for 5"},
      {{1, 0, 600, 0},
       601,
       601,
       Mode::padded,
       "rank 0 sends rank 1 2400 bytes, expected at most 1920"}};
  for (const Case &wrong : cases) {
    Ranks ranks(2);
    ranks.run([&](moe_world &world) {
      Exchange exchange(world, {1, 2, 1},
                        makeChunks(2, 2, Whole::send, wrong.mode));
      std::vector<int32_t> fine(4, 1), send(700), receive(700);
      const int32_t *counts = world.rank() ? fine.data() : wrong.counts.data();
      moe_status status =
          exchange.start(0, {send.data(), receive.data(), wrong.rows,
                             wrong.room, counts, counts});
      EXPECT_STATUS(MOE_OP_MISMATCH, status ? status : exchange.wait(0),
                    wrong.message);
    });
  }
}

TEST(ChunkTest, CallsThatDoNotFit) {
  struct Case {
    std::function<moe_status(Exchange &, const ChunkRows &)> call;
    const char *message;
  };
  const Case cases[] = {
      {[](Exchange &exchange, const ChunkRows &) { return exchange.wait(0); },
       "rank 0: all_to_all_v 'rows, 1 of 1' over ep: it has not been started"},
      {[](Exchange &exchange, const ChunkRows &rows) {
         moe_status status = exchange.start(0, rows);
         return status ? status : exchange.start(0, rows);
       },
       "it is under way already"},
      {[](Exchange &exchange, const ChunkRows &rows) {
         return exchange.run(0, rows.send, rows.receive, 2, rows.sendCounts,
                             rows.receiveCounts);
       },
       "it is started and waited for"},
      {[](Exchange &exchange, const ChunkRows &rows) {
         return exchange.start(1, rows);
       },
       "barrier 'test' over ep: it is not started and waited for"},
      {[](Exchange &exchange, const ChunkRows &rows) {
         return exchange.start(2, rows);
       },
       "there is no collective 2"},
      {[](Exchange &exchange, const ChunkRows &rows) {
         return exchange.start(
             0, {rows.send, rows.receive, 2, 2, nullptr, rows.receiveCounts});
       },
       "'send_counts' is null"}};
  for (const Case &wrong : cases) {
    Ranks ranks(2);
    ranks.run([&](moe_world &world) {
      std::vector<Collective> table = makeChunks(1, 1, Whole::send);
      table.push_back(makeCollective(CollectiveKind::barrier));
      Exchange exchange(world, {1, 2, 1}, table);
      int32_t counts[2] = {1, 1}, send[2] = {}, receive[2];
      ChunkRows rows = {send, receive, 2, 2, counts, counts};
      if (world.rank() == 0) {
        EXPECT_STATUS(MOE_INVALID_ARGUMENT, wrong.call(exchange, rows),
                      wrong.message);
        return;
      }
      // The other one hears of it, and is not at something else before.
      exchange.start(0, rows);
      exchange.wait(0);
      EXPECT_STATUS(MOE_INVALID_ARGUMENT, exchange.run(1, 0, 0, 0, 0, 0),
                    wrong.message);
    });
  }
}

TEST(ChunkTest, TablesThatDoNotFit) {
  Ranks ranks(1);
  auto make = [&](const Collective &collective) {
    return guard([&] { makeExchange(ranks[0], collective); });
  };
  Collective chunk = makeChunks(4, 2, Whole::send)[1];
  chunk.pattern = Pattern::ring;
  EXPECT_STATUS(MOE_INVALID_ARGUMENT, make(chunk),
                "found a chunk of all_to_all_v in the pattern ring, "
                "expected one of all_to_all_v in all_to_all");
  chunk.pattern = Pattern::allToAll;
  chunk.end = 5;
  EXPECT_STATUS(MOE_INVALID_ARGUMENT, make(chunk),
                "found a chunk from 2 to 5, expected one of 4 places");
}

//===----------------------------------------------------------------------===//
// Several under way
//===----------------------------------------------------------------------===//

namespace {
enum class Fault { dies, stalls, wrongCount, wrongTag, wrongTurn, otherOrder };
} // namespace

static constexpr int64_t stallTimeoutMs = 100;
static constexpr int32_t chunkCount = 3, faulty = 1;

/// The faulty rank starts all chunks, of which the second is wrong, or leaves
/// between the last start and the first wait.
static moe_status misbehave(Ranks &ranks, Fault fault, Exchange &exchange,
                            const ChunkRows &rows) {
  TamperedEngine &engine = ranks.engine(faulty);
  engine.at = engine.started + 1;
  if (fault == Fault::wrongCount)
    engine.before = [](moe_transfer &transfer) {
      const_cast<moe_piece &>(transfer.send[0]).bytes -= 1;
    };
  if (fault == Fault::wrongTag)
    engine.before = [](moe_transfer &transfer) { transfer.tag ^= 1; };
  if (fault == Fault::wrongTurn)
    engine.before = [](moe_transfer &transfer) { ++transfer.sequence; };
  bool stops = fault == Fault::dies || fault == Fault::stalls;
  for (int32_t i = 0; i < chunkCount - stops; ++i) {
    int32_t number = fault == Fault::otherOrder ? chunkCount - 1 - i : i;
    if (moe_status status = exchange.start(number, rows))
      return status;
  }
  if (fault == Fault::dies) {
    engine.closeInner();
    return MOE_OK;
  }
  if (fault == Fault::stalls) {
    std::this_thread::sleep_for(
        std::chrono::milliseconds(stallTimeoutMs * 8 / 5));
    return exchange.start(chunkCount - 1, rows);
  }
  for (int32_t i = 0; i < chunkCount; ++i)
    if (moe_status status = exchange.wait(i))
      return status;
  return MOE_OK;
}

/// What went wrong on any rank; empty if each saw what it should.
static std::string runFault(Fault fault, Mode mode) {
  RanksOptions options;
  if (fault == Fault::stalls)
    options.timeoutMs = stallTimeoutMs;
  Ranks ranks(4, options);
  moe_status expected = fault == Fault::dies     ? MOE_RANK_FAILED
                        : fault == Fault::stalls ? MOE_TIMEOUT
                                                 : MOE_OP_MISMATCH;
  std::vector<std::string> problems(4);
  ranks.run([&](moe_world &world) {
    int32_t self = world.rank();
    Exchange exchange(world, {1, 4, 1},
                      makeChunks(chunkCount, chunkCount, Whole::send, mode));
    // On the heap, and gone as soon as the rank has returned.
    std::vector<int32_t> counts(size_t(4) * chunkCount, 30),
        send(counts.size() * 30), receive(send.size());
    ChunkRows rows = {send.data(),          receive.data(),
                      int64_t(send.size()), int64_t(send.size()),
                      counts.data(),        counts.data()};
    if (self == faulty) {
      moe_status status = misbehave(ranks, fault, exchange, rows);
      moe_status own = fault == Fault::dies     ? MOE_OK
                       : fault == Fault::stalls ? MOE_ABORTED
                                                : MOE_OP_MISMATCH;
      if (status != own)
        problems[self] = text(moe_status_name(status), ": ", moe_last_error());
      return;
    }
    moe_status status = MOE_OK;
    for (int32_t i = 0; i < chunkCount && !status; ++i)
      status = exchange.start(i, rows);
    int64_t start = moe_clock();
    for (int32_t i = 0; i < chunkCount && !status; ++i)
      status = exchange.wait(i);
    double seconds = double(moe_clock() - start) * 1e-9;
    std::string message = moe_last_error();
    bool named = message.find(text("rank ", faulty)) != std::string::npos &&
                 message.find("all_to_all_v 'rows, ") != std::string::npos &&
                 message.find(", after ") != std::string::npos;
    double most = fault == Fault::stalls ? stallTimeoutMs * 1e-3 + 0.1 : 5;
    if (status != expected || !named || seconds > most)
      problems[self] =
          text(moe_status_name(status), ": ", message, ", ", seconds, " s");
  });
  for (int32_t rank = 0; rank < 4; ++rank)
    if (!problems[rank].empty())
      return text("rank ", rank, ": ", problems[rank]);
  return "";
}

static void checkFault(Fault fault) {
  for (Mode mode : {Mode::exact, Mode::padded}) {
    // Pieces that are all alike are said to be so.
    if (fault == Fault::wrongCount && mode == Mode::padded)
      continue;
    std::string problem = runFault(fault, mode);
    // Short deadlines pass on a busy machine for no fault of ours.
    for (int more = 0; more < 3 && fault == Fault::stalls && !problem.empty();
         ++more)
      problem = runFault(fault, mode);
    EXPECT_EQ("", problem) << name(mode);
  }
}

TEST(ChunkTest, ARankDies) { checkFault(Fault::dies); }
TEST(ChunkTest, ARankStalls) { checkFault(Fault::stalls); }
TEST(ChunkTest, ARankHasAnotherCount) { checkFault(Fault::wrongCount); }
TEST(ChunkTest, ARankHasAnotherTag) { checkFault(Fault::wrongTag); }
TEST(ChunkTest, ARankHasMissedAnExchange) { checkFault(Fault::wrongTurn); }
TEST(ChunkTest, ARankHasAnotherOrder) { checkFault(Fault::otherOrder); }

/// A function may end before it waits: what is under way is ended all the same.
TEST(ChunkTest, TheEndOfARunWaits) {
  Ranks ranks(2);
  ranks.run([&](moe_world &world) {
    Exchange exchange(world, {1, 2, 1}, makeChunks(2, 2, Whole::send));
    std::vector<int32_t> counts(4, 1), send = {1, 2, 3, 4}, receive(2, -1);
    EXPECT_MOE_OK(exchange.start(
        1, {send.data(), receive.data(), 4, 2, counts.data(), counts.data()}));
    exchange.end();
    int32_t own = world.rank() ? 4 : 2;
    EXPECT_EQ((std::vector<int32_t>{own, own}), receive);
  });
}

TEST(ChunkTest, WhoeverForgetsEndsTheWorld) {
  TemporaryFolder folder;
  RanksOptions options;
  options.flight = folder / "%r";
  Ranks ranks(2, options);
  ranks.run([&](moe_world &world) {
    std::vector<int32_t> counts(2, 1), send(2), receive(2);
    ChunkRows rows = {send.data(), receive.data(), 2,
                      2,           counts.data(),  counts.data()};
    Exchange exchange(world, {1, 2, 1}, makeChunks(1, 1, Whole::send));
    if (world.rank() == 0) {
      Exchange forgets(world, {1, 2, 1},
                       {makeCollective(CollectiveKind::barrier),
                        makeChunks(1, 1, Whole::send)[0]});
      EXPECT_MOE_OK(forgets.start(1, rows));
      return;
    }
    std::vector<Collective> table = {makeCollective(CollectiveKind::barrier)};
    Exchange waits(world, {1, 2, 1}, table);
    EXPECT_NE(MOE_OK, waits.run(0, nullptr, nullptr, 0, nullptr, nullptr));
  });
  ranks.close(0);
  std::string flight = readFile(folder / "0");
  EXPECT_NE(std::string::npos, flight.find("nobody has waited for it"))
      << flight;
}
