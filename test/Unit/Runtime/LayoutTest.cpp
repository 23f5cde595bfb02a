//===- LayoutTest.cpp - Weights as files have them ------------------------===//
//
// Part of moe-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
// One weight, written in every layout that a source can describe, comes back
// the same. The sizes are such that tiles and parts do not come out even, and
// one is larger than what is read at once.
//
//===----------------------------------------------------------------------===//

#include "Checkpoint.h"

using namespace moe::test;
using nlohmann::json;

namespace {
struct Sizes {
  int64_t E, O, I;
};

/// How a file has the weight W[e][o][i], beside other parts.
struct Layout {
  const char *name;
  int64_t part, parts;
  bool interleaved, transposed, flat, eachExpert;
  bool stated; // whether the source says that it is transposed
};

struct LayoutTest : CheckpointTest,
                    testing::WithParamInterface<std::tuple<Layout, Sizes>> {
  /// All outputs of one expert in the file's order, [P*O, I] or [I, P*O].
  template <typename T>
  std::vector<T> expert(const Layout &layout, const Sizes &s,
                        const std::vector<T> &values, int64_t e) {
    int64_t rows = layout.parts * s.O;
    std::vector<T> matrix(size_t(rows * s.I), T(9));
    for (int64_t o = 0; o < s.O; ++o)
      for (int64_t i = 0; i < s.I; ++i) {
        int64_t row = layout.interleaved ? o * layout.parts + layout.part
                                         : layout.part * s.O + o;
        int64_t at = layout.transposed ? i * rows + row : row * s.I + i;
        matrix[size_t(at)] = values[size_t((e * s.O + o) * s.I + i)];
      }
    return matrix;
  }

  template <typename T>
  void check(const std::string &dtype, const std::string &fileType) {
    auto [layout, s] = GetParam();
    std::vector<T> values = numbered<T>(s.E * s.O * s.I), all;
    std::vector<int64_t> matrix = {layout.parts * s.O, s.I};
    if (layout.transposed)
      std::swap(matrix[0], matrix[1]);
    for (int64_t e = 0; e < s.E; ++e) {
      std::vector<T> one = expert(layout, s, values, e);
      if (layout.eachExpert)
        tensor("w." + std::to_string(e), fileType, matrix, one);
      all.insert(all.end(), one.begin(), one.end());
    }
    if (layout.flat)
      tensor("w", fileType, {s.E * matrix[0], matrix[1]}, all);
    else if (!layout.eachExpert)
      tensor("w", fileType, {s.E, matrix[0], matrix[1]}, all);
    json source = {{"name", layout.eachExpert ? "w.{e}" : "w"}};
    if (layout.parts > 1)
      source["part"] = {layout.part, layout.parts};
    if (layout.interleaved)
      source["interleaved"] = true;
    if (layout.transposed && layout.stated)
      source["transposed"] = true;
    weight("experts.up.weight", dtype, {s.E, s.O, s.I}, {source});
    ASSERT_MOE_OK(load());
    EXPECT_EQ(values, get<T>("experts.up.weight"));
  }
};

std::string
nameOf(const testing::TestParamInfo<std::tuple<Layout, Sizes>> &info) {
  const Sizes &s = std::get<1>(info.param);
  return std::string(std::get<0>(info.param).name) + "_" + std::to_string(s.E) +
         "_" + std::to_string(s.O) + "_" + std::to_string(s.I);
}
} // namespace

TEST_P(LayoutTest, Bf16) { check<uint16_t>("bf16", "BF16"); }
TEST_P(LayoutTest, F32) { check<uint32_t>("f32", "F32"); }
TEST_P(LayoutTest, Bytes) { check<uint8_t>("u8", "F8_E4M3"); }
TEST_P(LayoutTest, I64) { check<uint64_t>("i64", "I64"); }

