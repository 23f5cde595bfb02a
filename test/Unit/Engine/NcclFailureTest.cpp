//===- NcclFailureTest.cpp - Exchanges over NCCL that fail ----------------===//
//
// Part of moe-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Ranks.h"

#include <atomic>
#include <thread>

using namespace moe::test;

namespace {
struct NcclFailure : NcclTest {
  /// Runs exchanges of `size` ranks, where each rank's is edited first; all of
  /// them are told of the first failure.
  template <typename Edit>
  void exchange(int32_t size, Edit &&edit,
                const std::function<void(Rank &, const Outcome &)> &check) {
    run(size, [&](Rank &rank) {
      Exchange exchange(rank.all(), rank.engine.rank, someSize);
      edit(rank, exchange);
      Outcome outcome = rank.exchange(exchange, 5000);
      if (outcome.status != MOE_OK)
        rank.engine.abort(rank.engine.self, outcome.status,
                          outcome.failure.text);
      check(rank, outcome);
    });
  }
  static uint64_t someSize(int32_t from, int32_t to) {
    int64_t bytes = from + int64_t(10) * to;
    return static_cast<uint64_t>(100 + bytes);
  }
};

} // namespace

TEST_F(NcclFailure, OtherSizes) {
  mayComplain = true;
  exchange(
      3,
      [](Rank &rank, Exchange &exchange) {
        if (rank.engine.rank == 1)
          exchange.send[2].bytes = 7;
      },
      [&](Rank &rank, const Outcome &outcome) {
        // Nothing was wrong between rank 0 and the others.
        if (rank.engine.rank == 0 && outcome.status == MOE_OK)
          return;
        EXPECT_OUTCOME(MOE_OP_MISMATCH, "rank 1 sends 7 bytes, expected 121",
                       outcome);
      });
}

TEST_F(NcclFailure, OtherOperations) {
  mayComplain = true;
  exchange(
      2,
      [](Rank &rank, Exchange &exchange) {
        if (rank.engine.rank == 1) {
          exchange.transfer.tag = 8;
          exchange.transfer.what = "all_reduce 'parts' over tp";
        }
      },
      [](Rank &rank, const Outcome &outcome) {
        EXPECT_EQ(MOE_OP_MISMATCH, outcome.status);
        std::string text = outcome.text();
        EXPECT_TRUE(
            text.find("rank 1 is at all_reduce 'parts' over tp, expected rows "
                      "to experts") != text.npos ||
            text.find("rank 0 is at rows to experts, expected all_reduce "
                      "'parts' over tp") != text.npos)
            << text;
      });
}

TEST_F(NcclFailure, OneHasDoneMore) {
  mayComplain = true;
  run(2, [](Rank &rank) {
    Exchange exchange(rank.all(), rank.engine.rank, someSize);
    exchange.transfer.sequence = rank.engine.rank == 0 ? 3 : 4;
    moe_engine_request *request = nullptr;
    EXPECT_OK(rank.start(exchange.transfer, &request));
    EXPECT_OUTCOME(MOE_OP_MISMATCH, "of the group, expected ",
                   rank.wait(request));
  });
}

TEST_F(NcclFailure, OneHasEqualPieces) {
  mayComplain = true;
  run(2, [](Rank &rank) {
    Exchange exchange(rank.all(), rank.engine.rank,
                      [](int32_t, int32_t) { return 16; });
    exchange.transfer.flags = rank.engine.rank ? MOE_TRANSFER_EQUAL : 0;
    EXPECT_OUTCOME(MOE_OP_MISMATCH, "expected ", rank.exchange(exchange));
  });
}

TEST_F(NcclFailure, AnotherGroup) {
  mayComplain = true;
  run(3, [](Rank &rank) {
    int32_t self = rank.engine.rank;
    std::vector<int32_t> ranks =
        self == 2 ? std::vector<int32_t>{1, 2} : rank.all();
    Exchange exchange(ranks, self, someSize);
    Outcome outcome = rank.exchange(exchange, 3000);
    if (outcome.status != MOE_OK)
      rank.engine.abort(rank.engine.self, outcome.status, outcome.failure.text);
    EXPECT_OUTCOME(MOE_OP_MISMATCH,
                   "is at rows to experts of another group, expected rows to",
                   outcome);
  });
}

