//===- NcclExchangeTest.cpp - Exchanges over NCCL -------------------------===//
//
// Part of moe-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Ranks.h"

#include <atomic>

using namespace moe::test;

namespace {
struct NcclExchange : NcclTest {};

/// Odd numbers of bytes, many of them none.
uint64_t oddSize(int32_t from, int32_t to) {
  int32_t kind = (3 * from + 5 * to) % 4;
  return kind == 0 ? 0 : uint64_t(131) * kind + from + 1;
}
} // namespace

extern "C" {
int cuCtxSetCurrent(void *context);
int cuMemAlloc_v2(unsigned long long *address, size_t bytes);
int cuMemFree_v2(unsigned long long address);
}

TEST_F(NcclExchange, OddAndEmptyPieces) {
  for (int32_t size : {2, 3, 4})
    run(size, [&](Rank &rank) {
      EXPECT_STREQ("nccl", rank.engine.name);
      EXPECT_EQ(size, rank.engine.size);
      for (int round = 0; round < 5; ++round) {
        Exchange exchange(rank.all(), rank.engine.rank, oddSize);
        EXPECT_OK(rank.exchange(exchange));
        EXPECT_TRUE(exchange.isRight());
      }
    });
}

TEST_F(NcclExchange, LargePieces) {
  run(3, [](Rank &rank) {
    Exchange exchange(rank.all(), rank.engine.rank, [](int32_t a, int32_t b) {
      int64_t more = int64_t(1000) * a + b;
      return static_cast<uint64_t>(3000000 + more);
    });
    EXPECT_OK(rank.exchange(exchange));
    EXPECT_TRUE(exchange.isRight());
  });
}

TEST_F(NcclExchange, GroupsWithinOneAnother) {
  run(4, [](Rank &rank) {
    int32_t self = rank.engine.rank;
    for (int round = 0; round < 3; ++round) {
      std::vector<int32_t> pair = {self % 2, self % 2 + 2};
      for (const auto &ranks : {pair, rank.all(), std::vector<int32_t>{self}}) {
        Exchange exchange(ranks, self, oddSize);
        EXPECT_OK(rank.exchange(exchange));
        EXPECT_TRUE(exchange.isRight());
      }
    }
  });
}

TEST_F(NcclExchange, GroupsOfOneNeverReachNccl) {
  run(1, [](Rank &rank) {
    Exchange exchange({0}, 0, [](int32_t, int32_t) { return 100; });
    exchange.transfer.flags = MOE_TRANSFER_EQUAL;
    EXPECT_OK(rank.exchange(exchange));
    EXPECT_TRUE(exchange.isRight());
  });
  EXPECT_EQ(0, fakeCalls("ncclCommInitRankConfig"));
  EXPECT_EQ(0, fakeCalls("ncclGroupStart"));
  EXPECT_EQ(0, fakeCalls("ncclAlltoAll"));
}

TEST_F(NcclExchange, SeveralUnderWay) {
  run(3, [](Rank &rank) {
    constexpr size_t count = 4;
    std::vector<std::unique_ptr<Exchange>> exchanges;
    std::vector<moe_engine_request *> requests(count);
    for (size_t i = 0; i < count; ++i) {
      exchanges.push_back(
          std::make_unique<Exchange>(rank.all(), rank.engine.rank, oddSize));
      exchanges[i]->transfer.sequence = i;
      EXPECT_OK(rank.start(exchanges[i]->transfer, &requests[i]));
    }
    for (size_t i = count; i-- > 0;) {
      EXPECT_OK(rank.wait(requests[i]));
      EXPECT_TRUE(exchanges[i]->isRight());
    }
  });
}

TEST_F(NcclExchange, Polled) {
  run(2, [](Rank &rank) {
    Exchange exchange(rank.all(), rank.engine.rank, oddSize);
    moe_engine_request *request = nullptr;
    EXPECT_OK(rank.start(exchange.transfer, &request));
    int64_t begin = in(0);
    moe_status status;
    while ((status = rank.poll(request).status) == MOE_IN_PROGRESS)
      ASSERT_LT(secondsSince(begin), 20);
    EXPECT_EQ(MOE_OK, status);
    EXPECT_TRUE(exchange.isRight());
  });
}

TEST_F(NcclExchange, NothingIsABarrier) {
  std::atomic<int> came{0};
  run(4, [&](Rank &rank) {
    Exchange warm(rank.all(), rank.engine.rank, oddSize);
    EXPECT_OK(rank.exchange(warm));
    for (int round = 1; round <= 5; ++round) {
      ++came;
      Exchange nothing(rank.all(), rank.engine.rank,
                       [](int32_t, int32_t) { return 0; });
      EXPECT_OK(rank.exchange(nothing));
      EXPECT_GE(came, 4 * round);
    }
  });
}

