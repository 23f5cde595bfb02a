//===- MatrixTest.cpp - Fragments against plain products ------------------===//
//
// Part of moe-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Kernel.h"

#include <gtest/gtest.h>

#include <cstring>

using namespace simtest;
using moe::sim::Element;
using moe::sim::Product;

namespace {

uint16_t toBFloat(float value) {
  uint32_t bits;
  std::memcpy(&bits, &value, sizeof bits);
  return uint16_t(bits >> 16); // of small integers, which it holds
}

int value(int i) { return i * 7 % 13 - 6; }

/// -6 to 6 in e4m3: exponents from 7, three bits of mantissa.
uint8_t toE4m3(int value) {
  constexpr uint8_t codes[] = {0, 0x38, 0x40, 0x44, 0x48, 0x4a, 0x4c};
  return uint8_t(codes[value < 0 ? -value : value] | (value < 0 ? 0x80 : 0));
}

/// The lanes' fragments by the tables of the PTX manual for m16n8k16, written
/// out once more: a0..a7 of a lane, b0..b3, c0..c3.
struct Place {
  int row, column;
};
Place placeA16(int lane, int i) {
  int group = lane / 4, inGroup = lane % 4;
  int row = (i < 2 || (i >= 4 && i < 6)) ? group : group + 8;
  int column = inGroup * 2 + (i & 1) + (i >= 4 ? 8 : 0);
  return {row, column};
}
Place placeB16(int lane, int i) {
  int group = lane / 4, inGroup = lane % 4;
  return {inGroup * 2 + (i & 1) + (i >= 2 ? 8 : 0), group};
}
Place placeC(int lane, int i) {
  int group = lane / 4, inGroup = lane % 4;
  return {i < 2 ? group : group + 8, inGroup * 2 + (i & 1)};
}

TEST(Matrix, MmaOfBFloats) {
  Product product = {16,
                     8,
                     16,
                     Element::BF16,
                     Element::BF16,
                     Element::F32,
                     Element::F32,
                     0,
                     0,
                     0,
                     0,
                     0,
                     0};
  Buffer<float> out(std::vector<float>(128, -1));
  float *to = out.get();
  int status = runToEnd(32, [&] {
    int lane = int(thread());
    uint16_t a[8], b[4];
    float c[4], d[4];
    for (int i = 0; i < 8; ++i) {
      Place p = placeA16(lane, i);
      a[i] = toBFloat(float(value(p.row * 16 + p.column)));
    }
    for (int i = 0; i < 4; ++i) {
      Place p = placeB16(lane, i);
      b[i] = toBFloat(float(value(3 + p.row * 8 + p.column)));
      Place q = placeC(lane, i);
      c[i] = float(value(q.row + q.column));
    }
    moe_sim_mma(&product, a, b, c, d, 0);
    for (int i = 0; i < 4; ++i) {
      Place q = placeC(lane, i);
      to[q.row * 8 + q.column] = d[i];
    }
  });
  ASSERT_EQ(status, 0) << moe_sim_report();
  std::vector<float> all(to, to + 128);
  for (int row = 0; row < 16; ++row)
    for (int column = 0; column < 8; ++column) {
      int sum = value(row + column);
      for (int k = 0; k < 16; ++k)
        sum += value(row * 16 + k) * value(3 + k * 8 + column);
      EXPECT_EQ(all[row * 8 + column], float(sum)) << row << ", " << column;
    }
}

/// m16n8k8 of tf32, by the manual's tables: a register has one value, and what
/// has more bits of mantissa than ten is cut off.
TEST(Matrix, MmaOfTensorFloats) {
  Product product = {16,
                     8,
                     8,
                     Element::TF32,
                     Element::TF32,
                     Element::F32,
                     Element::F32,
                     0,
                     0,
                     0,
                     0,
                     0,
                     0};
  std::vector<float> all(128);
  int status = runToEnd(32, [&] {
    int lane = int(thread()), group = lane / 4, inGroup = lane % 4;
    float a[4], b[2], c[4], d[4];
    for (int i = 0; i < 4; ++i) {
      int row = i % 2 ? group + 8 : group, k = inGroup + (i >= 2 ? 4 : 0);
      a[i] = float(value(row * 8 + k)) * (row == 3 ? 1 + 0x1p-13f : 1);
      c[i] = 1;
    }
    for (int i = 0; i < 2; ++i)
      b[i] = float(value(2 + (inGroup + 4 * i) * 8 + group));
    moe_sim_mma(&product, a, b, c, d, 0);
    for (int i = 0; i < 4; ++i) {
      Place q = placeC(lane, i);
      all[q.row * 8 + q.column] = d[i];
    }
  });
  ASSERT_EQ(status, 0) << moe_sim_report();
  for (int row = 0; row < 16; ++row)
    for (int column = 0; column < 8; ++column) {
      int sum = 1;
      for (int k = 0; k < 8; ++k)
        sum += value(row * 8 + k) * value(2 + k * 8 + column);
      EXPECT_EQ(all[row * 8 + column], float(sum)) << row << ", " << column;
    }
}

/// m16n8k32 of bytes: a register has four of consecutive k.
TEST(Matrix, MmaOfBytes) {
  Product product = {
      16, 8, 32, Element::S8, Element::S8, Element::S32, Element::S32, 1, 0, 0,
      0,  0, 0};
  std::vector<int32_t> all(128);
  int status = runToEnd(32, [&] {
    int lane = int(thread()), group = lane / 4, inGroup = lane % 4;
    int8_t a[16], b[8];
    int32_t c[4] = {0, 0, 0, 0}, d[4];
    for (int i = 0; i < 16; ++i) {
      int row = (i < 4 || (i >= 8 && i < 12)) ? group : group + 8;
      int k = inGroup * 4 + (i & 3) + (i >= 8 ? 16 : 0);
      a[i] = int8_t(value(row * 32 + k));
    }
    for (int i = 0; i < 8; ++i)
      b[i] = int8_t(
          value(1 + (inGroup * 4 + (i & 3) + (i >= 4 ? 16 : 0)) * 8 + group));
    moe_sim_mma(&product, a, b, c, d, 0);
    for (int i = 0; i < 4; ++i) {
      Place q = placeC(lane, i);
      all[q.row * 8 + q.column] = d[i];
    }
  });
  ASSERT_EQ(status, 0) << moe_sim_report();
  for (int row = 0; row < 16; ++row)
    for (int column = 0; column < 8; ++column) {
      int sum = 0;
      for (int k = 0; k < 32; ++k)
        sum += value(row * 32 + k) * value(1 + k * 8 + column);
      EXPECT_EQ(all[row * 8 + column], sum) << row << ", " << column;
    }
}

/// The same places for floats of 8 bits, with sums of f32.
TEST(Matrix, MmaOfE4m3) {
  Product product = {16,
                     8,
                     32,
                     Element::E4M3,
                     Element::E4M3,
                     Element::F32,
                     Element::F32,
                     0,
                     0,
                     0,
                     0,
                     0,
                     0};
  std::vector<float> all(128);
  int status = runToEnd(32, [&] {
    int lane = int(thread()), group = lane / 4, inGroup = lane % 4;
    uint8_t a[16], b[8];
    float c[4] = {1, 2, 3, 4}, d[4];
    for (int i = 0; i < 16; ++i) {
      int row = (i < 4 || (i >= 8 && i < 12)) ? group : group + 8;
      int k = inGroup * 4 + (i & 3) + (i >= 8 ? 16 : 0);
      a[i] = toE4m3(value(row * 32 + k));
    }
    for (int i = 0; i < 8; ++i)
      b[i] = toE4m3(
          value(1 + (inGroup * 4 + (i & 3) + (i >= 4 ? 16 : 0)) * 8 + group));
    moe_sim_mma(&product, a, b, c, d, 0);
    for (int i = 0; i < 4; ++i) {
      Place q = placeC(lane, i);
      all[q.row * 8 + q.column] = d[i] - c[i];
    }
  });
  ASSERT_EQ(status, 0) << moe_sim_report();
  for (int row = 0; row < 16; ++row)
    for (int column = 0; column < 8; ++column) {
      int sum = 0;
      for (int k = 0; k < 32; ++k)
        sum += value(row * 32 + k) * value(1 + k * 8 + column);
      EXPECT_EQ(all[row * 8 + column], float(sum)) << row << ", " << column;
    }
}

/// What ldmatrix gives of a row-major A, and transposed of a row-major B, is
/// what mma.sync takes: the product is that of the matrices in memory.
TEST(Matrix, LdmatrixFeedsMma) {
  Product product = {16,
                     8,
                     16,
                     Element::BF16,
                     Element::BF16,
                     Element::F32,
                     Element::F32,
                     0,
                     0,
                     0,
                     0,
                     0,
                     0};
  std::vector<float> all(128);
  int status = runToEnd(32, [&] {
    int lane = int(thread());
    auto *a = static_cast<uint16_t *>(moe_sim_static_shared(0));
    auto *b = static_cast<uint16_t *>(moe_sim_static_shared(1024));
    for (int i = lane; i < 256; i += 32) {
      moe_sim_store(a + i, 2, 2, 3, 0);
      a[i] = toBFloat(float(value(i)));
    }
    for (int i = lane; i < 128; i += 32) {
      moe_sim_store(b + i, 2, 2, 3, 0);
      b[i] = toBFloat(float(value(i + 5)));
    }
    moe_sim_barrier(0, -1, 0);
    uint32_t ra[4], rb[2];
    moe_sim_ldmatrix(a + ptrdiff_t(lane % 16 * 16 + lane / 16 * 8), 4, 0, ra,
                     0);
    moe_sim_ldmatrix(b + ptrdiff_t(lane % 16) * 8, 2, 1, rb, 0);
    float c[4] = {0, 0, 0, 0}, d[4];
    moe_sim_mma(&product, ra, rb, c, d, 0);
    for (int i = 0; i < 4; ++i) {
      Place q = placeC(lane, i);
      all[q.row * 8 + q.column] = d[i];
    }
  });
  ASSERT_EQ(status, 0) << moe_sim_report();
  for (int row = 0; row < 16; ++row)
    for (int column = 0; column < 8; ++column) {
      int sum = 0;
      for (int k = 0; k < 16; ++k)
        sum += value(row * 16 + k) * value(k * 8 + column + 5);
      EXPECT_EQ(all[row * 8 + column], float(sum)) << row << ", " << column;
    }
}

TEST(Matrix, StmatrixIsTheReverseOfLdmatrix) {
  for (uint32_t transposed : {0u, 1u}) {
    std::vector<uint16_t> all(256);
    int status = runToEnd(32, [&, transposed] {
      unsigned lane = thread();
      auto *in = static_cast<uint16_t *>(moe_sim_static_shared(0));
      auto *out = static_cast<uint16_t *>(moe_sim_static_shared(512));
      for (unsigned i = lane; i < 256; i += 32) {
        moe_sim_store(in + i, 2, 2, 3, 0);
        in[i] = uint16_t(i);
      }
      moe_sim_barrier(0, -1, 0);
      uint32_t registers[4];
      moe_sim_ldmatrix(in + size_t(lane) * 8, 4, transposed, registers, 0);
      moe_sim_stmatrix(out + size_t(lane) * 8, 4, transposed, registers, 0);
      moe_sim_barrier(0, -1, 0);
      for (unsigned i = lane; i < 256; i += 32) {
        moe_sim_load(out + i, 2, 2, 3, 0);
        all[i] = out[i];
      }
    });
    ASSERT_EQ(status, 0) << moe_sim_report();
    for (unsigned i = 0; i < 256; ++i)
      EXPECT_EQ(all[i], i);
  }
}

/// A product of four warps whose operands lie as the manual's canonical layouts
/// say, written out for one swizzle and both orders.
void testWgmma(unsigned swizzle, bool aIsColumns) {
  constexpr int m = 64, n = 16, k = 16;
  Product product = {m,
                     n,
                     k,
                     Element::BF16,
                     Element::BF16,
                     Element::F32,
                     Element::F32,
                     0,
                     0,
                     0,
                     aIsColumns,
                     0,
                     1};
  // In bytes. K first: rows of `swizzle`, eight of them an atom; atoms follow
  // along M. M first: rows of 128 bytes, one for each K.
  auto move = [&](unsigned offset) {
    unsigned mask = swizzle == 128 ? 7 : swizzle == 64 ? 3 : swizzle == 32;
    return offset ^ (((offset >> 7) & mask) << 4);
  };
  auto placeK = [&](int row, int depth) {
    if (swizzle == 0)
      return unsigned(row % 8 * 16 + row / 8 * 256 + depth / 8 * 128 +
                      depth % 8 * 2);
    return move(unsigned(row) * swizzle + unsigned(depth) * 2);
  };
  auto placeM = [&](int row, int depth) {
    return move(unsigned(depth) * 128 + unsigned(row) * 2);
  };
  std::vector<float> all(size_t(m) * n);
  int status = runToEnd(128, [&] {
    int t = int(thread());
    auto *a = static_cast<char *>(moe_sim_static_shared(0));
    auto *b = static_cast<char *>(moe_sim_static_shared(16384));
    auto store = [](char *at, int what) {
      moe_sim_store(at, 2, 2, 3, 0);
      uint16_t bits = toBFloat(float(what));
      std::memcpy(at, &bits, 2);
    };
    for (int i = t; i < m * k; i += 128) {
      int row = i / k, depth = i % k;
      store(a + (aIsColumns ? placeM(row, depth) : placeK(row, depth)),
            value(i));
    }
    for (int i = t; i < n * k; i += 128)
      store(b + placeK(i / k, i % k), value(i + 2));
    moe_sim_fence_proxy();
    moe_sim_barrier(0, -1, 0);
    uint64_t mode = swizzle == 128  ? 1
                    : swizzle == 64 ? 2
                    : swizzle == 32 ? 3
                                    : 0;
    auto describe = [&](const char *at, uint64_t leading, uint64_t stride) {
      return (reinterpret_cast<uintptr_t>(at) & 0x3ffff) >> 4 |
             leading >> 4 << 16 | stride >> 4 << 32 | mode << 62;
    };
    uint64_t stride = swizzle ? 8 * swizzle : 256;
    uint64_t da =
        aIsColumns ? describe(a, 16384, 1024) : describe(a, 128, stride);
    uint64_t db = describe(b, 128, stride);
    float d[8];
    for (int i = 0; i < 8; ++i)
      d[i] = 1;
    moe_sim_wgmma_fence();
    moe_sim_wgmma(&product, da, db, d, 0);
    moe_sim_wgmma_commit(0);
    moe_sim_wgmma_wait(0, 0);
    for (int i = 0; i < 8; ++i) {
      int row = t / 32 * 16 + t % 32 / 4 + i / 2 % 2 * 8;
      int column = i / 4 * 8 + t % 4 * 2 + i % 2;
      all[row * n + column] = d[i];
    }
  });
  ASSERT_EQ(status, 0) << moe_sim_report();
  for (int row = 0; row < m; ++row)
    for (int column = 0; column < n; ++column) {
      int sum = 1;
      for (int i = 0; i < k; ++i)
        sum += value(row * k + i) * value(column * k + i + 2);
      EXPECT_EQ(all[row * n + column], float(sum)) << row << ", " << column;
    }
}

/// Floats of 8 bits: lines of 128 of them are four products, each of which
/// begins 32 bytes further.
TEST(Matrix, WgmmaOfE4m3) {
  constexpr int m = 64, n = 8, k = 32, depth = 128;
  std::vector<float> all(size_t(m) * n);
  int status = runToEnd(128, [&] {
    int t = int(thread());
    auto *a = static_cast<char *>(moe_sim_static_shared(0));
    auto *b = static_cast<char *>(moe_sim_static_shared(16384));
    auto fill = [&](char *to, int lines, int first) {
      for (int i = t; i < lines * depth; i += 128) {
        unsigned offset = unsigned(i);
        char *at = to + (offset ^ (((offset >> 7) & 7) << 4));
        moe_sim_store(at, 1, 1, 3, 0);
        *at = char(toE4m3(value(i + first)));
      }
    };
    fill(a, m, 0);
    fill(b, n, 2);
    moe_sim_fence_proxy();
    moe_sim_barrier(0, -1, 0);
    auto describe = [&](const char *at) {
      return (reinterpret_cast<uintptr_t>(at) & 0x3ffff) >> 4 |
             uint64_t(1024 >> 4) << 32 | uint64_t(1) << 62;
    };
    float d[4] = {9, 9, 9, 9};
    Product first = {m,
                     n,
                     k,
                     Element::E4M3,
                     Element::E4M3,
                     Element::F32,
                     Element::F32,
                     0,
                     0,
                     0,
                     0,
                     0,
                     0};
    Product others = first;
    others.accumulate = 1;
    moe_sim_wgmma_fence();
    for (int step = 0; step < depth / k; ++step)
      moe_sim_wgmma(step ? &others : &first, describe(a) + 2 * step,
                    describe(b) + 2 * step, d, 0);
    moe_sim_wgmma_commit(0);
    moe_sim_wgmma_wait(0, 0);
    for (int i = 0; i < 4; ++i) {
      int row = t / 32 * 16 + t % 32 / 4 + i / 2 * 8;
      all[row * n + t % 4 * 2 + i % 2] = d[i];
    }
  });
  ASSERT_EQ(status, 0) << moe_sim_report();
  for (int row = 0; row < m; ++row)
    for (int column = 0; column < n; ++column) {
      int sum = 0;
      for (int i = 0; i < depth; ++i)
        sum += value(row * depth + i) * value(column * depth + i + 2);
      EXPECT_EQ(all[row * n + column], float(sum)) << row << ", " << column;
    }
}

TEST(Matrix, Wgmma) {
  for (unsigned swizzle : {0u, 32u, 64u, 128u})
    testWgmma(swizzle, false);
  testWgmma(128, true);
}

} // namespace
