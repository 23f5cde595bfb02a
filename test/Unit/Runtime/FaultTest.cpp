//===- FaultTest.cpp - Ranks that do not do what they should --------------===//
//
// Part of moe-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Each operation with each fault, before it or in its last exchange: the others
// get the status that the fault has, in time, and keep it.
//
//===----------------------------------------------------------------------===//

#include "Ranks.h"

#include "moe/Runtime/Package.h"

#include <atomic>

using namespace moe::runtime;
using namespace moe::test;

namespace {
struct Subject {
  const char *label;
  CollectiveKind kind;
  Pattern pattern = Pattern::allToAll;
  Mode mode = Mode::exact;
  bool reduces = true;
  bool inHalves = false; ///< started, and then waited for

  bool ofTwo() const {
    return kind == CollectiveKind::send || kind == CollectiveKind::recv;
  }
  int32_t ranks() const { return ofTwo() ? 2 : 4; }
  int32_t faulty() const { return kind == CollectiveKind::send ? 0 : 1; }
};

enum class Fault { dies, stalls, wrongCount, wrongOrder, wrongTag, wrongTurn };
enum class Phase { before, middle };

/// What one rank of a trial has seen.
struct Outcome {
  moe_status first = MOE_OK; ///< of the operation before the fault
  moe_status status = MOE_OK, again = MOE_OK;
  std::string message;
  double seconds = 0; ///< of the call that failed
};
} // namespace

static const Subject subjects[] = {
    {"all_reduce", CollectiveKind::allReduce},
    {"all_reduce by slices", CollectiveKind::allReduce, Pattern::allToAll,
     Mode::exact, false},
    {"reduce_scatter", CollectiveKind::reduceScatter},
    {"all_gather", CollectiveKind::allGather},
    {"broadcast", CollectiveKind::broadcast},
    {"all_to_all", CollectiveKind::allToAll},
    {"all_to_all_v", CollectiveKind::allToAllV},
    {"point_to_point", CollectiveKind::allToAllV, Pattern::pointToPoint},
    {"hierarchical", CollectiveKind::allToAllV, Pattern::hierarchical},
    {"ring", CollectiveKind::allToAllV, Pattern::ring},
    {"padded", CollectiveKind::allToAllV, Pattern::allToAll, Mode::padded},
    {"start and wait", CollectiveKind::allToAllV, Pattern::allToAll,
     Mode::exact, true, true},
    {"start and wait, padded", CollectiveKind::allToAllV, Pattern::allToAll,
     Mode::padded, true, true},
    {"send", CollectiveKind::send},
    {"recv", CollectiveKind::recv},
    {"barrier", CollectiveKind::barrier}};

static constexpr int64_t stallTimeoutMs = 100;
/// The number of a collective that is none of the three in order.
static constexpr int32_t otherNumber = 3;

/// The same operation three times under three names, and another one.
static std::vector<Collective> makeTable(const Subject &subject, int32_t rank) {
  std::vector<Collective> table;
  for (const char *name : {"first", "second", "third"}) {
    CollectiveKind kind = subject.kind;
    if (subject.ofTwo())
      kind = rank == 0 ? CollectiveKind::send : CollectiveKind::recv;
    table.push_back(makeCollective(kind));
    table.back().name = name;
    table.back().peer = 1 - rank;
    table.back().pattern = subject.pattern;
    table.back().mode = subject.mode;
    table.back().bound = 3;
    table.back().root = subject.faulty();
    table.back().end = subject.inHalves;
  }
  table.push_back(makeCollective(subject.kind == CollectiveKind::barrier
                                     ? CollectiveKind::allReduce
                                     : CollectiveKind::barrier));
  table.back().name = "other";
  return table;
}

static moe_status call(Exchange &exchange, int32_t number,
                       bool inHalves = false) {
  float send[64] = {}, receive[64] = {};
  const int32_t counts[4] = {2, 2, 2, 2};
  if (!inHalves || number == otherNumber)
    return exchange.run(number, send, receive, 8, counts, counts);
  moe_status status =
      exchange.start(number, {send, receive, 8, 8, counts, counts});
  return status ? status : exchange.wait(number);
}