TEST_F(NcclFailure, AfterAFailureNothingStarts) {
  run(2, [](Rank &rank) {
    rank.engine.abort(rank.engine.self, MOE_NOT_FINITE, "a number is not one");
    Exchange exchange(rank.all(), rank.engine.rank, someSize);
    for (int times = 0; times < 2; ++times)
      EXPECT_OUTCOME(MOE_NOT_FINITE, "a number is not one",
                     rank.exchange(exchange));
  });
}

TEST_F(NcclFailure, LateRank) {
  std::atomic<int> late{0};
  run(4, [&](Rank &rank) {
    if (rank.engine.rank == 2) {
      while (late < 3)
        std::this_thread::yield();
      return;
    }
    Exchange exchange(rank.all(), rank.engine.rank, someSize);
    int64_t begin = in(0);
    Outcome outcome = rank.exchange(exchange, 300);
    EXPECT_GT(secondsSince(begin), 0.299);
    EXPECT_LT(secondsSince(begin), 1.0);
    EXPECT_OUTCOME(MOE_TIMEOUT, "rank 2 did not come", outcome);
    EXPECT_EQ(2, outcome.failure.rank);
    ++late;
  });
}

TEST_F(NcclFailure, LateRanksAreAllNamed) {
  std::atomic<bool> done{false};
  run(4, [&](Rank &rank) {
    if (rank.engine.rank != 0) {
      while (!done)
        std::this_thread::yield();
      return;
    }
    Exchange exchange(rank.all(), rank.engine.rank, someSize);
    EXPECT_OUTCOME(MOE_TIMEOUT, "ranks 1 to 3 did not come",
                   rank.exchange(exchange, 200));
    done = true;
  });
}

TEST_F(NcclFailure, WhoComesAfterTheDeadline) {
  std::atomic<bool> late{false};
  run(2, [&](Rank &rank) {
    Exchange exchange(rank.all(), rank.engine.rank, someSize);
    if (rank.engine.rank == 0) {
      Outcome outcome = rank.exchange(exchange, 100);
      EXPECT_OUTCOME(MOE_TIMEOUT, "rank 1 did not come", outcome);
      rank.engine.abort(rank.engine.self, outcome.status, outcome.failure.text);
      late = true;
      return;
    }
    while (!late)
      std::this_thread::yield();
    // Its engine may not have heard yet, and then hears when it waits.
    Outcome outcome = rank.exchange(exchange);
    EXPECT_OUTCOME(outcome.status == MOE_TIMEOUT ? MOE_TIMEOUT : MOE_ABORTED,
                   "rank 1 did not come", outcome);
    EXPECT_OUTCOME(MOE_ABORTED, "rank 1 did not come", rank.exchange(exchange));
  });
}

TEST_F(NcclFailure, NcclStalls) {
  fake_nccl_reset("stall=ncclGroupEnd@0");
  run(2, [](Rank &rank) {
    Exchange exchange(rank.all(), rank.engine.rank, someSize);
    EXPECT_OUTCOME(MOE_TIMEOUT, "all ranks came, but NCCL did not end",
                   rank.exchange(exchange, 300));
  });
}

TEST_F(NcclFailure, RemoteError) {
  fake_nccl_reset("remote=ncclGroupEnd@1");
  exchange(
      2, [](Rank &, Exchange &) {},
      [](Rank &rank, const Outcome &outcome) {
        EXPECT_OUTCOME(MOE_RANK_FAILED, "remote process exited", outcome);
      });
}

TEST_F(NcclFailure, AbortedWhileWaiting) {
  run(3, [](Rank &rank) {
    if (rank.engine.rank == 1) {
      rank.engine.abort(rank.engine.self, MOE_NOT_FINITE, "NaN in the logits");
      return;
    }
    Exchange exchange(rank.all(), rank.engine.rank, someSize);
    Outcome outcome = rank.exchange(exchange);
    EXPECT_OUTCOME(MOE_NOT_FINITE, "NaN in the logits", outcome);
    EXPECT_EQ(1, outcome.failure.rank);
    uint8_t failed[3] = {};
    rank.engine.failed(rank.engine.self, failed);
    EXPECT_FALSE(failed[0]);
    EXPECT_TRUE(failed[1]);
    EXPECT_FALSE(failed[2]);
  });
}