/// Runs one exchange of equal pieces.
static void exchangeEqual(Rank &rank) {
  Exchange exchange(rank.all(), rank.engine.rank,
                    [](int32_t, int32_t) { return 77; });
  exchange.transfer.flags = MOE_TRANSFER_EQUAL;
  EXPECT_OK(rank.exchange(exchange));
  EXPECT_TRUE(exchange.isRight());
}

TEST_F(NcclExchange, EqualPiecesAreOneCall) {
  run(3, exchangeEqual);
  EXPECT_EQ(3, fakeCalls("ncclAlltoAll"));
  EXPECT_EQ(0, fakeCalls("ncclSend"));
}

TEST_F(NcclExchange, EqualPiecesBefore228) {
  fake_nccl_reset("version=22703");
  run(3, exchangeEqual);
  EXPECT_EQ(0, fakeCalls("ncclAlltoAll"));
  EXPECT_EQ(6, fakeCalls("ncclSend"));
}

TEST_F(NcclExchange, EmptyPairsAreSkipped) {
  run(3, [](Rank &rank) {
    // Only rank 0 sends, and only to rank 2.
    Exchange exchange(rank.all(), rank.engine.rank, [](int32_t a, int32_t b) {
      return a == 0 && b == 2 ? 5 : 0;
    });
    EXPECT_OK(rank.exchange(exchange));
    EXPECT_TRUE(exchange.isRight());
  });
  EXPECT_EQ(1, fakeCalls("ncclSend"));
  EXPECT_EQ(1, fakeCalls("ncclRecv"));
}

TEST_F(NcclExchange, MemoryOfTheDeviceIsUsedWhereItIs) {
  run(2, [](Rank &rank) {
    static char some;
    cuCtxSetCurrent(&some);
    constexpr size_t bytes = 64;
    unsigned long long block = 0;
    ASSERT_EQ(0, cuMemAlloc_v2(&block, 4 * bytes));
    auto *memory = reinterpret_cast<char *>(block);
    int32_t self = rank.engine.rank;
    for (size_t i = 0; i < 2 * bytes; ++i)
      memory[i] = static_cast<char>(self * 50 + static_cast<int>(i / bytes));
    Exchange exchange(rank.all(), self, [](int32_t, int32_t) { return bytes; });
    for (size_t i = 0; i < 2; ++i) {
      exchange.send[i].data = memory + i * bytes;
      exchange.receive[i].data = memory + (2 + i) * bytes;
    }
    EXPECT_OK(rank.exchange(exchange));
    for (size_t from = 0; from < 2; ++from)
      EXPECT_EQ(static_cast<char>(static_cast<int>(from) * 50 + self),
                memory[(2 + from) * bytes]);
    EXPECT_EQ(0, cuMemFree_v2(block));
  });
  EXPECT_EQ(0, fakeCalls("cuMemcpyHtoDAsync"));
  EXPECT_EQ(0, fakeCalls("cuMemcpyDtoHAsync"));
}

TEST_F(NcclExchange, BadTransfers) {
  run(2, [](Rank &rank) {
    auto refused = [&](const char *words, auto &&edit) {
      Exchange exchange(rank.all(), rank.engine.rank,
                        [](int32_t, int32_t) { return 8; });
      edit(exchange);
      EXPECT_OUTCOME(MOE_INVALID_ARGUMENT, words, rank.exchange(exchange));
    };
    refused("does not sum",
            [](Exchange &e) { e.transfer.reduce = MOE_REDUCE_SUM; });
    refused("without ranks or pieces",
            [](Exchange &e) { e.transfer.send = nullptr; });
    refused("this rank is member 5 of 2",
            [](Exchange &e) { e.transfer.self = 5; });
    refused("and this is rank",
            [](Exchange &e) { e.transfer.self = 1 - e.transfer.self; });
    refused("sends itself 8 bytes and receives 4", [&](Exchange &e) {
      e.receive[static_cast<size_t>(e.transfer.self)].bytes = 4;
    });
    refused("is null", [](Exchange &e) { e.send[0].data = nullptr; });
    refused("have other sizes", [&](Exchange &e) {
      e.transfer.flags = MOE_TRANSFER_EQUAL;
      e.send[1].bytes = 4;
    });
    int32_t ranks[] = {rank.engine.rank, 9};
    refused("member 1 is rank 9, expected ranks below 2 in ascending order",
            [&](Exchange &e) {
              e.transfer.ranks = ranks;
              e.transfer.self = 0;
            });
  });
}
