//===- CollectiveTest.cpp - Collectives against plain loops ---------------===//
//
// Part of moe-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
// What each rank ends up with, to the bit, for one to eight ranks.
//
//===----------------------------------------------------------------------===//

#include "Ranks.h"

#include "Runtime/Collective/Reduce.h"
#include "Runtime/DType.h"

#include <cmath>
#include <cstring>

using namespace moe::runtime;
using namespace moe::test;

using Bytes = std::vector<char>;

static double valueAt(moe_element dtype, const char *data, int64_t i) {
  auto read = [&](auto value) {
    std::memcpy(&value, data + i * static_cast<int64_t>(sizeof value),
                sizeof value);
    return value;
  };
  auto fromBits = [](uint32_t bits) {
    float out;
    std::memcpy(&out, &bits, sizeof out);
    return out;
  };
  switch (dtype) {
  case MOE_F32:
    return read(float());
  case MOE_F64:
    return read(double());
  case MOE_BF16:
    return fromBits(uint32_t(read(uint16_t())) << 16);
  case MOE_F16:
    return fromBits(f16ToF32Bits(read(uint16_t())));
  case MOE_I32:
    return read(int32_t());
  case MOE_I64:
    return static_cast<double>(read(int64_t()));
  case MOE_BYTE:
    break;
  }
  return 0;
}

static void setAt(moe_element dtype, char *data, int64_t i, double value) {
  auto write = [&](auto out) {
    std::memcpy(data + i * static_cast<int64_t>(sizeof out), &out, sizeof out);
  };
  switch (dtype) {
  case MOE_F32:
    return write(static_cast<float>(value));
  case MOE_F64:
    return write(value);
  case MOE_BF16:
    return write(toBf16(static_cast<float>(value)));
  case MOE_F16:
    return write(toF16(static_cast<float>(value)));
  case MOE_I32:
    return write(static_cast<int32_t>(value));
  case MOE_I64:
    return write(static_cast<int64_t>(value));
  case MOE_BYTE:
    return;
  }
}

/// Values whose sums depend on their order.
static Bytes randomValues(moe_element dtype, int64_t count, uint64_t seed) {
  Numbers numbers(seed);
  Bytes out(static_cast<size_t>(count * bytes(dtype)));
  for (int64_t i = 0; i < count; ++i) {
    double value = static_cast<double>(numbers.below(2000001) - 1000000);
    if (dtype != MOE_I32 && dtype != MOE_I64)
      value = std::ldexp(value / 3e6, static_cast<int>(numbers.below(12)) - 6);
    setAt(dtype, out.data(), i, value);
  }
  return out;
}

/// One element after the other, with a sum of the type that is promised.
static Bytes plainReduce(moe_element dtype, moe_reduction reduce,
                         const std::vector<Bytes> &values, int64_t count) {
  Bytes out(static_cast<size_t>(count * bytes(dtype)));
  for (int64_t i = 0; i < count; ++i) {
    double sum = valueAt(dtype, values[0].data(), i);
    for (size_t rank = 1; rank < values.size(); ++rank) {
      double value = valueAt(dtype, values[rank].data(), i);
      if (reduce == MOE_REDUCE_MAX)
        sum = std::max(sum, value);
      else if (reduce == MOE_REDUCE_MIN)
        sum = std::min(sum, value);
      else if (dtype == MOE_F64 || dtype == MOE_I32 || dtype == MOE_I64)
        sum += value;
      else
        sum = static_cast<float>(sum) + static_cast<float>(value);
    }
    setAt(dtype, out.data(), i, sum);
  }
  return out;
}

static constexpr moe_element allTypes[] = {MOE_F32, MOE_F64, MOE_BF16,
                                           MOE_F16, MOE_I32, MOE_I64};

