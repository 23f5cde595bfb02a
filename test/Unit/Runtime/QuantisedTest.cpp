//===- QuantisedTest.cpp - Quantised weights of files ---------------------===//
//
// Part of moe-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
// Bits that are moved stay the same bits, and values that are decoded are those
// of docs/Spec.md, computed here once more, one by one.
//
//===----------------------------------------------------------------------===//

#include "Checkpoint.h"

#include <cmath>

using namespace moe::test;
using nlohmann::json;

namespace {

/// A weight of four bits q[e][o][m], with a zero point for each group of
/// inputs, and the words that files have of them.
struct PackedTest : CheckpointTest {
  static constexpr int64_t E = 2, O = 24, M = 64, G = 4;
  std::vector<uint8_t> q = numbered<uint8_t>(E * O * M);
  std::vector<uint8_t> zeros = numbered<uint8_t>(E * O * G);

  PackedTest() {
    for (uint8_t &value : q)
      value &= 15;
    for (uint8_t &value : zeros)
      value = 1 + value % 15;
  }

  /// `count` words; number i of word w is `at(w, i)`.
  template <typename At>
  static std::vector<uint32_t> words(int64_t count, At &&at) {
    std::vector<uint32_t> result;
    for (int64_t w = 0; w < count; ++w) {
      uint32_t word = 0;
      for (int i = 0; i < 8; ++i)
        word |= uint32_t(at(w, i)) << 4 * i;
      result.push_back(word);
    }
    return result;
  }
  int64_t weightAt(int64_t e, int64_t o, int64_t m) const {
    return q[size_t((e * O + o) * M + m)];
  }
  int64_t zeroAt(int64_t e, int64_t o, int64_t g) const {
    return zeros[size_t((e * O + o) * G + g)];
  }

  void addWeights(const json &source, const json &zeroSource) {
    weight("experts.up.weight", "u8", {E, O, M / 2}, json::array({source}));
    weight("experts.up.zeros", "u8", {E, O, G}, json::array({zeroSource}));
  }
  void check() {
    ASSERT_MOE_OK(load());
    std::vector<uint8_t> packed;
    for (size_t i = 0; i < q.size(); i += 2)
      packed.push_back(uint8_t(q[i] | q[i + 1] << 4));
    EXPECT_EQ(packed, get<uint8_t>("experts.up.weight"));
    EXPECT_EQ(zeros, get<uint8_t>("experts.up.zeros"));
  }
  static std::string expert(int64_t e, const char *last) {
    return "x." + std::to_string(e) + "." + last;
  }
  static json source(const char *last, const char *packing) {
    return {{"name", std::string("x.{e}.") + last}, {"packing", packing}};
  }
  void addGptq(const std::vector<int32_t> &groups) {
    addWeights(source("qweight", "gptq"), source("qzeros", "gptq"));
    weight("experts.up.scales", "f32", {E, O, G}, source("scales", "gptq"));
    checkpoint = {{"prefix", {"x."}}};
    for (int64_t e = 0; e < E; ++e) {
      tensor(expert(e, "qweight"), "I32", {M / 8, O},
             words(M / 8 * O, [&](int64_t w, int i) {
               return weightAt(e, w % O, w / O * 8 + i);
             }));
      tensor(expert(e, "qzeros"), "I32", {G, O / 8},
             words(G * O / 8, [&](int64_t w, int i) {
               return zeroAt(e, w % (O / 8) * 8 + i, w / (O / 8)) - 1;
             }));
      std::vector<uint16_t> scales;
      for (int64_t g = 0; g < G; ++g)
        for (int64_t o = 0; o < O; ++o)
          scales.push_back(uint16_t(0x3c00 + e * 256 + o * G + g));
      tensor(expert(e, "scales"), "F16", {G, O}, scales);
      if (!groups.empty())
        tensor(expert(e, "g_idx"), "I32", {M}, groups);
    }
  }
  static std::vector<int32_t> plainGroups() {
    std::vector<int32_t> groups;
    for (int64_t m = 0; m < M; ++m)
      groups.push_back(int32_t(m / (M / G)));
    return groups;
  }
};
} // namespace