//  name, part, parts, interleaved, transposed, flat, eachExpert, stated
static const Layout layouts[] = {
    {"PerExpert", 0, 1, false, false, false, true, true},
    {"PerExpertTransposed", 0, 1, false, true, false, true, true},
    {"PerExpertSecondPart", 1, 2, false, false, false, true, true},
    {"Stacked", 0, 1, false, false, false, false, true},
    {"StackedTransposed", 0, 1, false, true, false, false, true},
    {"StackedTransposedByShape", 0, 1, false, true, false, false, false},
    {"FirstPart", 0, 2, false, false, false, false, true},
    {"SecondPart", 1, 2, false, false, false, false, true},
    {"MiddlePartTransposed", 1, 3, false, true, false, false, true},
    {"Interleaved", 1, 2, true, false, false, false, true},
    {"InterleavedTransposed", 0, 2, true, true, false, false, true},
    {"InterleavedTransposedByShape", 1, 2, true, true, false, false, false},
    {"Flat", 0, 1, false, false, true, false, true},
    {"FlatTransposed", 0, 1, false, true, true, false, true},
    {"FlatSecondPart", 1, 2, false, false, true, false, true},
};
INSTANTIATE_TEST_SUITE_P(
    Loader, LayoutTest,
    testing::Combine(testing::ValuesIn(layouts),
                     testing::Values(Sizes{3, 5, 11}, Sizes{1, 7, 2},
                                     Sizes{2, 66, 130}, Sizes{2, 300, 515})),
    nameOf);

using LoadTest = CheckpointTest;

TEST_F(LoadTest, FirstAlternativeThatIsThere) {
  weight("experts.up.weight", "f32", {2, 2, 3}, {"a.{e}", "b", "c"});
  tensor("c", "F32", {2, 2, 3}, std::vector<float>(12, 3));
  tensor("b", "F32", {2, 2, 3}, std::vector<float>(12, 2));
  ASSERT_MOE_OK(load());
  EXPECT_EQ(std::vector<float>(12, 2), get<float>("experts.up.weight"));
}

TEST_F(LoadTest, ExpertsOfSeveralSourcesFollowEachOther) {
  weight(
      "experts.up.weight", "f32", {5, 2, 1},
      json::array({{"text.{e}", {{"name", "image"}, {"transposed", true}}}}));
  for (int e : {0, 1, 2})
    tensor("text." + std::to_string(e), "F32", {2, 1},
           std::vector<float>{float(2 * e), float(2 * e + 1)});
  tensor("image", "F32", {2, 1, 2}, std::vector<float>{6, 7, 8, 9});
  ASSERT_MOE_OK(load());
  EXPECT_EQ((std::vector<float>{0, 1, 2, 3, 4, 5, 6, 7, 8, 9}),
            get<float>("experts.up.weight"));
}

TEST_F(LoadTest, RowsOfSeveralSourcesFollowEachOther) {
  weight("router.weight", "f32", {5, 2},
         json::array({{{{"name", "text"}, {"transposed", true}}, "image"}}));
  tensor("text", "F32", {2, 3}, std::vector<float>{0, 2, 4, 1, 3, 5});
  tensor("image", "F32", {2, 2}, std::vector<float>{6, 7, 8, 9});
  weight("router.selection_bias", "f32", {6},
         json::array({{{{"name", "bias"}, {"part", {1, 2}}},
                       {{"name", "bias"}, {"part", {0, 2}}}}}));
  tensor("bias", "F32", {2, 3}, std::vector<float>{1, 2, 3, 4, 5, 6});
  ASSERT_MOE_OK(load());
  EXPECT_EQ((std::vector<float>{0, 1, 2, 3, 4, 5, 6, 7, 8, 9}),
            get<float>("router.weight"));
  EXPECT_EQ((std::vector<float>{4, 5, 6, 1, 2, 3}),
            get<float>("router.selection_bias"));
}

TEST_F(LoadTest, SizesOfOneMeanNothing) {
  weight("router.selection_bias", "f32", {3}, {"a"});
  weight("shared.gate.weight", "f32", {1, 4}, {"b"});
  weight("experts.up.bias", "f32", {2, 3}, {"c.{e}"});
  weight("experts.down.bias", "f32", {2, 2},
         {{{"name", "d"}, {"part", {1, 2}}, {"interleaved", true}}});
  tensor("a", "F32", {1, 3, 1}, std::vector<float>{1, 2, 3});
  tensor("b", "F32", {4}, std::vector<float>{1, 2, 3, 4});
  tensor("c.0", "F32", {1, 3}, std::vector<float>{1, 2, 3});
  tensor("c.1", "F32", {3}, std::vector<float>{4, 5, 6});
  tensor("d", "F32", {2, 4, 1}, std::vector<float>{0, 1, 0, 2, 0, 3, 0, 4});
  ASSERT_MOE_OK(load());
  EXPECT_EQ((std::vector<float>{1, 2, 3}), get<float>("router.selection_bias"));
  EXPECT_EQ((std::vector<float>{1, 2, 3, 4}), get<float>("shared.gate.weight"));
  EXPECT_EQ((std::vector<float>{1, 2, 3, 4, 5, 6}),
            get<float>("experts.up.bias"));
  EXPECT_EQ((std::vector<float>{1, 2, 3, 4}), get<float>("experts.down.bias"));
}