static void checkAllReduce(Ranks &ranks, moe_element dtype,
                           moe_reduction reduce, int64_t count, bool inPlace) {
  std::vector<Bytes> values;
  for (int32_t rank = 0; rank < ranks.size(); ++rank)
    values.push_back(
        randomValues(dtype, count, static_cast<uint64_t>(count * 100 + rank)));
  Bytes expected = plainReduce(dtype, reduce, values, count);
  ranks.run([&](moe_world &world) {
    Collective collective = makeCollective(CollectiveKind::allReduce, dtype);
    collective.reduce = reduce;
    Exchange exchange = makeExchange(world, collective);
    Bytes send = values[static_cast<size_t>(world.rank())];
    Bytes other(send.size());
    Bytes &receive = inPlace ? send : other;
    for (int i = 0; i < (inPlace ? 1 : 2); ++i) {
      EXPECT_MOE_OK(moe_status(moe_collective(
          &exchange, 0, send.data(), receive.data(), count, nullptr, nullptr)));
      EXPECT_EQ(expected, receive)
          << name(dtype) << ' ' << name(reduce) << ' ' << count << " on "
          << world.rank() << " of " << world.size();
    }
  });
}

TEST(CollectiveTest, SumsAreTakenInTheOrderOfRanks) {
  for (bool reduces : {true, false})
    for (int32_t size = 1; size <= 8; ++size) {
      RanksOptions options;
      options.reduces = reduces;
      Ranks ranks(size, options);
      for (moe_element dtype : allTypes)
        for (int64_t count : {0, 1, 7, 1500})
          for (moe_reduction reduce :
               {MOE_REDUCE_SUM, MOE_REDUCE_MAX, MOE_REDUCE_MIN})
            if (reduce == MOE_REDUCE_SUM || count == 7)
              checkAllReduce(ranks, dtype, reduce, count, count == 7);
      checkAllReduce(ranks, MOE_F32, MOE_REDUCE_SUM, 50001, size % 2);
      checkAllReduce(ranks, MOE_BF16, MOE_REDUCE_SUM, 50001, size % 2 == 0);
    }
}

TEST(CollectiveTest, NaNWinsAndIntegersWrap) {
  float nan = std::nanf(""), one = 1;
  int32_t large = INT32_MAX, two = 2, wrapped = 0;
  float most = 0;
  for (int turn = 0; turn < 2; ++turn) {
    const void *from[] = {turn ? &nan : &one, turn ? &one : &nan};
    reduceInOrder(
        MOE_REDUCE_MAX, MOE_F32, 2,
        [&](int32_t i) { return static_cast<const char *>(from[i]); }, 1,
        [&](int32_t) { return reinterpret_cast<char *>(&most); }, 4);
    EXPECT_TRUE(std::isnan(most));
  }
  const void *integers[] = {&large, &two};
  reduceInOrder(
      MOE_REDUCE_SUM, MOE_I32, 2,
      [&](int32_t i) { return static_cast<const char *>(integers[i]); }, 1,
      [&](int32_t) { return reinterpret_cast<char *>(&wrapped); }, 4);
  EXPECT_EQ(INT32_MIN + 1, wrapped);
}

/// Rows of each member: some have none.
static std::vector<int64_t> randomRows(int32_t size, Numbers &numbers) {
  std::vector<int64_t> rows;
  for (int32_t i = 0; i < size; ++i)
    rows.push_back(numbers.below(3) ? numbers.below(40) : 0);
  return rows;
}

TEST(CollectiveTest, ReduceScatterOfRaggedRows) {
  Numbers numbers(1);
  for (int32_t size = 1; size <= 8; ++size)
    for (moe_element dtype : allTypes) {
      Ranks ranks(size);
      const int64_t row = 5;
      std::vector<int64_t> rows = randomRows(size, numbers);
      int64_t total = 0;
      for (int64_t count : rows)
        total += count;
      std::vector<Bytes> values;
      for (int32_t rank = 0; rank < size; ++rank)
        values.push_back(randomValues(dtype, total * row, numbers.next()));
      Bytes expected = plainReduce(dtype, MOE_REDUCE_SUM, values, total * row);
      ranks.run([&](moe_world &world) {
        size_t self = static_cast<size_t>(world.rank());
        Exchange exchange = makeExchange(
            world, makeCollective(CollectiveKind::reduceScatter, dtype, row));
        int64_t before = 0;
        for (size_t i = 0; i < self; ++i)
          before += rows[i];
        int64_t each = row * bytes(dtype);
        Bytes receive(static_cast<size_t>(rows[self] * each));
        EXPECT_MOE_OK(exchange.run(0, values[self].data(), receive.data(),
                                   rows[self], nullptr, nullptr));
        EXPECT_EQ(Bytes(expected.begin() + before * each,
                        expected.begin() + (before + rows[self]) * each),
                  receive);
      });
    }
}

