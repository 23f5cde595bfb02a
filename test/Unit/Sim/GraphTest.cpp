//===- GraphTest.cpp - Streams recorded and repeated ----------------------===//
//
// Part of moe-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Kernel.h"

#include <gtest/gtest.h>

#include <thread>

using namespace simtest;

namespace {

enum {
  InvalidValue = 1,
  InvalidHandle = 400,
  Unsupported = 900,
  Invalidated = 901,
  Merge = 902,
  Unmatched = 903,
  Unjoined = 904,
  Isolation = 905,
  Implicit = 906,
  CapturedEvent = 907
};
enum { Global = 0, Relaxed = 2 };

/// A device with a stream that is recorded, and four bytes of memory twice.
struct GraphTest : testing::Test {
  void SetUp() override {
    useDevice();
    ASSERT_EQ(cuMemAlloc_v2(&a, 4), 0);
    ASSERT_EQ(cuMemAlloc_v2(&b, 4), 0);
    for (void **each : {&stream, &other})
      ASSERT_EQ(cuStreamCreate(each, 1), 0);
    ASSERT_EQ(cuEventCreate(&event, 0), 0);
    ASSERT_EQ(cuEventCreate(&event2, 0), 0);
    write(a, 1);
    write(b, 0);
  }
  void TearDown() override {
    moe_sim_reset(1);
    cuEventDestroy_v2(event);
    cuEventDestroy_v2(event2);
    cuStreamDestroy_v2(stream);
    cuStreamDestroy_v2(other);
    cuMemFree_v2(a);
    cuMemFree_v2(b);
  }

  void write(Address to, int value) {
    ASSERT_EQ(cuMemcpyHtoDAsync_v2(to, &value, 4, stream), 0);
    ASSERT_EQ(cuStreamSynchronize(stream), 0);
  }
  int read(Address from) {
    int value = -1;
    EXPECT_EQ(cuMemcpyDtoHAsync_v2(&value, from, 4, stream), 0);
    return value;
  }
  void *finish() {
    void *graph = nullptr, *exec = nullptr;
    EXPECT_EQ(cuStreamEndCapture(stream, &graph), 0);
    EXPECT_EQ(cuGraphInstantiateWithFlags(&exec, graph, 0), 0);
    EXPECT_EQ(cuGraphDestroy(graph), 0);
    return exec;
  }
  int status() {
    int answer = -1;
    EXPECT_EQ(cuStreamIsCapturing(stream, &answer), 0);
    return answer;
  }

  Address a = 0, b = 0;
  void *stream = nullptr, *other = nullptr, *event = nullptr, *event2 = nullptr;
  void *graph = nullptr;
};

} // namespace

TEST_F(GraphTest, DoesNothingUntilItIsLaunched) {
  ASSERT_EQ(cuStreamBeginCapture_v2(stream, Global), 0);
  EXPECT_EQ(status(), 1);
  ASSERT_EQ(cuMemcpyDtoDAsync_v2(b, a, 4, stream), 0);
  void *exec = finish();
  EXPECT_EQ(status(), 0);
  EXPECT_EQ(read(b), 0);
  for (int value : {7, 8}) {
    write(a, value);
    ASSERT_EQ(cuGraphLaunch(exec, stream), 0);
    EXPECT_EQ(read(b), value);
  }
  EXPECT_EQ(cuGraphExecDestroy(exec), 0);
  EXPECT_EQ(cuGraphLaunch(exec, stream), InvalidHandle);
}

TEST_F(GraphTest, StreamsJoinByEvents) {
  ASSERT_EQ(cuStreamBeginCapture_v2(stream, Relaxed), 0);
  ASSERT_EQ(cuMemsetD8Async(b, 0, 4, stream), 0);
  ASSERT_EQ(cuEventRecord(event, stream), 0);
  ASSERT_EQ(cuStreamWaitEvent(other, event, 0), 0);
  ASSERT_EQ(cuMemcpyDtoDAsync_v2(b, a, 4, other), 0);
  ASSERT_EQ(cuEventRecord(event2, other), 0);
  EXPECT_EQ(cuEventQuery(event2), CapturedEvent);
  ASSERT_EQ(cuStreamWaitEvent(stream, event2, 0), 0);
  ASSERT_EQ(cuMemsetD8Async(a, 0, 4, stream), 0);
  void *exec = finish();
  for (int value : {1, 2, 3, 4, 5}) {
    write(a, value);
    ASSERT_EQ(cuGraphLaunch(exec, stream), 0);
    EXPECT_EQ(read(b), value); // in this order, whatever chance decides
    EXPECT_EQ(read(a), 0);
  }
  EXPECT_EQ(cuGraphExecDestroy(exec), 0);
}

TEST_F(GraphTest, NobodyWaitsForWhatIsRecorded) {
  ASSERT_EQ(cuStreamBeginCapture_v2(stream, Relaxed), 0);
  EXPECT_EQ(cuStreamSynchronize(stream), Unsupported);
  EXPECT_EQ(status(), 2);
  EXPECT_EQ(cuStreamEndCapture(stream, &graph), Invalidated);
  int value = 0;
  ASSERT_EQ(cuStreamBeginCapture_v2(stream, Relaxed), 0);
  EXPECT_EQ(cuMemcpyDtoHAsync_v2(&value, a, 4, stream), Unsupported);
  EXPECT_EQ(cuStreamEndCapture(stream, &graph), Invalidated);
}