TEST_F(PackedTest, Gptq) {
  addGptq(plainGroups());
  check();
  std::vector<float> scales = get<float>("experts.up.scales");
  for (int64_t i = 0; i < E * O * G; ++i) {
    int64_t expert = i / (O * G), rest = i % (O * G);
    ASSERT_EQ(float(1 + double(expert * 256 + rest) / 1024.0),
              scales[size_t(i)]);
  }
}

TEST_F(PackedTest, GptqWithoutOrder) {
  addGptq({});
  check();
}

TEST_F(PackedTest, GptqWithAnotherOrderIsRefused) {
  std::vector<int32_t> groups = plainGroups();
  std::swap(groups[3], groups[40]);
  addGptq(groups);
  expectRefused(MOE_BAD_FILE,
                "error: 'x.0.g_idx': input 3 is in group 2: expected groups of "
                "inputs that follow each other");
}

TEST_F(PackedTest, GptqOrderOfAnotherTypeIsRefused) {
  addGptq({});
  tensor(expert(0, "g_idx"), "F32", {2, 2}, std::vector<float>(4));
  expectRefused(MOE_BAD_FILE, "error: 'x.0.g_idx': expected the group of each "
                              "input, I32 and one dimension, found F32 [2, 2]");
}

TEST_F(PackedTest, Awq) {
  constexpr int order[] = {0, 2, 4, 6, 1, 3, 5, 7};
  addWeights(source("qweight", "awq"), source("qzeros", "awq"));
  for (int64_t e = 0; e < E; ++e) {
    tensor(expert(e, "qweight"), "I32", {M, O / 8},
           words(M * O / 8, [&](int64_t w, int i) {
             return weightAt(e, w % (O / 8) * 8 + order[i], w / (O / 8));
           }));
    tensor(expert(e, "qzeros"), "I32", {G, O / 8},
           words(G * O / 8, [&](int64_t w, int i) {
             return zeroAt(e, w % (O / 8) * 8 + order[i], w / (O / 8));
           }));
  }
  check();
}

TEST_F(PackedTest, AwqPart) {
  // The second half of the outputs of twice as many.
  json half = source("qweight", "awq"), zeroHalf = source("qzeros", "awq");
  half["part"] = zeroHalf["part"] = {1, 2};
  constexpr int order[] = {0, 2, 4, 6, 1, 3, 5, 7};
  addWeights(half, zeroHalf);
  auto at = [&](int64_t w, int i, auto &&value) {
    int64_t o = w % (O / 4) * 8 + order[i] - O;
    return o < 0 ? 5 : value(o, w / (O / 4));
  };
  for (int64_t e = 0; e < E; ++e) {
    tensor(expert(e, "qweight"), "I32", {M, O / 4},
           words(M * O / 4, [&](int64_t w, int i) {
             return at(w, i,
                       [&](int64_t o, int64_t m) { return weightAt(e, o, m); });
           }));
    tensor(expert(e, "qzeros"), "I32", {G, O / 4},
           words(G * O / 4, [&](int64_t w, int i) {
             return at(w, i,
                       [&](int64_t o, int64_t g) { return zeroAt(e, o, g); });
           }));
  }
  check();
}

TEST_F(PackedTest, Compressed) {
  addWeights(source("weight_packed", "compressed"),
             source("weight_zero_point", "compressed"));
  checkpoint = {{"prefix", {"x."}}};
  for (int64_t e = 0; e < E; ++e) {
    tensor(expert(e, "weight_packed"), "I32", {O, M / 8},
           words(O * M / 8, [&](int64_t w, int i) {
             return weightAt(e, w / (M / 8), w % (M / 8) * 8 + i);
           }));
    tensor(expert(e, "weight_zero_point"), "I32", {O / 8, G},
           words(O / 8 * G, [&](int64_t w, int i) {
             return zeroAt(e, w / G * 8 + i, w % G);
           }));
    tensor(expert(e, "weight_shape"), "I64", {2}, std::vector<int64_t>{O, M});
  }
  check();
}

TEST_F(PackedTest, WordsOfAnotherTypeOrShapeAreRefused) {
  weight("experts.up.weight", "u8", {E, O, M / 2}, source("q", "gptq"));
  tensor("x.0.q", "I32", {O, M / 8}, std::vector<int32_t>(O * M / 8));
  expectRefused(MOE_SHAPE_MISMATCH,
                "error: 'x.0.q': expected [8, 24], found [24, 8]");
}

