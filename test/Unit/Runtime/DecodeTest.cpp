//===- DecodeTest.cpp - All of what decoding goes through -----------------===//
//
// Part of moe-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
// Every code, blocks of all shapes, and weights that are decoded in many parts.
// What is expected is computed one by one, in another way.
//
//===----------------------------------------------------------------------===//

#include "Checkpoint.h"

#include <cmath>

using namespace moe::test;
using nlohmann::json;

namespace {

/// By what the format says of exponents, and NaN as it is written.
float e4m3(int bits) {
  int exponent = bits >> 3 & 15, digits = bits & 7;
  float value = exponent ? std::ldexp(float(8 + digits), exponent - 10)
                         : std::ldexp(float(digits), -9);
  value = (bits & 127) == 127 ? NAN : value;
  return bits & 128 ? -value : value;
}

struct EveryDecodeTest : CheckpointTest {
  int64_t E = 1, O = 1, M = 256, blockO = 1, blockM = 256;

  int64_t scaleAt(int64_t e, int64_t o, int64_t m) const {
    int64_t rows = (O + blockO - 1) / blockO,
            columns = (M + blockM - 1) / blockM;
    return (e * rows + o / blockO) * columns + m / blockM;
  }

  /// f32, where nothing is rounded twice.
  template <typename Value>
  void check(const char *kind, const std::string &fileType,
             const std::vector<uint8_t> &data, Value &&value,
             moe_progress progress = nullptr, void *user = nullptr) {
    int64_t rows = (O + blockO - 1) / blockO,
            columns = (M + blockM - 1) / blockM;
    std::vector<float> scales(size_t(E * rows * columns));
    for (size_t i = 0; i < scales.size(); ++i)
      scales[i] = .37f * float(i % 29 + 1);
    weight("experts.up.weight", "f32", {E, O, M},
           json{{"name", "q"},
                {"decode", {{"kind", kind}, {"block", {blockO, blockM}}}},
                {"scales", "s"}});
    tensor("q", fileType, {E, O, int64_t(data.size()) / (E * O)}, data);
    tensor("s", "F32", {E, rows, columns}, scales);
    ASSERT_MOE_OK(load(write(), progress, user));
    std::vector<float> found = get<float>("experts.up.weight");
    ASSERT_EQ(size_t(E * O * M), found.size());
    for (int64_t i = 0; i < E * O * M; ++i) {
      int64_t e = i / (O * M), o = i / M % O, m = i % M;
      float expected = value(i) * scales[size_t(scaleAt(e, o, m))];
      if (std::isnan(expected))
        ASSERT_TRUE(std::isnan(found[size_t(i)])) << i;
      else
        ASSERT_EQ(expected, found[size_t(i)]) << i;
    }
  }
  void checkFp8() {
    std::vector<uint8_t> data(size_t(E * O * M));
    for (size_t i = 0; i < data.size(); ++i)
      data[i] = uint8_t(i + i / 256);
    check("fp8_e4m3", "F8_E4M3", data,
          [&](int64_t i) { return e4m3(data[size_t(i)]); });
  }
};
} // namespace

TEST_F(EveryDecodeTest, Fp8OneByOne) { checkFp8(); }

TEST_F(EveryDecodeTest, Fp8ByTables) {
  O = 8;
  blockO = 8;
  checkFp8();
}

TEST_F(EveryDecodeTest, Fp8InRunsLongerThanASlice) {
  O = 3;
  M = 200011;
  blockM = 0x7fffffff;
  checkFp8();
}

// One slice has some of a block's rows, or of several blocks.
TEST_F(EveryDecodeTest, Fp8OfManySlices) {
  E = 3;
  O = 421;
  M = 1040;
  blockO = 100;
  blockM = 129;
  checkFp8();
}

TEST_F(EveryDecodeTest, Fp8OfBlocksThatAreColumns) {
  O = 700;
  M = 9;
  blockO = 600;
  blockM = 1;
  checkFp8();
}

// The scales are more bytes than the weights.
TEST_F(EveryDecodeTest, Fp8OfAScaleForEach) {
  E = 5;
  O = 7;
  blockM = 1;
  checkFp8();
}

TEST_F(EveryDecodeTest, Int4InOddBlocks) {
  E = 2;
  O = 5;
  M = 22;
  blockM = 7;
  std::vector<uint8_t> data = numbered<uint8_t>(E * O * M / 2);
  check("int4", "U8", data, [&](int64_t i) {
    return float((data[size_t(i / 2)] >> i % 2 * 4 & 15) - 8);
  });
}

TEST_F(EveryDecodeTest, ProgressCountsEveryByteOnce) {
  struct Seen {
    uint64_t done = 0, total = 0;
    static int call(void *user, const char *, uint64_t done, uint64_t total) {
      *static_cast<Seen *>(user) = {done, total};
      return 0;
    }
  } seen;
  E = 40;
  O = 64;
  std::vector<uint8_t> data(size_t(E * O * M), 0x38);
  check(
      "fp8_e4m3", "F8_E4M3", data, [](int64_t) { return 1.f; }, Seen::call,
      &seen);
  EXPECT_EQ(seen.total, seen.done);
  EXPECT_GE(seen.total, data.size() + size_t(E * O) * 4);
}
