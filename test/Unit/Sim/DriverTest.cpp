//===- DriverTest.cpp - Memory, streams, modules --------------------------===//
//
// Part of moe-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Kernel.h"

#include <gtest/gtest.h>

#include <algorithm>

using namespace simtest;

namespace {

enum {
  InvalidValue = 1,
  OutOfMemory = 2,
  InvalidImage = 200,
  NoBinary = 209,
  NotFound = 500,
  NotReady = 600,
  IllegalAddress = 700
};

void readInt(int *at) { moe_sim_load(at, 4, 4, 1, 0); }
void writeInt(int *at, int value) {
  moe_sim_store(at, 4, 4, 1, 0);
  *at = value;
}

TEST(Driver, FreedMemoryIsKnownAsSuch) {
  useDevice();
  Address address;
  ASSERT_EQ(cuMemAlloc_v2(&address, 64), 0);
  ASSERT_EQ(cuMemsetD8Async(address, 0, 64, nullptr), 0);
  ASSERT_EQ(cuMemFree_v2(address), 0);
  EXPECT_EQ(cuMemFree_v2(address), InvalidValue);
  EXPECT_EQ(runToEnd(1, [=] { readInt(reinterpret_cast<int *>(address)); }),
            IllegalAddress);
  EXPECT_NE(std::string(moe_sim_report()).find("use after free: reads 4 bytes"),
            std::string::npos);
}

TEST(Driver, AFaultStaysUntilReset) {
  useDevice();
  Address address;
  ASSERT_EQ(cuMemAlloc_v2(&address, 64), 0);
  ASSERT_EQ(run(1, [=] { readInt(reinterpret_cast<int *>(address + 64)); }), 0);
  EXPECT_EQ(cuStreamSynchronize(nullptr), IllegalAddress);
  EXPECT_EQ(cuStreamSynchronize(nullptr), IllegalAddress);
  EXPECT_EQ(cuMemFree_v2(address), IllegalAddress);
  moe_sim_reset(1);
  EXPECT_EQ(cuMemFree_v2(address), 0);
}

TEST(Driver, MemoryRunsOut) {
  useDevice();
  Address address;
  EXPECT_EQ(cuMemAlloc_v2(&address, size_t(1) << 50), OutOfMemory);
  EXPECT_EQ(cuMemAlloc_v2(&address, 64), 0);
  EXPECT_EQ(cuMemFree_v2(address), 0);
  EXPECT_EQ(cuMemAlloc_v2(&address, 0), InvalidValue);
}

TEST(Driver, CopiesStayWithinMemory) {
  useDevice();
  Buffer<int> buffer(std::vector<int>(16, 3));
  int some[32] = {};
  EXPECT_EQ(cuMemcpyHtoDAsync_v2(buffer.address, some, 65, nullptr),
            InvalidValue);
  EXPECT_EQ(cuMemcpyDtoHAsync_v2(some, buffer.address + 4, 64, nullptr),
            InvalidValue);
  EXPECT_EQ(cuMemsetD8Async(buffer.address + 60, 0, 8, nullptr), InvalidValue);
  EXPECT_EQ(buffer.values(), std::vector<int>(16, 3));
}

/// What was not written is not so after a copy either.
TEST(Driver, CopiesOfNothingAreNothing) {
  useDevice();
  Address from, to;
  cuMemAlloc_v2(&from, 64);
  cuMemAlloc_v2(&to, 64);
  ASSERT_EQ(cuMemcpyDtoDAsync_v2(to, from, 64, nullptr), 0);
  EXPECT_NE(runToEnd(1, [=] { readInt(reinterpret_cast<int *>(to)); }), 0);
  EXPECT_NE(std::string(moe_sim_report()).find("read of unwritten memory"),
            std::string::npos);
  cuMemFree_v2(from);
  cuMemFree_v2(to);
}

TEST(Driver, StreamsAreOrderedByEvents) {
  useDevice();
  for (uint64_t seed = 0; seed < 20; ++seed) {
    moe_sim_reset(seed);
    Buffer<int> buffer({0});
    int *at = buffer.get();
    void *first, *second, *event;
    ASSERT_EQ(cuStreamCreate(&first, 1), 0);
    ASSERT_EQ(cuStreamCreate(&second, 1), 0);
    ASSERT_EQ(cuEventCreate(&event, 0), 0);
    cuStreamSynchronize(nullptr);
    run(1, [=] { writeInt(at, 1); }, 1, first);
    ASSERT_EQ(cuEventRecord(event, first), 0);
    ASSERT_EQ(cuStreamWaitEvent(second, event, 0), 0);
    run(1, [=] { readInt(at), writeInt(at, *at * 10 + 2); }, 1, second);
    ASSERT_EQ(cuStreamSynchronize(second), 0);
    EXPECT_EQ(*at, 12);
    EXPECT_EQ(cuEventQuery(event), 0);
    EXPECT_EQ(cuStreamDestroy_v2(first), 0);
    EXPECT_EQ(cuStreamDestroy_v2(second), 0);
    EXPECT_EQ(cuEventDestroy_v2(event), 0);
  }
}

/// Without an event some seed has them the other way round, and nothing is done
/// before somebody waits.
TEST(Driver, StreamsAreNotOrderedOtherwise) {
  useDevice();
  std::vector<int> seen;
  for (uint64_t seed = 0; seed < 20; ++seed) {
    moe_sim_reset(seed);
    int value = 0;
    void *first, *second;
    cuStreamCreate(&first, 1);
    cuStreamCreate(&second, 1);
    run(1, [&] { value = value * 10 + 1; }, 1, first);
    run(1, [&] { value = value * 10 + 2; }, 1, second);
    EXPECT_EQ(value, 0);
    cuStreamSynchronize(first);
    cuStreamSynchronize(second);
    seen.push_back(value);
    cuStreamDestroy_v2(first);
    cuStreamDestroy_v2(second);
  }
  EXPECT_NE(std::count(seen.begin(), seen.end(), 12), 0);
  EXPECT_NE(std::count(seen.begin(), seen.end(), 21), 0);
}

TEST(Driver, PinnedMemoryIsReadWhenItsTurnComes) {
  useDevice();
  Buffer<int> buffer({0});
  void *pinned, *stream;
  ASSERT_EQ(cuMemHostAlloc(&pinned, 4, 0), 0);
  ASSERT_EQ(cuStreamCreate(&stream, 1), 0);
  ASSERT_EQ(cuStreamSynchronize(nullptr), 0);
  *static_cast<int *>(pinned) = 1;
  int paged = 1;
  cuMemcpyHtoDAsync_v2(buffer.address, pinned, 4, stream);
  *static_cast<int *>(pinned) = 2; // too early
  ASSERT_EQ(cuStreamSynchronize(stream), 0);
  EXPECT_EQ(buffer.values()[0], 2);
  cuMemcpyHtoDAsync_v2(buffer.address, &paged, 4, stream);
  paged = 2;
  ASSERT_EQ(cuStreamSynchronize(stream), 0);
  EXPECT_EQ(buffer.values()[0], 1);
  cuStreamDestroy_v2(stream);
  EXPECT_EQ(cuMemFreeHost(pinned), 0);
  EXPECT_EQ(cuMemFreeHost(pinned), InvalidValue);
}

TEST(Driver, ImagesThatAreNoneAreRefused) {
  useDevice();
  moe_sim_image wrong = *image();
  void *module, *function;
  wrong.magic[0] = 'X';
  EXPECT_EQ(cuModuleLoadData(&module, &wrong), InvalidImage);
  wrong = *image();
  wrong.architecture = 100;
  EXPECT_EQ(cuModuleLoadData(&module, &wrong), NoBinary);
  wrong = *image();
  void *slot = nullptr;
  moe_sim_call call = {"moe_sim_of_the_future", &slot};
  wrong.calls = 1;
  wrong.call = &call;
  EXPECT_EQ(cuModuleLoadData(&module, &wrong), InvalidImage);
  EXPECT_EQ(
      std::string(moe_sim_report()),
      "the image needs 'moe_sim_of_the_future', which this simulator does "
      "not have\n");
  ASSERT_EQ(cuModuleLoadData(&module, image()), 0);
  EXPECT_EQ(cuModuleGetFunction(&function, module, "none"), NotFound);
  EXPECT_EQ(cuModuleUnload(module), 0);
}

TEST(Driver, PointersAreKnown) {
  useDevice();
  Buffer<int> buffer({1, 2});
  unsigned type = 0;
  int host = 0;
  EXPECT_EQ(cuPointerGetAttribute(&type, 2, buffer.address + 4), 0);
  EXPECT_EQ(type, 2u);
  EXPECT_EQ(cuPointerGetAttribute(&type, 2, reinterpret_cast<Address>(&host)),
            InvalidValue);
}

TEST(Driver, LaunchesThatNoDeviceHasAreRefused) {
  EXPECT_EQ(run(1025, [] {}), InvalidValue);
  EXPECT_EQ(run(1, [] {}, 0), InvalidValue);
  EXPECT_EQ(runToEnd(1024, [] {}), 0);
}

} // namespace