TEST_F(PackedTest, BytesWhereWordsAreExpected) {
  weight("experts.up.weight", "u8", {E, O, M / 2}, source("q", "awq"));
  tensor("x.0.q", "U8", {O, M / 2}, std::vector<uint8_t>(O * M / 2));
  expectRefused(MOE_DTYPE_MISMATCH, "error: 'x.0.q': expected I32, found U8");
}

TEST_F(PackedTest, WordsThatDoNotComeOutEven) {
  weight("experts.up.weight", "u8", {E, 12, M / 2}, source("q", "awq"));
  tensor("x.0.q", "I32", {M, 2}, std::vector<int32_t>(M * 2));
  expectRefused(MOE_SHAPE_MISMATCH,
                "error: 'x.0.q': eight numbers to a word, but 12 outputs");
}

TEST_F(PackedTest, Blocks) {
  // Gate and up take turns, as gpt-oss has them.
  weight("experts.up.weight", "u8", {2, 3, 32},
         json{{"name", "gate_up_blocks"},
              {"part", {1, 2}},
              {"interleaved", true},
              {"packing", "blocks"}});
  weight("experts.up.scales", "u8", {2, 3, 2},
         json{{"name", "gate_up_scales"},
              {"part", {1, 2}},
              {"interleaved", true}});
  std::vector<uint8_t> blocks = numbered<uint8_t>(int64_t(2) * 6 * 32),
                       scales = numbered<uint8_t>(int64_t(2) * 6 * 2);
  tensor("gate_up_blocks", "U8", {2, 6, 2, 16}, blocks);
  tensor("gate_up_scales", "U8", {2, 6, 2}, scales);
  ASSERT_MOE_OK(load());
  std::vector<uint8_t> up = get<uint8_t>("experts.up.weight");
  for (size_t row = 0; row < 6; ++row)
    for (size_t i = 0; i < 32; ++i)
      ASSERT_EQ(blocks[(2 * row + 1) * 32 + i], up[row * 32 + i]);
  EXPECT_EQ(scales[5 * 2 + 1], get<uint8_t>("experts.up.scales")[5]);
}

TEST_F(PackedTest, BytesOfEveryMethodAreMoved) {
  weight("experts.up.weight", "u8", {2, 4, 16}, "packed.{e}");
  weight("experts.up.scales", "u8", {2, 4, 1}, "packed_scale.{e}");
  weight("experts.gate.weight", "u8", {1, 4, 16}, "nv");
  weight("experts.gate.scales", "u8", {1, 4, 2}, "nv_scale");
  weight("experts.gate.global_scale", "f32", {1}, "nv_scale_2");
  weight("experts.down.weight", "u8", {1, 4, 6}, "fp8");
  weight("experts.down.scales", "f32", {1, 4, 1}, "per_channel");
  weight("shared.up.scales", "f32", {1, 1}, "per_tensor");
  std::vector<uint8_t> bytes = numbered<uint8_t>(64);
  for (const char *e : {"0", "1"}) {
    tensor(std::string("packed.") + e, "I8", {4, 16}, bytes);
    tensor(std::string("packed_scale.") + e, "F8_E8M0", {4, 1},
           std::vector<uint8_t>{1, 2, 3, 4});
  }
  tensor("nv", "U8", {4, 16}, bytes);
  tensor("nv_scale", "F8_E4M3", {4, 2}, std::vector<uint8_t>(8, 0x38));
  tensor("nv_scale_2", "F32", {}, std::vector<float>{.25f});
  tensor("fp8", "F8_E4M3", {4, 6}, numbered<uint8_t>(24));
  tensor("per_channel", "BF16", {4, 1}, std::vector<uint16_t>(4, 0x3f80));
  tensor("per_tensor", "F32", {1}, std::vector<float>{3});
  ASSERT_MOE_OK(load());
  EXPECT_EQ(bytes, get<uint8_t>("experts.gate.weight"));
  std::vector<uint8_t> both = bytes;
  both.insert(both.end(), bytes.begin(), bytes.end());
  EXPECT_EQ(both, get<uint8_t>("experts.up.weight"));
  EXPECT_EQ((std::vector<uint8_t>{1, 2, 3, 4, 1, 2, 3, 4}),
            get<uint8_t>("experts.up.scales"));
  EXPECT_EQ(std::vector<float>(4, 1), get<float>("experts.down.scales"));
  EXPECT_EQ(std::vector<float>{3}, get<float>("shared.up.scales"));
  EXPECT_EQ(std::vector<float>{.25f}, get<float>("experts.gate.global_scale"));
}