TEST_F(LoadTest, Broadcast) {
  json number = {{"name", "n"}, {"broadcast", true}};
  weight("experts.up.scales", "f32", {2, 2, 2},
         {{{"name", "s.{e}"}, {"broadcast", true}}});
  weight("experts.down.scales", "f32", {2, 1, 2}, {number});
  weight("router.expert_scale", "f32", {3},
         {{{"name", "one"}, {"broadcast", true}}});
  tensor("s.0", "BF16", {}, std::vector<uint16_t>{0x3f80});
  tensor("s.1", "BF16", {1, 1}, std::vector<uint16_t>{0x4000});
  tensor("n", "F32", {2}, std::vector<float>{5, 6});
  tensor("one", "F32", {1}, std::vector<float>{7});
  ASSERT_MOE_OK(load());
  EXPECT_EQ((std::vector<float>{1, 1, 1, 1, 2, 2, 2, 2}),
            get<float>("experts.up.scales"));
  EXPECT_EQ((std::vector<float>{5, 5, 6, 6}),
            get<float>("experts.down.scales"));
  EXPECT_EQ((std::vector<float>{7, 7, 7}), get<float>("router.expert_scale"));
}

TEST_F(LoadTest, AnotherLayer) {
  checkpoint = {{"layer", 3}, {"prefix", {"m.{l}."}}};
  weight("router.weight", "f32", {2, 1}, {"m.{l}.gate"});
  tensor("m.3.gate", "F32", {2, 1}, std::vector<float>{1, 2});
  tensor("m.14.gate", "F32", {2, 1}, std::vector<float>{3, 4});
  tensor("m.1.other", "F32", {1}, std::vector<float>{3});
  std::string path = write();
  ASSERT_MOE_OK(load(path));
  EXPECT_EQ((std::vector<float>{1, 2}), get<float>("router.weight"));
  ASSERT_MOE_OK(
      moe_layer_load_weights_of(layer(), path.c_str(), 14, nullptr, nullptr));
  EXPECT_EQ((std::vector<float>{3, 4}), get<float>("router.weight"));
  EXPECT_STATUS(
      MOE_INVALID_ARGUMENT,
      moe_layer_load_weights_of(layer(), path.c_str(), -1, nullptr, nullptr),
      "found layer -1, expected 0 or more");
}

TEST_F(LoadTest, WhatIsIgnored) {
  checkpoint = {{"prefix", {"m."}}, {"ignore", {"*.input_scale", "rope*"}}};
  weight("router.weight", "f32", {2, 1}, {"m.gate", "m.other_gate"});
  tensor("m.gate", "F32", {2, 1}, std::vector<float>{1, 2});
  // A source of the weight, though not the one that is used.
  tensor("m.other_gate", "F32", {2, 1}, std::vector<float>{1, 2});
  tensor("m.gate.input_scale", "F32", {}, std::vector<float>{1});
  tensor("m.rope", "F32", {}, std::vector<float>{1});
  EXPECT_MOE_OK(load());
}

TEST_F(LoadTest, WhatIsMadeOfOneTensorIsReadOnce) {
  for (int part : {0, 1})
    weight(part ? "experts.up.weight" : "experts.gate.weight", "bf16",
           {2, 40, 64},
           {{{"name", "w"},
             {"part", {part, 2}},
             {"interleaved", true},
             {"transposed", true}}});
  std::vector<uint16_t> values = numbered<uint16_t>(int64_t(2) * 64 * 80);
  tensor("w", "BF16", {2, 64, 80}, values);
  uint64_t total = 0;
  ASSERT_MOE_OK(load(
      write(),
      [](void *user, const char *, uint64_t, uint64_t total) {
        *static_cast<uint64_t *>(user) = total;
        return 0;
      },
      &total));
  EXPECT_EQ(2u * 64 * 80 * 2 + 40, total);
  EXPECT_EQ(values[64 * 80 + 5 * 80 + 2 * 7 + 1],
            get<uint16_t>("experts.up.weight")[40 * 64 + 7 * 64 + 5]);
}
