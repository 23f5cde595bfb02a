//===- ParallelTest.cpp - Loops on threads --------------------------------===//
//
// Part of moe-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
// Every index once, on any executor, with loops inside loops.
//
//===----------------------------------------------------------------------===//

#include "Support.h"

#include <atomic>
#include <mutex>
#include <set>
#include <sys/wait.h>
#include <thread>
#include <unistd.h>

using namespace moe::test;

namespace {
struct Visits {
  explicit Visits(int64_t count) : times(static_cast<size_t>(count)) {}
  static void body(void *context, int64_t begin, int64_t end) {
    auto *visits = static_cast<Visits *>(context);
    for (int64_t i = begin; i < end; ++i)
      ++visits->times[static_cast<size_t>(i)];
    std::lock_guard<std::mutex> lock(visits->mutex);
    visits->threads.insert(std::this_thread::get_id());
    ++visits->parts;
  }
  bool eachOnce() const {
    for (const auto &time : times)
      if (time != 1)
        return false;
    return true;
  }
  std::vector<std::atomic<int>> times;
  std::set<std::thread::id> threads;
  std::mutex mutex;
  int parts = 0;
};

struct Nest {
  Visits inner{60};
  static void body(void *context, int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      struct Row {
        Visits *visits;
        int64_t row;
        std::thread::id owner;
      } row{&static_cast<Nest *>(context)->inner, i,
            std::this_thread::get_id()};
      moe_parallel_for(
          [](void *raw, int64_t first, int64_t last) {
            Row *row = static_cast<Row *>(raw);
            EXPECT_EQ(row->owner, std::this_thread::get_id());
            EXPECT_EQ(10, last - first);
            Visits::body(row->visits, row->row * 10 + first,
                         row->row * 10 + last);
          },
          &row, 10);
    }
  }
};

int calls;
void countingExecutor(void *user, moe_body body, void *context, int64_t count) {
  ++calls;
  EXPECT_EQ(&calls, user);
  for (int64_t i = count; i-- > 0;)
    body(context, i, i + 1);
}

/// Puts back what the tests of this binary run on.
struct ParallelTest : testing::Test {
  void TearDown() override {
    moe_set_threads(0);
    useTestExecutor();
  }
};
} // namespace

TEST_F(ParallelTest, EveryIndexOnce) {
  for (int threads : {0, 1, 2, 3, 8})
    for (int64_t count : {0, 1, 2, 7, 1000}) {
      moe_set_threads(threads);
      Visits visits(count);
      moe_parallel_for(Visits::body, &visits, count);
      EXPECT_TRUE(visits.eachOnce()) << threads << " threads, " << count;
    }
  Visits none(0);
  moe_parallel_for(Visits::body, &none, -5);
  EXPECT_EQ(0, none.parts);
}

#ifdef MOE_TEST_OPENMP
TEST_F(ParallelTest, UsesTheThreadsAskedFor) {
  moe_set_threads(3);
  Visits visits(100);
  // Parts go to whoever is free: each takes long enough for all to get some.
  auto slowly = [](void *raw, int64_t begin, int64_t end) {
    std::this_thread::sleep_for(std::chrono::milliseconds(2));
    Visits::body(raw, begin, end);
  };
  moe_parallel_for(slowly, &visits, 100);
  EXPECT_TRUE(visits.eachOnce());
  EXPECT_EQ(3u, visits.threads.size());
}

TEST_F(ParallelTest, ForkedProcessHasOneThread) {
  moe_set_threads(2);
  Visits before(100);
  moe_parallel_for(Visits::body, &before, 100);
  pid_t child = fork();
  if (child == 0) {
    alarm(20); // which ends it if it waits for threads that it does not have
    Visits visits(100);
    moe_parallel_for(Visits::body, &visits, 100);
    bool isAlone = moe_thread_count() == 1 && visits.threads.size() == 1;
    _exit(visits.eachOnce() && isAlone ? 0 : 1);
  }
  int status = -1;
  ASSERT_EQ(child, waitpid(child, &status, 0));
  EXPECT_EQ(0, status);
  EXPECT_EQ(2, moe_thread_count());
}
#endif

TEST_F(ParallelTest, NestedLoopsAreSerial) {
  moe_set_threads(4);
  Nest nest;
  moe_parallel_for(Nest::body, &nest, 6);
  EXPECT_TRUE(nest.inner.eachOnce());
  moe_set_executor(countingExecutor, &calls);
  Nest again;
  calls = 0;
  moe_parallel_for(Nest::body, &again, 6);
  EXPECT_TRUE(again.inner.eachOnce());
  EXPECT_EQ(1, calls);
}

TEST_F(ParallelTest, ExecutorGetsTheLoopsOfAPackage) {
  Layer layer = makeLayer();
  moe_set_executor(countingExecutor, &calls);
  calls = 0;
  EXPECT_MOE_OK(forward(layer.get(), 9));
  EXPECT_EQ(1, calls);
  moe_set_executor(nullptr, nullptr);
  EXPECT_MOE_OK(forward(layer.get(), 9));
  EXPECT_EQ(1, calls);
}

TEST_F(ParallelTest, ClockGoesForward) {
  int64_t before = moe_clock();
  std::this_thread::sleep_for(std::chrono::milliseconds(2));
  EXPECT_GE(moe_clock() - before, 2000000);
}