/// The first piece that is not empty gets shorter.
static void shorten(moe_transfer &transfer) {
  transfer.flags &= ~uint64_t(MOE_TRANSFER_EQUAL);
  int32_t members = transfer.reduce ? 1 : transfer.members;
  auto cut = [&](const moe_piece *pieces) {
    for (int32_t i = 0; i < members; ++i)
      if (i != transfer.self && pieces[i].bytes) {
        const_cast<moe_piece &>(pieces[i]).bytes -= 1;
        return true;
      }
    return false;
  };
  if (transfer.reduce)
    const_cast<moe_piece &>(transfer.send[0]).bytes -= 4;
  else if (!cut(transfer.send))
    cut(transfer.receive);
}

/// Exchanges of one operation on the faulty rank.
static int countExchanges(const Subject &subject) {
  RanksOptions options;
  options.reduces = subject.reduces;
  options.nodeRanks = 2;
  Ranks ranks(subject.ranks(), options);
  ranks.run([&](moe_world &world) {
    Exchange exchange(world, {1, world.size(), 1},
                      makeTable(subject, world.rank()));
    EXPECT_MOE_OK(call(exchange, 0, subject.inHalves));
  });
  return ranks.engine(subject.faulty()).started;
}

/// What the faulty rank does after the first operation.
static void misbehave(Ranks &ranks, const Subject &subject, Fault fault,
                      Phase phase, int exchanges, Exchange &exchange,
                      Outcome &outcome) {
  int32_t self = subject.faulty();
  TamperedEngine &engine = ranks.engine(self);
  auto stall = [] {
    std::this_thread::sleep_for(
        std::chrono::milliseconds(stallTimeoutMs * 8 / 5));
  };
  bool middle = phase == Phase::middle;
  engine.at = middle ? 2 * exchanges - 1 : exchanges;
  switch (fault) {
  case Fault::dies:
    if (!middle)
      return ranks.close(self);
    engine.after = [&] { engine.closeInner(); };
    break;
  case Fault::stalls:
    if (middle)
      engine.after = stall;
    else
      stall();
    break;
  case Fault::wrongCount:
    engine.before = shorten;
    break;
  case Fault::wrongOrder:
    outcome.status = call(exchange, middle ? 2 : otherNumber, subject.inHalves);
    return;
  case Fault::wrongTag:
    engine.before = [](moe_transfer &transfer) { transfer.tag ^= 1; };
    break;
  case Fault::wrongTurn:
    engine.before = [](moe_transfer &transfer) { ++transfer.sequence; };
    break;
  }
  outcome.status = call(exchange, 1, subject.inHalves);
  if (!outcome.status)
    outcome.status = call(exchange, 2, subject.inHalves);
}

static std::vector<Outcome> runTrial(const Subject &subject, Fault fault,
                                     Phase phase, int exchanges) {
  RanksOptions options;
  options.reduces = subject.reduces;
  options.nodeRanks = 2;
  if (fault == Fault::stalls)
    options.timeoutMs = stallTimeoutMs;
  Ranks ranks(subject.ranks(), options);
  std::vector<Outcome> outcomes(static_cast<size_t>(subject.ranks()));
  std::atomic<int32_t> ready{0};
  ranks.run([&](moe_world &world) {
    int32_t self = world.rank();
    Outcome &outcome = outcomes[static_cast<size_t>(self)];
    Exchange exchange(world, {1, world.size(), 1}, makeTable(subject, self));
    outcome.first = call(exchange, 0, subject.inHalves);
    // A fault may end what others have not yet seen the end of.
    for (++ready; ready < world.size();)
      std::this_thread::yield();
    if (self == subject.faulty())
      return misbehave(ranks, subject, fault, phase, exchanges, exchange,
                       outcome);
    for (int32_t number = 1; number <= 2 && !outcome.status; ++number) {
      int64_t start = moe_clock();
      outcome.status = call(exchange, number, subject.inHalves);
      outcome.seconds = static_cast<double>(moe_clock() - start) * 1e-9;
    }
    outcome.message = moe_last_error();
    Exchange after(world, {1, world.size(), 1}, makeTable(subject, self));
    outcome.again = call(after, 1, subject.inHalves);
  });
  return outcomes;
}