//===----------------------------------------------------------------------===//
// Decoding
//===----------------------------------------------------------------------===//

namespace {

double e4m3(int bits) {
  int exponent = bits >> 3 & 15, significand = bits & 7;
  double value = exponent == 15 && significand == 7 ? NAN
                 : exponent
                     ? (1 + significand / 8.0) * std::pow(2.0, exponent - 7)
                     : significand / 8.0 * std::pow(2.0, -6);
  return bits & 128 ? -value : value;
}
double e2m1(int bits) {
  constexpr double values[] = {0, .5, 1, 1.5, 2, 3, 4, 6};
  return bits & 8 ? -values[bits & 7] : values[bits & 7];
}

/// The nearest bf16, by looking at both neighbours.
double roundedToBf16(double value) {
  float f = float(value);
  uint32_t bits;
  std::memcpy(&bits, &f, 4);
  uint32_t low = bits & 0xffff0000u, high = low + 0x10000u;
  float below, above;
  std::memcpy(&below, &low, 4);
  std::memcpy(&above, &high, 4);
  double toLow = std::abs(double(f) - below),
         toHigh = std::abs(above - double(f));
  bool up = toHigh < toLow || (toHigh == toLow && (low >> 16 & 1));
  return up ? above : below;
}

struct DecodeTest : CheckpointTest {
  static constexpr int64_t E = 2, O = 6, M = 64;

  template <typename Value> void check(const json &source, Value &&value) {
    weight("experts.up.weight", "f32", {E, O, M}, source);
    weight("experts.down.weight", "bf16", {E, O, M}, source);
    ASSERT_MOE_OK(load());
    std::vector<float> exact = get<float>("experts.up.weight");
    std::vector<uint16_t> rounded = get<uint16_t>("experts.down.weight");
    for (int64_t i = 0; i < E * O * M; ++i) {
      double expected = value(i / (O * M), i / M % O, i % M);
      ASSERT_EQ(float(expected), exact[size_t(i)]) << i;
      uint32_t bits = uint32_t(rounded[size_t(i)]) << 16;
      float found;
      std::memcpy(&found, &bits, 4);
      ASSERT_EQ(roundedToBf16(expected), found) << i;
    }
  }
};
} // namespace

TEST_F(DecodeTest, Fp8InBlocks) {
  std::vector<uint8_t> data = numbered<uint8_t>(E * O * M);
  for (uint8_t &byte : data)
    if ((byte & 127) == 127)
      byte = 1; // NaN is no number to compare
  std::vector<float> scales;
  for (int i = 0; i < E * 2 * 3; ++i)
    scales.push_back(0.013f * float(i + 1));
  for (int64_t e = 0; e < E; ++e) {
    std::string name = "x." + std::to_string(e) + ".weight";
    tensor(name, "F8_E4M3", {O, M},
           std::vector<uint8_t>(data.begin() + e * O * M,
                                data.begin() + (e + 1) * O * M));
    tensor(name + "_scale_inv", "F32", {2, 3},
           std::vector<float>(scales.begin() + e * 6,
                              scales.begin() + (e + 1) * 6));
  }
  check({{"name", "x.{e}.weight"},
         {"decode", {{"kind", "fp8_e4m3"}, {"block", {4, 24}}}},
         {"scales", "x.{e}.weight_scale_inv"}},
        [&](int64_t e, int64_t o, int64_t m) {
          return e4m3(data[size_t((e * O + o) * M + m)]) *
                 double(scales[size_t(e * 6 + o / 4 * 3 + m / 24)]);
        });
}

TEST_F(DecodeTest, Int8PerOutput) {
  std::vector<int8_t> data = numbered<int8_t>(E * O * M);
  std::vector<uint16_t> scales; // bf16, of values that are exact
  for (int i = 0; i < E * O; ++i)
    scales.push_back(uint16_t(0x3c00 + i));
  tensor("q", "I8", {E, O, M}, data);
  tensor("s", "BF16", {E, O, 1}, scales);
  check({{"name", "q"},
         {"decode", {{"kind", "int8"}, {"block", {1, 0}}}},
         {"scales", "s"}},
        [&](int64_t e, int64_t o, int64_t m) {
          uint32_t bits = uint32_t(scales[size_t(e * O + o)]) << 16;
          float scale;
          std::memcpy(&scale, &bits, 4);
          return double(data[size_t((e * O + o) * M + m)]) * double(scale);
        });
}