TEST(CollectiveTest, AllGatherOfRaggedRows) {
  Numbers numbers(2);
  for (int32_t size = 1; size <= 8; ++size) {
    Ranks ranks(size);
    for (int64_t row : {1, 3, 1000}) {
      std::vector<int64_t> rows = randomRows(size, numbers);
      std::vector<Bytes> values;
      Bytes expected;
      for (int64_t count : rows) {
        values.push_back(randomValues(MOE_F32, count * row, numbers.next()));
        expected.insert(expected.end(), values.back().begin(),
                        values.back().end());
      }
      ranks.run([&](moe_world &world) {
        size_t self = static_cast<size_t>(world.rank());
        Exchange exchange = makeExchange(
            world, makeCollective(CollectiveKind::allGather, MOE_F32, row));
        Bytes receive(expected.size());
        EXPECT_MOE_OK(exchange.run(0, values[self].data(), receive.data(),
                                   rows[self], nullptr, nullptr));
        EXPECT_EQ(expected, receive);
      });
    }
  }
}

TEST(CollectiveTest, BroadcastFromEachRoot) {
  for (int32_t size = 1; size <= 8; ++size)
    for (int32_t root = 0; root < size; ++root) {
      Ranks ranks(size);
      Bytes expected = randomValues(MOE_I64, 77, static_cast<uint64_t>(root));
      ranks.run([&](moe_world &world) {
        Collective collective =
            makeCollective(CollectiveKind::broadcast, MOE_I64, 7);
        collective.root = root;
        Exchange exchange = makeExchange(world, collective);
        Bytes send = world.rank() == root ? expected : Bytes(expected.size());
        Bytes receive(expected.size());
        EXPECT_MOE_OK(
            exchange.run(0, send.data(), receive.data(), 11, nullptr, nullptr));
        EXPECT_EQ(expected, receive);
      });
    }
}

TEST(CollectiveTest, SendAndReceiveAroundARing) {
  for (int32_t size = 2; size <= 8; ++size) {
    Ranks ranks(size);
    ranks.run([&](moe_world &world) {
      int32_t self = world.rank();
      Collective send = makeCollective(CollectiveKind::send, MOE_I32, 3);
      Collective recv = makeCollective(CollectiveKind::recv, MOE_I32, 3);
      send.peer = (self + 1) % size;
      recv.peer = (self + size - 1) % size;
      Exchange exchange(world, {1, size, 1}, {send, recv});
      std::vector<int32_t> out(12, self), in(12, -1);
      // Someone must receive first.
      for (int turn = 0; turn < 2; ++turn)
        if ((self == 0) == (turn == 0))
          EXPECT_MOE_OK(
              exchange.run(0, out.data(), nullptr, 4, nullptr, nullptr));
        else
          EXPECT_MOE_OK(
              exchange.run(1, nullptr, in.data(), 4, nullptr, nullptr));
      EXPECT_EQ(std::vector<int32_t>(12, recv.peer), in);
    });
  }
}

TEST(CollectiveTest, NobodyPassesABarrierEarly) {
  for (int32_t size = 1; size <= 8; ++size) {
    Ranks ranks(size);
    std::atomic<int32_t> come{0};
    ranks.run([&](moe_world &world) {
      Exchange exchange =
          makeExchange(world, makeCollective(CollectiveKind::barrier));
      for (int32_t round = 1; round <= 20; ++round) {
        if (world.rank() == round % size)
          std::this_thread::sleep_for(std::chrono::microseconds(200));
        ++come;
        EXPECT_MOE_OK(exchange.run(0, nullptr, nullptr, 0, nullptr, nullptr));
        EXPECT_GE(come.load(), round * size);
      }
    });
  }
}