TEST_F(GraphTest, MemoryCannotComeMeanwhile) {
  Address more = 0;
  ASSERT_EQ(cuStreamBeginCapture_v2(stream, Global), 0);
  EXPECT_EQ(cuMemAlloc_v2(&more, 4), Unsupported);
  ASSERT_EQ(cuStreamEndCapture(stream, &graph), 0);
  EXPECT_EQ(cuGraphDestroy(graph), 0);
  ASSERT_EQ(cuStreamBeginCapture_v2(stream, Relaxed), 0);
  EXPECT_EQ(cuMemAlloc_v2(&more, 4), 0);
  ASSERT_EQ(cuStreamEndCapture(stream, &graph), 0);
  EXPECT_EQ(cuGraphDestroy(graph), 0);
  EXPECT_EQ(cuMemFree_v2(more), 0);
}

TEST_F(GraphTest, WrongStreams) {
  EXPECT_EQ(cuStreamBeginCapture_v2(nullptr, Global), Implicit);
  EXPECT_EQ(cuStreamBeginCapture_v2(stream, 3), InvalidValue);
  EXPECT_EQ(cuStreamEndCapture(stream, &graph), Unmatched);
  // Work of a stream that is not recorded.
  ASSERT_EQ(cuEventRecord(event, other), 0);
  ASSERT_EQ(cuStreamBeginCapture_v2(stream, Relaxed), 0);
  EXPECT_EQ(cuStreamWaitEvent(stream, event, 0), Isolation);
  EXPECT_EQ(cuStreamEndCapture(stream, &graph), Invalidated);
  // Nobody waits for the other one.
  ASSERT_EQ(cuStreamBeginCapture_v2(stream, Relaxed), 0);
  ASSERT_EQ(cuEventRecord(event, stream), 0);
  ASSERT_EQ(cuStreamWaitEvent(other, event, 0), 0);
  ASSERT_EQ(cuMemsetD8Async(a, 0, 4, other), 0);
  EXPECT_EQ(cuStreamEndCapture(other, &graph), Unmatched);
  EXPECT_EQ(cuStreamEndCapture(stream, &graph), Unjoined);
  // Two at a time.
  ASSERT_EQ(cuStreamBeginCapture_v2(stream, Relaxed), 0);
  ASSERT_EQ(cuStreamBeginCapture_v2(other, Relaxed), 0);
  ASSERT_EQ(cuEventRecord(event, stream), 0);
  EXPECT_EQ(cuStreamWaitEvent(other, event, 0), Merge);
  for (void *each : {stream, other}) {
    ASSERT_EQ(cuStreamEndCapture(each, &graph), 0);
    EXPECT_EQ(cuGraphDestroy(graph), 0);
  }
}

TEST_F(GraphTest, ValuesOfOtherThreads) {
  alignas(4) static uint32_t word;
  word = 0;
  auto address = reinterpret_cast<Address>(&word);
  ASSERT_EQ(cuStreamWaitValue32_v2(stream, address, 2, 0), 0);
  ASSERT_EQ(cuMemcpyDtoDAsync_v2(b, a, 4, stream), 0);
  std::thread writer([&] {
    useDevice();
    EXPECT_EQ(cuStreamWriteValue32_v2(other, address, 1, 0), 0);
    EXPECT_EQ(cuStreamWriteValue32_v2(other, address, 2, 0), 0);
    EXPECT_EQ(cuStreamSynchronize(other), 0);
  });
  EXPECT_EQ(cuStreamSynchronize(stream), 0);
  writer.join();
  EXPECT_EQ(read(b), 1);
  EXPECT_EQ(cuStreamWaitValue32_v2(stream, address + 1, 2, 0), InvalidValue);
}

TEST_F(GraphTest, ValuesAreWaitedForEachTime) {
  alignas(4) static uint32_t word;
  word = 0;
  auto address = reinterpret_cast<Address>(&word);
  ASSERT_EQ(cuStreamBeginCapture_v2(stream, Relaxed), 0);
  ASSERT_EQ(cuStreamWaitValue32_v2(stream, address, 1, 0), 0);
  ASSERT_EQ(cuMemcpyDtoDAsync_v2(b, a, 4, stream), 0);
  ASSERT_EQ(cuStreamWriteValue32_v2(stream, address, 0, 0), 0);
  void *exec = finish();
  for (int value : {4, 5}) {
    write(a, value - 1);
    ASSERT_EQ(cuGraphLaunch(exec, stream), 0);
    ASSERT_EQ(cuMemcpyHtoDAsync_v2(a, &value, 4, other), 0);
    ASSERT_EQ(cuStreamWriteValue32_v2(other, address, 1, 0), 0);
    EXPECT_EQ(read(b), value);
    EXPECT_EQ(word, 0u);
  }
  EXPECT_EQ(cuGraphExecDestroy(exec), 0);
}

/// Else ranks would wait for each other where GPUs do not.
TEST_F(GraphTest, DevicesAreWaitedForAlone) {
  alignas(4) static uint32_t word;
  word = 0;
  auto address = reinterpret_cast<Address>(&word);
  ASSERT_EQ(cuStreamWaitValue32_v2(stream, address, 1, 0), 0);
  useDevice(1);
  Address there = 0;
  EXPECT_EQ(cuCtxSynchronize(), 0);
  ASSERT_EQ(cuMemAlloc_v2(&there, 4), 0);
  EXPECT_EQ(cuMemFree_v2(there), 0);
  useDevice(0);
  ASSERT_EQ(cuStreamWriteValue32_v2(other, address, 1, 0), 0);
  EXPECT_EQ(cuCtxSynchronize(), 0);
}