static moe_status expectedStatus(Fault fault) {
  return fault == Fault::dies     ? MOE_RANK_FAILED
         : fault == Fault::stalls ? MOE_TIMEOUT
                                  : MOE_OP_MISMATCH;
}

/// What is wrong with the outcome of a rank; empty if nothing is.
static std::string judge(const Subject &subject, Fault fault, int32_t rank,
                         const Outcome &outcome) {
  std::string problem;
  auto require = [&](bool holds, const auto &...what) {
    if (!holds && problem.empty())
      problem = text("rank ", rank, ": ", what...);
  };
  require(!outcome.first, "first operation: ", moe_status_name(outcome.first));
  moe_status expected = expectedStatus(fault);
  if (rank == subject.faulty()) {
    if (expected == MOE_OP_MISMATCH)
      require(outcome.status == expected, moe_status_name(outcome.status));
    if (fault == Fault::stalls)
      require(outcome.status == MOE_ABORTED, moe_status_name(outcome.status));
    return problem;
  }
  require(outcome.status == expected, moe_status_name(outcome.status), ": ",
          outcome.message);
  require(outcome.again == expected, "later: ", moe_status_name(outcome.again));
  auto mentions = [&](const std::string &part) {
    require(outcome.message.find(part) != std::string::npos, "no '", part,
            "' in: ", outcome.message);
  };
  mentions(text("rank ", rank, ": "));
  mentions(" over ep: ");
  if (fault == Fault::dies)
    mentions(text("rank ", subject.faulty(), " has ended, after "));
  else if (fault == Fault::stalls)
    mentions(text("rank ", subject.faulty(), " did not come, after "));
  else
    mentions(text("rank ", subject.faulty()));
  double limit = fault == Fault::stalls ? stallTimeoutMs * 1e-3 + 0.1 : 5;
  require(outcome.seconds < limit, outcome.seconds, " s");
  return problem;
}

static void checkFault(Fault fault) {
  for (const Subject &subject : subjects) {
    int exchanges = countExchanges(subject);
    for (Phase phase : {Phase::before, Phase::middle}) {
      // Rows between two have no names: one that is left out is not missed.
      if (fault == Fault::wrongOrder && phase == Phase::middle &&
          subject.ofTwo())
        continue;
      std::string problem;
      // Short deadlines pass on a busy machine for no fault of ours.
      for (int attempt = 0; attempt < 4; ++attempt) {
        std::vector<Outcome> outcomes =
            runTrial(subject, fault, phase, exchanges);
        problem.clear();
        for (size_t rank = 0; rank < outcomes.size() && problem.empty(); ++rank)
          problem =
              judge(subject, fault, static_cast<int32_t>(rank), outcomes[rank]);
        if (problem.empty() || fault != Fault::stalls)
          break;
      }
      EXPECT_EQ("", problem)
          << subject.label << (phase == Phase::before ? " before" : " middle");
    }
  }
}

TEST(FaultTest, ARankDies) { checkFault(Fault::dies); }
TEST(FaultTest, ARankStalls) { checkFault(Fault::stalls); }
TEST(FaultTest, ARankHasAnotherCount) { checkFault(Fault::wrongCount); }
TEST(FaultTest, ARankIsAtAnotherOperation) { checkFault(Fault::wrongOrder); }
TEST(FaultTest, ARankHasAnotherTag) { checkFault(Fault::wrongTag); }
TEST(FaultTest, ARankHasMissedAnExchange) { checkFault(Fault::wrongTurn); }

