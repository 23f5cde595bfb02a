//===- WeightsTest.cpp - Loading weights ----------------------------------===//
//
// Part of moe-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
// All or nothing: what fails leaves the layer as it was. And shards, whose
// names stay in their folder.
//
//===----------------------------------------------------------------------===//

#include "Support.h"

#include <cstring>

namespace fs = std::filesystem;
using namespace moe::test;
using nlohmann::json;

namespace {
struct WeightsTest : testing::Test {
  WeightsTest() { setWeights(layer.get()); }

  /// A file with weights of other values than the layer has.
  std::string writeFile(const std::string &name,
                        std::vector<std::string> tensors) {
    Tensor<float> scale({4}, f32, 7), bias({3}, f32, 8);
    Tensor<uint16_t> table({2, 3}, bf16, 9);
    std::vector<moe_named_tensor> list;
    for (const std::string &tensor : tensors)
      list.push_back({tensor.c_str(), tensor == "layer.scale.weight"
                                          ? &scale.view
                                      : tensor == "layer.bias" ? &bias.view
                                                               : &table.view});
    fs::create_directories(fs::path(folder / name).parent_path());
    EXPECT_MOE_OK(moe_safetensors_write((folder / name).c_str(), list.data(),
                                        list.size()));
    return folder / name;
  }
  std::string writeAll(const std::string &name = "all.safetensors") {
    return writeFile(name, {"layer.scale.weight", "layer.bias", "layer.table"});
  }
  std::string writeIndex(const json &map) {
    return folder.write(
        "m/model.safetensors.index.json",
        json({{"metadata", json::object()}, {"weight_map", map}}).dump());
  }
  moe_status load(const std::string &path, moe_progress progress = nullptr,
                  void *user = nullptr) {
    return moe_layer_load_weights(layer.get(), path.c_str(), progress, user);
  }
  float scale() {
    DLTensor view;
    EXPECT_MOE_OK(moe_layer_get(layer.get(), "scale.weight", &view));
    return static_cast<const float *>(view.data)[0];
  }
  void expectRefused(moe_status status, const std::string &path,
                     const std::string &message) {
    EXPECT_STATUS(status, load(path), message);
    EXPECT_EQ(1, scale()) << "the layer has changed";
  }
  TemporaryFolder folder;
  Layer layer = makeLayer();
};

struct Progress {
  std::vector<std::string> names;
  uint64_t done = 0, total = 0;
  int cancelAt = -1;
  static int call(void *user, const char *tensor, uint64_t done,
                  uint64_t total) {
    auto *progress = static_cast<Progress *>(user);
    progress->names.push_back(tensor);
    EXPECT_GT(done, progress->done);
    progress->done = done;
    progress->total = total;
    return int(progress->names.size()) - 1 == progress->cancelAt;
  }
};
} // namespace

TEST_F(WeightsTest, OneFile) {
  Progress progress;
  ASSERT_MOE_OK(load(writeAll(), Progress::call, &progress));
  EXPECT_EQ(7, scale());
  EXPECT_EQ((std::vector<std::string>{"scale.weight", "bias", "table"}),
            progress.names);
  EXPECT_EQ(40u, progress.done);
  EXPECT_EQ(40u, progress.total);
}

TEST_F(WeightsTest, CancelLeavesTheLayerUnchanged) {
  std::string path = writeAll();
  for (int step : {0, 1, 2}) {
    Progress progress;
    progress.cancelAt = step;
    EXPECT_STATUS(MOE_CANCELLED, load(path, Progress::call, &progress),
                  "cancelled at 'layer.");
    EXPECT_EQ(1, scale());
  }
}

TEST_F(WeightsTest, MissingFile) {
  expectRefused(MOE_NOT_FOUND, folder / "none.safetensors", "No such file");
  expectRefused(MOE_IO, "/dev/null", "not a regular file");
}

