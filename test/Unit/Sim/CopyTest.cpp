//===- CopyTest.cpp - Copies of boxes, and what they swizzle --------------===//
//
// Part of moe-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Kernel.h"

#include <gtest/gtest.h>

#include <cstring>

using namespace simtest;

namespace {

struct alignas(64) Map {
  char bytes[128];
};

/// A tensor of 32 rows of 64 halves, in boxes of 8 rows of `width`.
Map encode(void *address, unsigned width, int swizzle) {
  Map map;
  uint64_t extents[] = {64, 32}, strides[] = {128};
  uint32_t box[] = {width, 8}, ones[] = {1, 1};
  EXPECT_EQ(cuTensorMapEncodeTiled(map.bytes, /*f16*/ 6, 2, address, extents,
                                   strides, box, ones, 0, swizzle, 0, 0),
            0);
  return map;
}

/// What a box looks like in shared memory.
std::vector<uint16_t> loadBox(unsigned width, int swizzle, int x, int y) {
  useDevice();
  std::vector<uint16_t> values(2048);
  for (size_t i = 0; i < values.size(); ++i)
    values[i] = uint16_t(i + 1);
  Buffer<uint16_t> buffer(values);
  Map map = encode(buffer.get(), width, swizzle);
  std::vector<uint16_t> all(size_t(width) * 8);
  int status = runToEnd(32, [&] {
    auto *tile = static_cast<uint16_t *>(moe_sim_static_shared(0));
    void *full = moe_sim_static_shared(8192);
    if (thread() == 0) {
      moe_sim_mbarrier_init(full, 1, 0);
      moe_sim_fence_mbarrier_init();
      moe_sim_mbarrier_arrive(full, 1, width * 16, 0, 0, 0);
      int32_t at[] = {x, y};
      moe_sim_tensor_load(tile, &map, full, at, 2, 0, 0);
    }
    moe_sim_barrier(0, -1, 0);
    while (!moe_sim_mbarrier_test(full, 0, 1, 0, 0, 0))
      ;
    for (unsigned i = thread(); i < width * 8; i += 32) {
      moe_sim_load(tile + i, 2, 2, 3, 0);
      all[i] = tile[i];
    }
  });
  EXPECT_EQ(status, 0) << moe_sim_report();
  return all;
}

/// The manual's figures: with a span of 128 bytes, the chunk of 16 bytes at c
/// of row r is at c xor (r mod 8); with 64, two rows share a line of 128 bytes,
/// and it is c xor (r / 2 mod 4); with 32, four rows do, and it is c xor (r / 4
/// mod 2).
TEST(Copy, SwizzlesAreThoseOfTheFigures) {
  for (int swizzle : {0, 1, 2, 3}) {
    unsigned width = swizzle == 1 ? 16 : swizzle == 2 ? 32 : 64;
    std::vector<uint16_t> box = loadBox(width, swizzle, 0, 16);
    for (unsigned row = 0; row < 8; ++row)
      for (unsigned column = 0; column < width; ++column) {
        unsigned chunk = column / 8;
        chunk ^= swizzle == 3   ? row % 8
                 : swizzle == 2 ? row / 2 % 4
                 : swizzle == 1 ? row / 4 % 2
                                : 0;
        EXPECT_EQ(box[row * width + chunk * 8 + column % 8],
                  (16 + row) * 64 + column + 1)
            << swizzle << ": " << row << ", " << column;
      }
  }
}

TEST(Copy, WhatIsOutsideOfATensorIsZero) {
  std::vector<uint16_t> box = loadBox(64, 0, 40, 28);
  for (unsigned row = 0; row < 8; ++row)
    for (unsigned column = 0; column < 64; ++column) {
      bool inside = row < 4 && column < 24;
      EXPECT_EQ(box[row * 64 + column],
                inside ? (28 + row) * 64 + 40 + column + 1 : 0);
    }
  box = loadBox(64, 0, -3, -1);
  EXPECT_EQ(box[0], 0);
  EXPECT_EQ(box[64 + 2], 0);
  EXPECT_EQ(box[64 + 3], 1);
}

TEST(Copy, StoresLeaveOutWhatIsOutside) {
  useDevice();
  Buffer<uint16_t> buffer(std::vector<uint16_t>(2048, 9));
  Map map = encode(buffer.get(), 64, 3);
  int status = runToEnd(32, [&] {
    auto *tile = static_cast<uint16_t *>(moe_sim_static_shared(0));
    for (unsigned i = thread(); i < 512; i += 32) {
      moe_sim_store(tile + i, 2, 2, 3, 0);
      unsigned chunk = (i / 8 % 8) ^ (i / 64);
      tile[i / 64 * 64 + chunk * 8 + i % 8] = uint16_t(1000 + i);
    }
    moe_sim_fence_proxy();
    moe_sim_barrier(0, -1, 0);
    if (thread() != 0)
      return;
    int32_t at[] = {32, 28};
    moe_sim_tensor_store(&map, tile, at, 2, 0);
    moe_sim_bulk_commit();
    moe_sim_bulk_wait(0, 0, 0);
  });
  ASSERT_EQ(status, 0) << moe_sim_report();
  std::vector<uint16_t> all = buffer.values();
  for (unsigned row = 0; row < 32; ++row)
    for (unsigned column = 0; column < 64; ++column) {
      bool inside = row >= 28 && column >= 32;
      EXPECT_EQ(all[row * 64 + column],
                inside ? 1000 + (row - 28) * 64 + column - 32 : 9);
    }
}

TEST(Copy, ShortCpAsyncFillsWithZeros) {
  useDevice();
  Buffer<uint8_t> buffer(std::vector<uint8_t>(32, 7));
  std::vector<uint8_t> all(16);
  int status = runToEnd(1, [&] {
    auto *tile = static_cast<uint8_t *>(moe_sim_static_shared(0));
    moe_sim_copy_async(tile, buffer.get(), 16, 5, 0);
    moe_sim_copy_async_commit();
    moe_sim_copy_async_wait(0);
    moe_sim_load(tile, 16, 16, 3, 0);
    std::memcpy(all.data(), tile, 16);
  });
  ASSERT_EQ(status, 0) << moe_sim_report();
  for (unsigned i = 0; i < 16; ++i)
    EXPECT_EQ(all[i], i < 5 ? 7 : 0);
}

TEST(Copy, MapsThatNoTensorHasAreRefused) {
  useDevice();
  Buffer<uint16_t> buffer(std::vector<uint16_t>(2048));
  Map map;
  uint64_t extents[] = {64, 32}, strides[] = {128}, odd[] = {130};
  uint32_t box[] = {64, 8}, wide[] = {128, 8}, ones[] = {1, 1};
  auto encodeWith = [&](const uint64_t *stride, const uint32_t *theBox,
                        int swizzle, unsigned rank, char *address) {
    return cuTensorMapEncodeTiled(map.bytes, 6, rank, address, extents, stride,
                                  theBox, ones, 0, swizzle, 0, 0);
  };
  char *address = reinterpret_cast<char *>(buffer.get());
  EXPECT_EQ(encodeWith(strides, box, 3, 2, address), 0);
  EXPECT_EQ(encodeWith(odd, box, 3, 2, address), 1);
  EXPECT_EQ(encodeWith(strides, wide, 3, 2, address), 1);
  EXPECT_EQ(encodeWith(strides, box, 2, 2, address), 1);
  EXPECT_EQ(encodeWith(strides, box, 3, 6, address), 1);
  EXPECT_EQ(encodeWith(strides, box, 3, 2, address + 2), 1);
}

} // namespace