TEST(FaultTest, MismatchNamesBothSides) {
  Ranks ranks(2);
  ranks.run([&](moe_world &world) {
    Collective sum = makeCollective(CollectiveKind::allReduce);
    Collective wait = makeCollective(CollectiveKind::barrier);
    sum.name = "parts";
    wait.name = "";
    Exchange exchange(world, {1, 2, 1}, {sum, wait});
    EXPECT_STATUS(MOE_OP_MISMATCH, call(exchange, world.rank()),
                  "rank 0 is at all_reduce 'parts' over ep, rank 1 is at "
                  "barrier over ep, after ");
  });
  Ranks uneven(2);
  uneven.run([&](moe_world &world) {
    Exchange exchange =
        makeExchange(world, makeCollective(CollectiveKind::broadcast));
    float data[8] = {}, out[8] = {};
    EXPECT_STATUS(
        MOE_OP_MISMATCH,
        exchange.run(0, data, out, 4 + world.rank(), nullptr, nullptr),
        "broadcast 'test' over ep: rank 0 sends 16 bytes to rank 1, which "
        "expects 20, after ");
  });
}

TEST(FaultTest, AllWaitingForEachOther) {
  Ranks ranks(4);
  ranks.run([&](moe_world &world) {
    Collective barrier = makeCollective(CollectiveKind::barrier);
    Collective other = barrier;
    other.axes = tpAxis;
    Exchange exchange(world, {1, 2, 2}, {barrier, other});
    // 0 waits for 2 over ep, 1 for 0 over tp, 2 for 3 over tp, 3 for 1.
    int32_t number = world.rank() == 1 || world.rank() == 2;
    EXPECT_STATUS(MOE_OP_MISMATCH, call(exchange, number),
                  "all wait for others: rank 0 is at barrier 'test' over ep, "
                  "rank 1 is at barrier 'test' over tp");
  });
}

TEST(FaultTest, AbortFromAnotherThread) {
  TemporaryFolder folder;
  RanksOptions options;
  options.flight = folder / "%r";
  Ranks ranks(3, options);
  ranks.run([&](moe_world &world) {
    Exchange exchange =
        makeExchange(world, makeCollective(CollectiveKind::barrier));
    if (world.rank() == 2) {
      std::thread other([&] { moe_world_abort(&world, "disk is full"); });
      other.join();
      EXPECT_STATUS(MOE_ABORTED, call(exchange, 0),
                    "rank 2 ended the world: disk is full");
      return;
    }
    EXPECT_STATUS(MOE_RANK_FAILED, call(exchange, 0),
                  "barrier 'test' over ep: rank 2 ended the world: disk is "
                  "full, after ");
    EXPECT_THROW(exchange.end(), Error);
    EXPECT_THROW(exchange.begin(nullptr), Error);
  });
  // Also of a rank that has done nothing since.
  ranks.close(2);
  for (const char *rank : {"0", "1", "2"})
    EXPECT_NE(std::string::npos, readFile(folder / rank).find("disk is full"))
        << rank;
}

/// Whoever returns, well or not, may free its memory at once.
TEST(FaultTest, MemoryIsNotTouchedAfterReturning) {
  for (int seed = 0; seed < 60; ++seed) {
    RanksOptions options;
    options.timeoutMs = 1 + seed % 5;
    Ranks ranks(4, options);
    Numbers numbers(static_cast<uint64_t>(seed));
    int32_t late = static_cast<int32_t>(numbers.below(4));
    auto pause = std::chrono::microseconds(numbers.below(8000));
    ranks.run([&](moe_world &world) {
      Exchange exchange = makeExchange(
          world, makeCollective(CollectiveKind::allToAll, MOE_F32, 20000));
      for (int i = 0; i < 3; ++i) {
        std::vector<float> send(80000), receive(80000);
        if (world.rank() == late && i == 1)
          std::this_thread::sleep_for(pause);
        if (exchange.run(0, send.data(), receive.data(), 4, nullptr, nullptr))
          return;
      }
    });
  }
}