TEST_F(WeightsTest, MissingTensor) {
  expectRefused(MOE_WEIGHT_MISSING,
                writeFile("w.safetensors", {"layer.scale.weight"}),
                "w.safetensors: error: there is no tensor 'layer.bias'");
}

TEST_F(WeightsTest, WrongTypeAndShape) {
  Tensor<float> scale({4}, f32, 7), bias({4}, f32, 8), table({2, 3}, f32, 9);
  moe_named_tensor list[] = {{"layer.scale.weight", &scale.view},
                             {"layer.bias", &bias.view},
                             {"layer.table", &table.view}};
  std::string path = folder / "w.safetensors";
  ASSERT_MOE_OK(moe_safetensors_write(path.c_str(), list, 3));
  expectRefused(MOE_SHAPE_MISMATCH, path,
                "w.safetensors: error: 'layer.bias': expected [3], found [4]");
  bias.shape[0] = 3;
  ASSERT_MOE_OK(moe_safetensors_write(path.c_str(), list, 3));
  expectRefused(MOE_DTYPE_MISMATCH, path,
                "'layer.table': expected BF16, found F32");
}

TEST_F(WeightsTest, Shards) {
  writeFile("m/a.safetensors", {"layer.scale.weight"});
  writeFile("m/sub/b.safetensors", {"layer.bias", "layer.table"});
  ASSERT_MOE_OK(load(writeIndex({{"layer.scale.weight", "a.safetensors"},
                                 {"layer.bias", "sub/b.safetensors"},
                                 {"layer.table", "sub/b.safetensors"},
                                 {"unrelated", "not-here.safetensors"}})));
  EXPECT_EQ(7, scale());
}

TEST_F(WeightsTest, LinksMayLeadAnywhere) {
  // As a cache of the hub has them.
  writeAll("blobs/0123abc");
  fs::create_directories(folder / "snapshots/main");
  fs::create_symlink("../../blobs/0123abc",
                     folder / "snapshots/main/link.safetensors");
  std::string index = writeIndex({{"layer.scale.weight", "link.safetensors"},
                                  {"layer.bias", "link.safetensors"},
                                  {"layer.table", "link.safetensors"}});
  fs::rename(index, folder / "blobs/4567def");
  fs::create_symlink("../../blobs/4567def",
                     folder / "snapshots/main/model.safetensors.index.json");
  ASSERT_MOE_OK(load(folder / "snapshots/main/model.safetensors.index.json"));
  EXPECT_EQ(7, scale());
}

TEST_F(WeightsTest, ShardsOutsideTheFolder) {
  std::string outside = writeAll("outside.safetensors");
  writeAll("mm/outside.safetensors");
  writeAll("m/inside.safetensors");
  fs::create_directory_symlink("..", folder / "m/up");
  fs::create_directory_symlink("../mm", folder / "m/near");
  auto refuse = [&](const std::string &shard, const char *message) {
    expectRefused(MOE_BAD_FILE,
                  writeIndex({{"layer.scale.weight", "inside.safetensors"},
                              {"layer.bias", "inside.safetensors"},
                              {"layer.table", shard}}),
                  message);
  };
  refuse("../outside.safetensors", "is not inside the folder");
  refuse("sub/../../outside.safetensors", "is not inside the folder");
  refuse(outside, "is not inside the folder");
  refuse("", "is not inside the folder");
  refuse(std::string("inside.safetensors\0x", 20), "is not inside the folder");
  refuse("up/outside.safetensors",
         "is in a folder that is a link to one outside");
  refuse("near/outside.safetensors",
         "is in a folder that is a link to one outside");
}