TEST(CollectiveTest, GroupsOverEverySetOfAxes) {
  const Grid grid{2, 2, 2};
  Ranks ranks(8);
  ranks.run([&](moe_world &world) {
    int32_t self = world.rank();
    std::vector<Collective> table;
    for (int32_t axes = 1; axes <= allAxes; ++axes) {
      table.push_back(makeCollective(CollectiveKind::allGather, MOE_I32));
      table.back().axes = axes;
    }
    Exchange exchange(world, grid, table);
    for (int32_t axes = 1; axes <= allAxes; ++axes) {
      // Bits of a rank's number are its indices: tp is the lowest.
      int32_t bits = (axes & tpAxis ? 1 : 0) | (axes & epAxis ? 2 : 0) |
                     (axes & dpAxis ? 4 : 0);
      std::vector<int32_t> expected;
      for (int32_t rank = 0; rank < 8; ++rank)
        if (!((rank ^ self) & ~bits))
          expected.push_back(rank);
      std::vector<int32_t> all(expected.size(), -1);
      EXPECT_MOE_OK(
          exchange.run(axes - 1, &self, all.data(), 1, nullptr, nullptr));
      EXPECT_EQ(expected, all) << describeAxes(axes);
      int32_t member = moe_member(&exchange, axes);
      ASSERT_LT(static_cast<size_t>(member), expected.size());
      EXPECT_EQ(self, expected[static_cast<size_t>(member)]);
    }
  });
}

TEST(CollectiveTest, AxesOfUnequalSizes) {
  EXPECT_EQ((std::vector<int32_t>{1, 3, 5, 7, 9, 11}),
            groupRanks({2, 3, 2}, 7, dpAxis | epAxis));
  EXPECT_EQ((std::vector<int32_t>{6, 7}), groupRanks({2, 3, 2}, 7, tpAxis));
  EXPECT_EQ((std::vector<int32_t>{3, 9}), groupRanks({2, 3, 2}, 9, dpAxis));
}

TEST(CollectiveTest, ManyExchangesAtOnce) {
  Ranks ranks(3);
  ranks.run([&](moe_world &world) {
    moe_engine engine = ranks.engine(world.rank()).table();
    int32_t members[] = {0, 1, 2}, self = world.rank();
    constexpr int depth = 16;
    std::vector<int32_t> out, in(size_t(depth) * 3, -1);
    for (int32_t i = 0; i < depth; ++i)
      out.push_back(self * 100 + i);
    std::vector<std::vector<moe_piece>> send(depth), receive(depth);
    moe_engine_request *requests[depth];
    moe_engine_failure failure = {};
    moe_transfer transfer = {};
    transfer.ranks = members;
    transfer.members = 3;
    transfer.self = self;
    for (int round = 0; round < 3; ++round) {
      for (size_t i = 0; i < depth; ++i) {
        send[i].assign(3, {&out[i], 4});
        receive[i].clear();
        for (size_t from = 0; from < 3; ++from)
          receive[i].push_back({&in[i * 3 + from], 4});
        transfer.send = send[i].data();
        transfer.receive = receive[i].data();
        ASSERT_EQ(MOE_OK,
                  engine.start(engine.self, &transfer, &requests[i], &failure));
        ++transfer.sequence;
      }
      moe_engine_request *none = nullptr;
      EXPECT_EQ(MOE_INVALID_ARGUMENT,
                engine.start(engine.self, &transfer, &none, &failure));
      EXPECT_STREQ("more than 16 exchanges of a group at once", failure.text);
      // Each waits in another order.
      for (int i = 0; i < depth; ++i) {
        int which = self == 1 ? depth - 1 - i : (i + self) % depth;
        EXPECT_EQ(MOE_OK, engine.wait(engine.self, requests[which],
                                      moe_clock() + 10000000000, &failure))
            << failure.text;
      }
      for (int32_t i = 0; i < depth; ++i)
        for (int32_t from = 0; from < 3; ++from)
          EXPECT_EQ(from * 100 + i, in[static_cast<size_t>(i * 3 + from)]);
    }
  });
}