TEST_F(DecodeTest, Fp8PerTensorTransposed) {
  // Stacked and turned around, with a number for each expert.
  std::vector<uint8_t> data(E * O * M);
  for (size_t i = 0; i < data.size(); ++i)
    data[i] = uint8_t(i % 127);
  tensor("q", "F8_E4M3", {E, M, O}, data);
  tensor("s", "F32", {E}, std::vector<float>{.5f, 3});
  check({{"name", "q"},
         {"transposed", true},
         {"decode", {{"kind", "fp8_e4m3"}}},
         {"scales", "s"}},
        [&](int64_t e, int64_t o, int64_t m) {
          return e4m3(data[size_t((e * M + m) * O + o)]) * (e ? 3 : .5);
        });
}

TEST_F(DecodeTest, Int4OfCompressed) {
  std::vector<uint32_t> words(E * O * M / 8);
  for (size_t i = 0; i < words.size(); ++i)
    words[i] = uint32_t(i * 2654435761u);
  tensor("w", "I32", {E, O, M / 8}, words);
  tensor("s", "F32", {E, O, 2}, std::vector<float>(E * O * 2, .125f));
  auto value = [&](int64_t i) {
    return int(words[size_t(i / 8)] >> 4 * (i % 8) & 15);
  };
  check({{"name", "w"},
         {"packing", "compressed"},
         {"decode", {{"kind", "int4"}, {"block", {1, 32}}}},
         {"scales", "s"}},
        [&](int64_t e, int64_t o, int64_t m) {
          return (value((e * O + o) * M + m) - 8) * .125;
        });
}

TEST_F(DecodeTest, Int4WithZeros) {
  std::vector<uint8_t> data = numbered<uint8_t>(E * O * M / 2),
                       zeros = numbered<uint8_t>(E * O * 2);
  for (uint8_t &zero : zeros)
    zero &= 15;
  tensor("w", "U8", {E, O, M / 2}, data);
  tensor("z", "U8", {E, O, 2}, zeros);
  tensor("s", "F32", {E, O, 2}, std::vector<float>(E * O * 2, .125f));
  check({{"name", "w"},
         {"decode",
          {{"kind", "int4"}, {"block", {1, 32}}, {"zero_points", true}}},
         {"scales", "s"},
         {"zeros", "z"}},
        [&](int64_t e, int64_t o, int64_t m) {
          int64_t i = (e * O + o) * M + m;
          int q = data[size_t(i / 2)] >> i % 2 * 4 & 15;
          return (q - zeros[size_t((e * O + o) * 2 + m / 32)]) * .125;
        });
}

TEST_F(DecodeTest, Mxfp4) {
  std::vector<uint8_t> data = numbered<uint8_t>(E * O * 2 * M / 2), scales;
  for (int i = 0; i < E * O * 2 * 2; ++i)
    scales.push_back(uint8_t(120 + i % 17));
  tensor("blocks", "U8", {E, 2 * O, 2, 16}, data);
  tensor("scales", "U8", {E, 2 * O, 2}, scales);
  json part = {{"part", {1, 2}}, {"interleaved", true}};
  json source = {{"name", "blocks"},
                 {"packing", "blocks"},
                 {"decode", {{"kind", "mxfp4"}}},
                 {"scales", {{"name", "scales"}}}};
  source.update(part);
  source["scales"].update(part);
  check(source, [&](int64_t e, int64_t o, int64_t m) {
    int64_t row = e * 2 * O + 2 * o + 1;
    int q = data[size_t(row * M / 2 + m / 2)] >> m % 2 * 4 & 15;
    return e2m1(q) * std::pow(2.0, scales[size_t(row * 2 + m / 32)] - 127);
  });
}