TEST_F(WeightsTest, Folders) {
  auto refuse = [&](const std::string &name, const std::string &message) {
    expectRefused(MOE_NOT_FOUND, folder / name,
                  name +
                      ": error: expected model.safetensors.index.json, "
                      "model.safetensors or one other .safetensors file, "
                      "found " +
                      message);
  };
  fs::create_directories(folder / "m");
  refuse("m", "none");
  writeAll("m/b.safetensors");
  EXPECT_MOE_OK(load(folder / "m"));
  setWeights(layer.get());
  writeAll("m/a.safetensors");
  refuse("m", "a.safetensors and b.safetensors");
  writeAll("m/model.safetensors");
  EXPECT_MOE_OK(load(folder / "m"));
  setWeights(layer.get());
  writeIndex({{"layer.scale.weight", "gone.safetensors"}});
  expectRefused(MOE_NOT_FOUND, folder / "m",
                "gone.safetensors: error: No such");
}

TEST_F(WeightsTest, MalformedIndex) {
  auto write = [&](const std::string &text) {
    return folder.write("m/model.safetensors.index.json", text);
  };
  expectRefused(MOE_BAD_FILE, write("{"), "parse error");
  expectRefused(MOE_BAD_FILE, write("{}"), "expected a key 'weight_map'");
  expectRefused(MOE_BAD_FILE, write("{\"weight_map\": []}"),
                "weight_map: expected an object");
  expectRefused(MOE_BAD_FILE, write("{\"weight_map\": {\"a\": 1}}"),
                "weight_map.a: expected the name of a file, found 1");
  expectRefused(MOE_BAD_FILE,
                write("{\"weight_map\": {\"a\": \"b\", \"a\": \"c\"}}"),
                "key 'a' appears twice");
  expectRefused(MOE_WEIGHT_MISSING, write("{\"weight_map\": {}}"),
                "there is no tensor 'layer.scale.weight'");
}

TEST_F(WeightsTest, MissingShard) {
  expectRefused(MOE_NOT_FOUND,
                writeIndex({{"layer.scale.weight", "gone.safetensors"},
                            {"layer.bias", "gone.safetensors"},
                            {"layer.table", "gone.safetensors"}}),
                "gone.safetensors: error: No such file");
}

TEST_F(WeightsTest, SavingNeedsAllWeights) {
  Layer empty = makeLayer(&fake_package, false);
  std::string path = folder / "w.safetensors";
  EXPECT_STATUS(MOE_WEIGHT_MISSING,
                moe_layer_save_weights(empty.get(), path.c_str()),
                "weight 'scale.weight' was never set");
  EXPECT_FALSE(fs::exists(path));
}

TEST_F(WeightsTest, SavesStateThatBeganAsAWeight) {
  auto bias = [&] {
    DLTensor view;
    EXPECT_MOE_OK(moe_layer_get(layer.get(), "bias", &view));
    return static_cast<const float *>(view.data)[0];
  };
  std::string path = folder / "trained.safetensors";
  ASSERT_MOE_OK(moe_layer_run(layer.get(), "step", nullptr, nullptr));
  ASSERT_EQ(11, bias());
  ASSERT_MOE_OK(moe_layer_save_weights(layer.get(), path.c_str()));
  ASSERT_MOE_OK(moe_layer_reset(layer.get()));
  EXPECT_EQ(10, bias());
  ASSERT_MOE_OK(load(path));
  EXPECT_EQ(11, bias());
  // A weight that has been set since is newer than the state.
  ASSERT_MOE_OK(moe_layer_run(layer.get(), "step", nullptr, nullptr));
  setWeights(layer.get());
  ASSERT_MOE_OK(moe_layer_save_weights(layer.get(), path.c_str()));
  ASSERT_MOE_OK(load(path));
  EXPECT_EQ(10, bias());
}

TEST_F(WeightsTest, LoadReachesSharedLayersAndTheirState) {
  moe_layer *raw = nullptr;
  ASSERT_MOE_OK(moe_layer_share(layer.get(), &raw));
  Layer shared(raw);
  ASSERT_MOE_OK(load(writeAll()));
  DLTensor view;
  ASSERT_MOE_OK(moe_layer_get(raw, "bias", &view));
  EXPECT_EQ(8, static_cast<const float *>(view.data)[0]);
}

