//===- SliceTest.cpp - Slices of weights ----------------------------------===//
//
// Part of moe-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
// However a weight is split, its slices are what the whole has in their places.
// Loading from files is checked after every test of a load, in Checkpoint.cpp.
//
//===----------------------------------------------------------------------===//

#include "Checkpoint.h"
#include "Together.h"

using namespace moe::test;
using nlohmann::json;

namespace {
const char *const types[] = {"f32", "f64", "bf16", "f16",
                             "i8",  "u8",  "i32",  "i64"};

/// A weight "w" by chance, whole and split.
struct SliceTest : testing::TestWithParam<int> {
  SliceTest() : chance(uint64_t(GetParam())) {
    std::vector<int64_t> shape(chance() % 4);
    for (int64_t &size : shape)
      size = int64_t(chance() % 13);
    entry = {{"name", names[chance() % 4]},
             {"dtype", types[chance() % 8]},
             {"shape", shape}};
    grid = chooseGrid(chance, shape);
    json split = entry;
    chooseShard(chance, grid, split);
    entry["fan_in"] = split["fan_in"];
    whole.emplace([&](json &m) { m["weights"].push_back(entry); });
    sharded.emplace([&](json &m) {
      m["grid"] = grid;
      m["weights"].push_back(split);
    });
    name = entry["name"];
    entry = split;
    layer = makeLayer(&whole->package, false);
    ranks.emplace(&sharded->package);
  }

  /// Every rank has what the whole layer has in the places of its slice.
  void check() {
    std::string values = weightBytes(layer.get(), name);
    for (int rank = 0; rank < ranks->size(); ++rank)
      ASSERT_EQ(expectedSlice(values, grid, entry, rank),
                weightBytes((*ranks)[rank], name))
          << "rank " << rank << " of " << grid << ": " << entry;
  }

  static constexpr const char *names[] = {"w", "a.weight", "a.scales",
                                          "a.zeros"};
  Chance chance;
  json grid, entry;
  std::string name;
  std::optional<EditedPackage> whole, sharded;
  Layer layer;
  std::optional<Together> ranks;
};
} // namespace

TEST_P(SliceTest, Random) {
  for (int exact : {0, 1}) {
    ASSERT_MOE_OK(moe_layer_randomize(layer.get(), 5, exact));
    for (int rank = 0; rank < ranks->size(); ++rank)
      ASSERT_MOE_OK(moe_layer_randomize((*ranks)[rank], 5, exact));
    check();
  }
}

TEST_P(SliceTest, SetAndBorrow) {
  ASSERT_MOE_OK(moe_layer_randomize(layer.get(), 6, 0));
  std::string values = weightBytes(layer.get(), name);
  DLTensor given = {};
  ASSERT_MOE_OK(moe_layer_get(layer.get(), name.c_str(), &given));
  std::vector<int64_t> shape = entry["shape"];
  bool told = shape != entry["shard"]["whole"].get<std::vector<int64_t>>();
  for (int rank = 0; rank < ranks->size(); ++rank) {
    moe_layer *one = (*ranks)[rank];
    std::string slice = expectedSlice(values, grid, entry, rank);
    if (told) {
      ASSERT_MOE_OK(moe_layer_set_weight(one, name.c_str(), &given));
      ASSERT_EQ(slice, weightBytes(one, name)) << rank << grid << entry;
      EXPECT_STATUS(MOE_SHAPE_MISMATCH,
                    moe_layer_borrow_weight(one, name.c_str(), &given),
                    "tensor '" + name + "': expected [");
    }
    std::vector<uint64_t> memory(slice.size() / 8 + 1);
    if (!slice.empty())
      std::memcpy(memory.data(), slice.data(), slice.size());
    DLTensor part = given;
    part.data = memory.data();
    part.shape = shape.data();
    part.strides = nullptr;
    ASSERT_MOE_OK(moe_layer_set_weight(one, name.c_str(), &part));
    ASSERT_EQ(slice, weightBytes(one, name));
    ASSERT_MOE_OK(moe_layer_borrow_weight(one, name.c_str(), &part));
    ASSERT_EQ(slice, weightBytes(one, name));
    // Its layer is gone before the memory is.
    ASSERT_MOE_OK(moe_layer_set_weight(one, name.c_str(), &part));
  }
}

INSTANTIATE_TEST_SUITE_P(Chance, SliceTest, testing::Range(0, 200));

TEST(Slice, ZerosOfOtherRanksStay) {
  Together ranks(&fake_shards);
  Tensor<float> bias({4}, f32, 3);
  for (int rank = 0; rank < 4; ++rank) {
    float expected = rank % 2 ? 0 : 3;
    for (auto *give : {moe_layer_set_weight, moe_layer_borrow_weight}) {
      ASSERT_MOE_OK(give(ranks[rank], "bias", &bias.view));
      DLTensor view = {};
      ASSERT_MOE_OK(moe_layer_get(ranks[rank], "bias", &view));
      EXPECT_EQ(expected, *static_cast<const float *>(view.data)) << rank;
    }
  }
}

TEST(Slice, ShapesThatFitNeither) {
  Together ranks(&fake_shards);
  Tensor<float> other({8, 8}, f32);
  EXPECT_STATUS(MOE_SHAPE_MISMATCH,
                moe_layer_set_weight(ranks[0], "up.weight", &other.view),
                "tensor 'up.weight': expected [4, 4] or the whole, [8, 4], "
                "found [8, 8]");
}

using SliceOfWordsTest = CheckpointTest;

TEST_F(SliceOfWordsTest, MustBeWholeWords) {
  for (int e : {0, 1})
    tensor("w." + std::to_string(e), "I32", {8, 2}, numbered<int32_t>(16));
  std::string path = write();
  // 16 inputs in two parts, of which each of two ranks has half: 4.
  EditedPackage sharded([](json &m) {
    m["grid"] = {{"tp", 2}, {"dp", 1}, {"ep", 1}};
    m["weights"].push_back(
        {{"name", "experts.up.weight"},
         {"dtype", "u8"},
         {"shape", {2, 8, 4}},
         {"shard",
          {{"whole", {2, 8, 8}},
           {"split", {{{"dim", 2}, {"axis", "tp"}, {"parts", 2}}}}}},
         {"sources", {{{"name", "w.{e}"}, {"packing", "compressed"}}}}});
  });
  Together ranks(&sharded.package);
  for (int rank : {0, 1})
    EXPECT_STATUS(
        MOE_SHAPE_MISMATCH,
        moe_layer_load_weights(ranks[rank], path.c_str(), nullptr, nullptr),
        "error: 'w.0': words of eight numbers cannot be split after 4 inputs");
}

TEST(Slice, CannotBeSaved) {
  Together ranks(&fake_shards);
  ASSERT_MOE_OK(moe_layer_randomize(ranks[0], 1, 0));
  EXPECT_STATUS(MOE_INVALID_ARGUMENT,
                moe_layer_save_weights(ranks[0], "never.safetensors"),
                "slices of its weights, which cannot be saved");
}