TEST_F(DecodeTest, Nvfp4) {
  std::vector<uint8_t> data = numbered<uint8_t>(E * O * M / 2), scales;
  for (int i = 0; i < E * O * 4; ++i)
    scales.push_back(uint8_t(0x30 + i % 40));
  for (int64_t e = 0; e < E; ++e) {
    std::string name = "x." + std::to_string(e) + ".weight";
    tensor(name, "U8", {O, M / 2},
           std::vector<uint8_t>(data.begin() + e * O * M / 2,
                                data.begin() + (e + 1) * O * M / 2));
    tensor(name + "_scale", "F8_E4M3", {O, 4},
           std::vector<uint8_t>(scales.begin() + e * O * 4,
                                scales.begin() + (e + 1) * O * 4));
    tensor(name + "_scale_2", "F32", {}, std::vector<float>{e ? 2.f : .5f});
  }
  check({{"name", "x.{e}.weight"},
         {"decode", {{"kind", "nvfp4"}}},
         {"scales", "x.{e}.weight_scale"},
         {"global_scale", "x.{e}.weight_scale_2"}},
        [&](int64_t e, int64_t o, int64_t m) {
          int64_t row = e * O + o;
          int q = data[size_t(row * M / 2 + m / 2)] >> m % 2 * 4 & 15;
          return e2m1(q) * e4m3(scales[size_t(row * 4 + m / 16)]) *
                 (e ? 2 : .5);
        });
}

TEST_F(DecodeTest, PlainWhereThereAreNoScales) {
  weight(
      "experts.up.weight", "f32", {2, 2, 2},
      json::array(
          {{{"name", "w"}, {"decode", {{"kind", "fp8_e4m3"}}}, {"scales", "s"}},
           "w"}));
  tensor("w", "F32", {2, 2, 2}, std::vector<float>{1, 2, 3, 4, 5, 6, 7, 8});
  ASSERT_MOE_OK(load());
  EXPECT_EQ((std::vector<float>{1, 2, 3, 4, 5, 6, 7, 8}),
            get<float>("experts.up.weight"));
}

TEST_F(DecodeTest, MissingScales) {
  weight("experts.up.weight", "f32", {1, 2, 2},
         json{{"name", "w"},
              {"decode", {{"kind", "fp8_e4m3"}}},
              {"scales", "w_scale_inv"}});
  tensor("w", "F8_E4M3", {1, 2, 2}, std::vector<uint8_t>(4));
  tensor("w_scale", "F32", {1}, std::vector<float>(1));
  expectRefused(MOE_WEIGHT_MISSING, "error: there is no tensor 'w_scale_inv'; "
                                    "did you mean 'w_scale'?");
}

TEST_F(DecodeTest, ScalesOfAnotherShape) {
  weight("experts.up.weight", "f32", {1, 4, 8},
         json{{"name", "w"},
              {"decode", {{"kind", "fp8_e4m3"}, {"block", {2, 3}}}},
              {"scales", "s"}});
  tensor("w", "F8_E4M3", {4, 8}, std::vector<uint8_t>(32));
  tensor("s", "F32", {2, 4}, std::vector<float>(8));
  expectRefused(MOE_SHAPE_MISMATCH, "error: 's': expected [1, 2, 3] or "
                                    "[1, 3, 2], found [2, 4]");
}

TEST_F(DecodeTest, InputsThatAreNoWholeBlocks) {
  weight("experts.up.weight", "f32", {1, 4, 40},
         json{{"name", "w"}, {"decode", {{"kind", "mxfp4"}}}, {"scales", "s"}});
  tensor("w", "U8", {4, 20}, std::vector<uint8_t>(80));
  tensor("s", "U8", {4, 1}, std::vector<uint8_t>(4));
  expectRefused(MOE_SHAPE_MISMATCH, "error: 'w': its kind of weights needs a "
                                    "multiple of 32 inputs, expected 40");
}

TEST_F(DecodeTest, TypesThatHoldNoValues) {
  weight("experts.up.weight", "i8", {1, 4, 4},
         json{{"name", "w"}, {"decode", {{"kind", "int8"}}}, {"scales", "s"}});
  tensor("w", "I8", {4, 4}, std::vector<uint8_t>(16));
  tensor("s", "F32", {1}, std::vector<float>(1));
  expectRefused(MOE_DTYPE_MISMATCH, "error: 'w': its kind of weights gives "
                                    "f32, bf16 or f16, expected i8");
}