TEST_F(WeightsTest, BorrowedMemoryIsUsedAsItIs) {
  Tensor<float> value({4}, f32, 5);
  moe_layer *raw = nullptr;
  ASSERT_MOE_OK(moe_layer_share(layer.get(), &raw));
  Layer shared(raw);
  ASSERT_MOE_OK(
      moe_layer_borrow_weight(layer.get(), "scale.weight", &value.view));
  DLTensor view;
  ASSERT_MOE_OK(moe_layer_get(raw, "scale.weight", &view));
  EXPECT_EQ(value.data.data(), view.data);
  value.data[0] = 6;
  EXPECT_EQ(6, scale());
  // What replaces it does not write to it.
  Tensor<float> other({4}, f32, 9);
  ASSERT_MOE_OK(moe_layer_set_weight(layer.get(), "scale.weight", &other.view));
  EXPECT_EQ(9, scale());
  EXPECT_EQ(6, value.data[0]);
  ASSERT_MOE_OK(
      moe_layer_borrow_weight(layer.get(), "scale.weight", &value.view));
  ASSERT_MOE_OK(load(writeAll()));
  EXPECT_EQ(7, scale());
  EXPECT_EQ(6, value.data[0]);
}

TEST_F(WeightsTest, AViewOfBorrowedMemoryCanBeSet) {
  Tensor<float> value({4}, f32, 5);
  ASSERT_MOE_OK(
      moe_layer_borrow_weight(layer.get(), "scale.weight", &value.view));
  DLTensor view;
  ASSERT_MOE_OK(moe_layer_get(layer.get(), "scale.weight", &view));
  ASSERT_MOE_OK(moe_layer_set_weight(layer.get(), "scale.weight", &view));
  value.data[0] = 6;
  EXPECT_EQ(5, scale());
  // A layer's own memory is not taken from under it.
  ASSERT_MOE_OK(moe_layer_get(layer.get(), "scale.weight", &view));
  ASSERT_MOE_OK(moe_layer_borrow_weight(layer.get(), "scale.weight", &view));
  EXPECT_EQ(5, scale());
}

TEST_F(WeightsTest, BorrowedStateStartsAsTheWeight) {
  Tensor<float> bias({3}, f32, 4);
  ASSERT_MOE_OK(moe_layer_borrow_weight(layer.get(), "bias", &bias.view));
  ASSERT_MOE_OK(moe_layer_run(layer.get(), "step", nullptr, nullptr));
  DLTensor view;
  ASSERT_MOE_OK(moe_layer_get(layer.get(), "bias", &view));
  EXPECT_EQ(5, static_cast<const float *>(view.data)[0]);
  EXPECT_EQ(4, bias.data[0]);
}

TEST_F(WeightsTest, WhatCannotBeBorrowed) {
  auto refuse = [&](moe_status status, const DLTensor &value,
                    const char *message) {
    EXPECT_STATUS(status,
                  moe_layer_borrow_weight(layer.get(), "scale.weight", &value),
                  message);
    EXPECT_EQ(1, scale());
  };
  Tensor<float> good({4}, f32), shape({5}, f32);
  Tensor<double> type({4}, f64);
  refuse(MOE_SHAPE_MISMATCH, shape.view, "expected [4], found [5]");
  refuse(MOE_DTYPE_MISMATCH, type.view, "expected f32, found f64");
  DLTensor view = good.view;
  view.byte_offset = 2;
  refuse(MOE_INVALID_ARGUMENT, view, "expected data aligned to 4 bytes");
  view = good.view;
  int64_t strides[] = {2};
  view.strides = strides;
  refuse(MOE_INVALID_ARGUMENT, view, "expected compact row-major strides");
  EXPECT_STATUS(MOE_NOT_FOUND,
                moe_layer_borrow_weight(layer.get(), "none", &good.view),
                "has no weight 'none'");
  EXPECT_STATUS(MOE_INVALID_ARGUMENT,
                moe_layer_borrow_weight(layer.get(), "bias", nullptr),
                "'value' is null");
}