TEST_F(NcclFailure, AbortedByAnotherThread) {
  std::atomic<int> ended{0};
  run(2, [&](Rank &rank) {
    if (rank.engine.rank == 1) {
      while (!ended)
        std::this_thread::yield();
      return;
    }
    Exchange exchange(rank.all(), rank.engine.rank, someSize);
    moe_engine_request *request = nullptr;
    EXPECT_OK(rank.start(exchange.transfer, &request));
    std::thread other([&] {
      for (int i = 0; i < 3; ++i)
        rank.engine.abort(rank.engine.self, MOE_ABORTED, "enough");
    });
    EXPECT_OUTCOME(MOE_ABORTED, "enough", rank.wait(request));
    other.join();
    ++ended;
  });
}

TEST_F(NcclFailure, ClosedWhileOthersWait) {
  run(2, [](Rank &rank) {
    if (rank.engine.rank == 1)
      return rank.close();
    Exchange exchange(rank.all(), rank.engine.rank, someSize);
    EXPECT_OUTCOME(MOE_RANK_FAILED, "rank 1 has ended",
                   rank.exchange(exchange));
  });
}

TEST_F(NcclFailure, ACallThatHangsHoldsUpNobody) {
  fake_nccl_reset("hang=ncclGroupEnd@1");
  run(2, [](Rank &rank) {
    Exchange exchange(rank.all(), rank.engine.rank, someSize);
    int64_t begin = in(0);
    Outcome outcome =
        rank.exchange(exchange, rank.engine.rank == 1 ? 300 : 10000);
    rank.engine.abort(rank.engine.self, outcome.status, outcome.failure.text);
    EXPECT_LT(secondsSince(begin), 2.0);
    EXPECT_OUTCOME(MOE_TIMEOUT, " did not ", outcome);
  });
  fake_nccl_reset("");
  std::this_thread::sleep_for(std::chrono::milliseconds(200));
}

TEST_F(NcclFailure, AnAbortThatHangsIsLeftAlone) {
  mayLeak = true;
  fake_nccl_reset("hang=ncclCommAbort@0");
  int64_t begin = in(0);
  exchange(
      2,
      [](Rank &rank, Exchange &exchange) {
        exchange.transfer.tag = static_cast<uint64_t>(rank.engine.rank);
      },
      [](Rank &, const Outcome &outcome) {
        EXPECT_NE(MOE_OK, outcome.status);
      });
  EXPECT_LT(secondsSince(begin), 10);
  mayComplain = true;
  fake_nccl_reset("");
  std::this_thread::sleep_for(std::chrono::milliseconds(200));
}

TEST_F(NcclFailure, AFinalizeThatStallsIsAborted) {
  fake_nccl_reset("stall=ncclCommFinalize");
  run(2, [](Rank &rank) {
    Exchange exchange(rank.all(), rank.engine.rank, someSize);
    EXPECT_OK(rank.exchange(exchange));
  });
  expectNoLeaks();
  EXPECT_EQ(2, fakeCalls("ncclCommAbort"));
  EXPECT_EQ(0, fakeCalls("ncclCommDestroy"));
}

/// Whatever call fails, all ranks get to know, and nothing stays behind.
TEST_F(NcclFailure, EachCall) {
  for (const char *call :
       {"ncclSend@0", "ncclSend:2@1", "ncclRecv@1", "ncclRecv:2@2",
        "ncclGroupEnd@0", "ncclCommInitRankConfig:2@1", "cuMemAlloc:1",
        "cuMemAlloc:4", "cuMemcpyHtoDAsync:2", "cuMemcpyDtoHAsync:1",
        "cuEventCreate:5", "cuEventQuery:20"}) {
    SCOPED_TRACE(call);
    fake_nccl_reset((std::string("fail=") + call).c_str());
    std::atomic<int> failures{0};
    open(3, 10000, [&](Rank &rank) {
      if (rank.opened.status != MOE_OK) {
        ++failures;
        return;
      }
      for (int round = 0; round < 4; ++round)
        for (const auto &ranks : {rank.all(), std::vector<int32_t>{0, 1}}) {
          if (rank.engine.rank >= static_cast<int32_t>(ranks.size()))
            continue;
          Exchange exchange(ranks, rank.engine.rank, someSize);
          Outcome outcome = rank.exchange(exchange, 10000);
          if (outcome.status == MOE_OK)
            continue;
          EXPECT_EQ(MOE_RANK_FAILED, outcome.status) << outcome.text();
          rank.engine.abort(rank.engine.self, outcome.status,
                            outcome.failure.text);
          ++failures;
          return;
        }
    });
    EXPECT_EQ(failures, 3);
    expectNoLeaks();
  }
}
