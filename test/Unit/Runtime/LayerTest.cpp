//===- LayerTest.cpp - Life of a layer ------------------------------------===//
//
// Part of moe-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
// State, sharing, views, statistics, and the errors of each.
//
//===----------------------------------------------------------------------===//

#include "Support.h"

#include <atomic>
#include <cstring>
#include <thread>

using namespace moe::test;

template <typename T>
static std::vector<T> get(moe_layer *layer, const char *name) {
  DLTensor view;
  EXPECT_MOE_OK(moe_layer_get(layer, name, &view));
  int64_t count = 1;
  for (int i = 0; i < view.ndim; ++i)
    count *= view.shape[i];
  const T *data = static_cast<const T *>(view.data);
  return std::vector<T>(data, data + count);
}

using Floats = std::vector<float>;
using Longs = std::vector<int64_t>;

static void setBias(moe_layer *layer, float value) {
  Tensor<float> bias({3}, f32, value);
  EXPECT_MOE_OK(moe_layer_set_weight(layer, "bias", &bias.view));
}

static moe_status step(moe_layer *layer) {
  return moe_layer_run(layer, "step", nullptr, nullptr);
}

TEST(Status, Names) {
  EXPECT_STREQ("MOE_OK", moe_status_name(MOE_OK));
  for (int status = 0; status <= MOE_IN_PROGRESS; ++status)
    EXPECT_EQ(0, std::strncmp("MOE_", moe_status_name(moe_status(status)), 4));
  EXPECT_STREQ("unknown status", moe_status_name(moe_status(99)));
}

TEST(Status, MessagesBelongToTheirThread) {
  EXPECT_STATUS(MOE_INVALID_ARGUMENT, moe_layer_reset(nullptr), "'layer'");
  std::thread([] { EXPECT_STREQ("", moe_last_error()); }).join();
  EXPECT_STRNE("", moe_last_error());
}

TEST(Layer, NullArguments) {
  Layer layer = makeLayer();
  moe_layer *out = nullptr;
  DLTensor view;
  moe_statistics statistics;
  EXPECT_STATUS(MOE_INVALID_ARGUMENT, moe_layer_create(nullptr, &out), "null");
  EXPECT_STATUS(MOE_INVALID_ARGUMENT, moe_layer_create(&fake_package, nullptr),
                "null");
  EXPECT_STATUS(MOE_INVALID_ARGUMENT, moe_layer_share(nullptr, &out), "null");
  EXPECT_STATUS(MOE_INVALID_ARGUMENT, moe_layer_share(layer.get(), nullptr),
                "null");
  EXPECT_STATUS(MOE_INVALID_ARGUMENT,
                moe_layer_run(nullptr, "step", nullptr, nullptr), "null");
  EXPECT_STATUS(MOE_INVALID_ARGUMENT,
                moe_layer_run(layer.get(), nullptr, nullptr, nullptr), "null");
  EXPECT_STATUS(MOE_INVALID_ARGUMENT, moe_layer_get(layer.get(), "x", nullptr),
                "null");
  EXPECT_STATUS(MOE_INVALID_ARGUMENT,
                moe_layer_get(layer.get(), nullptr, &view), "null");
  EXPECT_STATUS(MOE_INVALID_ARGUMENT,
                moe_layer_set_weight(layer.get(), "bias", nullptr), "null");
  EXPECT_STATUS(MOE_INVALID_ARGUMENT,
                moe_layer_load_weights(layer.get(), nullptr, nullptr, nullptr),
                "null");
  EXPECT_STATUS(MOE_INVALID_ARGUMENT,
                moe_layer_save_weights(layer.get(), nullptr), "null");
  EXPECT_STATUS(MOE_INVALID_ARGUMENT, moe_layer_randomize(nullptr, 0, 0),
                "null");
  EXPECT_STATUS(MOE_INVALID_ARGUMENT,
                moe_layer_statistics(nullptr, &statistics), "null");
  EXPECT_STATUS(MOE_INVALID_ARGUMENT,
                moe_layer_statistics(layer.get(), nullptr), "null");
  moe_layer_destroy(nullptr);
}

TEST(Layer, SetWeightChecks) {
  Layer layer = makeLayer(&fake_package, false);
  Tensor<float> four({4}, f32), three({3}, f32), square({2, 2}, f32);
  Tensor<double> wide({4}, f64);
  auto set = [&](const char *name, const DLTensor &value) {
    return moe_layer_set_weight(layer.get(), name, &value);
  };
  EXPECT_STATUS(MOE_NOT_FOUND, set("other", four.view), "no weight 'other'");
  EXPECT_STATUS(MOE_SHAPE_MISMATCH, set("scale.weight", three.view),
                "tensor 'scale.weight': expected [4], found [3]");
  EXPECT_STATUS(MOE_SHAPE_MISMATCH, set("scale.weight", square.view),
                "expected [4], found [2, 2]");
  EXPECT_STATUS(MOE_DTYPE_MISMATCH, set("scale.weight", wide.view),
                "expected f32, found f64");
  EXPECT_MOE_OK(set("scale.weight", four.view));
}

TEST(Layer, WeightsCanBeSetFromTheirOwnView) {
  Layer layer = makeLayer();
  DLTensor view;
  ASSERT_MOE_OK(moe_layer_get(layer.get(), "scale.weight", &view));
  EXPECT_MOE_OK(moe_layer_set_weight(layer.get(), "scale.weight", &view));
  EXPECT_EQ((Floats{1, 2, 3, 4}), get<float>(layer.get(), "scale.weight"));
}

TEST(Layer, ViewsAreAligned) {
  Layer layer = makeLayer();
  ASSERT_MOE_OK(forward(layer.get(), 3));
  for (const char *name : {"scale.weight", "bias", "loads", "indices"}) {
    DLTensor view;
    ASSERT_MOE_OK(moe_layer_get(layer.get(), name, &view));
    EXPECT_EQ(0u, reinterpret_cast<uintptr_t>(view.data) % 64) << name;
  }
}

TEST(Layer, GetChecks) {
  Layer layer = makeLayer(&fake_package, false);
  DLTensor view;
  EXPECT_STATUS(MOE_NOT_FOUND, moe_layer_get(layer.get(), "nothing", &view),
                "'fake' has no tensor 'nothing'");
  EXPECT_STATUS(MOE_NOT_FOUND, moe_layer_get(layer.get(), "indices", &view),
                "there is no 'indices' before the first run");
  EXPECT_STATUS(MOE_WEIGHT_MISSING,
                moe_layer_get(layer.get(), "scale.weight", &view),
                "weight 'scale.weight' was never set");
}

TEST(Layer, PlanOfTheLastForwardSurvivesOtherFunctions) {
  Layer layer = makeLayer();
  ASSERT_MOE_OK(forward(layer.get(), 2));
  ASSERT_MOE_OK(step(layer.get()));
  EXPECT_EQ((std::vector<int32_t>{0, 1, 1, 2}),
            get<int32_t>(layer.get(), "indices"));
}

TEST(Layer, StateStartsAsTheWeight) {
  Layer layer = makeLayer();
  EXPECT_EQ((Floats{10, 20, 30}), get<float>(layer.get(), "bias"));
  ASSERT_MOE_OK(step(layer.get()));
  ASSERT_MOE_OK(step(layer.get()));
  EXPECT_EQ((Floats{12, 20, 30}), get<float>(layer.get(), "bias"));
}

TEST(Layer, OtherWeightsDoNotTouchTheState) {
  Layer layer = makeLayer();
  ASSERT_MOE_OK(step(layer.get()));
  Tensor<float> scale({4}, f32, 1);
  ASSERT_MOE_OK(moe_layer_set_weight(layer.get(), "scale.weight", &scale.view));
  EXPECT_EQ((Floats{11, 20, 30}), get<float>(layer.get(), "bias"));
  setBias(layer.get(), 5);
  EXPECT_EQ((Floats{5, 5, 5}), get<float>(layer.get(), "bias"));
}

TEST(Layer, ResetRestoresState) {
  Layer layer = makeLayer();
  ASSERT_MOE_OK(forward(layer.get(), 3));
  ASSERT_MOE_OK(step(layer.get()));
  EXPECT_EQ((Longs{2, 2, 2}), get<int64_t>(layer.get(), "loads"));
  ASSERT_MOE_OK(moe_layer_reset(layer.get()));
  EXPECT_EQ((Longs{0, 0, 0}), get<int64_t>(layer.get(), "loads"));
  EXPECT_EQ((Floats{10, 20, 30}), get<float>(layer.get(), "bias"));
}

TEST(Layer, StateWithoutItsWeight) {
  Layer layer = makeLayer(&fake_package, false);
  EXPECT_STATUS(MOE_WEIGHT_MISSING, step(layer.get()),
                "function 'step': weight 'bias' was never set");
}

TEST(Layer, SharingIsOfWeightsAndNotOfState) {
  Layer layer = makeLayer();
  moe_layer *raw = nullptr;
  ASSERT_MOE_OK(moe_layer_share(layer.get(), &raw));
  Layer shared(raw);
  ASSERT_MOE_OK(step(layer.get()));
  EXPECT_EQ((Floats{11, 20, 30}), get<float>(layer.get(), "bias"));
  EXPECT_EQ((Floats{10, 20, 30}), get<float>(shared.get(), "bias"));
  DLTensor a, b;
  ASSERT_MOE_OK(moe_layer_get(layer.get(), "table", &a));
  ASSERT_MOE_OK(moe_layer_get(shared.get(), "table", &b));
  EXPECT_EQ(a.data, b.data);
  layer.reset();
  EXPECT_MOE_OK(forward(shared.get(), 5));
}

TEST(Layer, SharedLayersRunConcurrently) {
  Layer layer = makeLayer();
  std::atomic<int> wrong{0};
  std::vector<std::thread> threads;
  for (int i = 0; i < 4; ++i)
    threads.emplace_back([&, i] {
      moe_layer *raw = nullptr;
      if (moe_layer_share(layer.get(), &raw) != MOE_OK)
        ++wrong;
      Layer mine(raw);
      for (int round = 0; round < 20; ++round) {
        Tensor<float> x({i + 1, 4}, f32, 1), y({i + 1, 4}, f32);
        const DLTensor *inputs[] = {&x.view}, *outputs[] = {&y.view};
        if (moe_layer_run(raw, "forward", inputs, outputs) != MOE_OK)
          ++wrong;
        // Either of the biases that the other thread sets.
        wrong += y.data[3] != 14 && y.data[3] != 4;
      }
    });
  for (int round = 0; round < 20; ++round)
    setBias(layer.get(), round % 2 ? 0 : 10);
  for (std::thread &thread : threads)
    thread.join();
  EXPECT_EQ(0, wrong);
}

// Each load replaces all weights at once, whatever else loads or runs.
TEST(Layer, SharedLayersLoadConcurrently) {
  TemporaryFolder folder;
  Layer layer = makeLayer();
  std::string files[] = {folder / "a.safetensors", folder / "b.safetensors"};
  ASSERT_MOE_OK(moe_layer_save_weights(layer.get(), files[0].c_str()));
  Tensor<float> scale({4}, f32, 7);
  ASSERT_MOE_OK(moe_layer_set_weight(layer.get(), "scale.weight", &scale.view));
  setBias(layer.get(), -7);
  ASSERT_MOE_OK(moe_layer_save_weights(layer.get(), files[1].c_str()));
  std::atomic<int> wrong{0};
  std::vector<std::thread> threads;
  for (int i = 0; i < 4; ++i)
    threads.emplace_back([&, i] {
      moe_layer *raw = nullptr;
      if (moe_layer_share(layer.get(), &raw) != MOE_OK)
        ++wrong;
      Layer mine(raw);
      for (int round = 0; round < 20; ++round)
        wrong += moe_layer_load_weights(raw, files[(i + round) % 2].c_str(),
                                        nullptr, nullptr) != MOE_OK ||
                 forward(raw, 3) != MOE_OK;
    });
  for (std::thread &thread : threads)
    thread.join();
  EXPECT_EQ(0, wrong);
  bool second = get<float>(layer.get(), "scale.weight")[0] == 7;
  EXPECT_EQ(second ? -7 : 10, get<float>(layer.get(), "bias")[0]);
}

TEST(Layer, Statistics) {
  Layer layer = makeLayer();
  moe_statistics statistics;
  EXPECT_STATUS(MOE_INVALID_ARGUMENT,
                moe_layer_statistics(layer.get(), &statistics),
                "before a forward");
  ASSERT_MOE_OK(forward(layer.get(), 12));
  ASSERT_MOE_OK(step(layer.get()));
  ASSERT_MOE_OK(moe_layer_statistics(layer.get(), &statistics));
  EXPECT_EQ(3, statistics.experts);
  EXPECT_EQ(8, statistics.loads[0]);
  EXPECT_EQ(12, statistics.tokens);
  // 24 slots: 8 of the null expert, and expert 0 keeps 4 of its 8.
  EXPECT_EQ(12, statistics.routed);
  EXPECT_EQ(4, statistics.dropped);
  EXPECT_EQ(0.25f, statistics.imbalance);
  EXPECT_DOUBLE_EQ(1e-6, statistics.seconds);
  EXPECT_DOUBLE_EQ(0.25, statistics.routing_fraction);
}

TEST(Layer, StatisticsWithoutPlan) {
  EditedPackage edited([](nlohmann::json &m) {
    for (auto &argument : m["functions"][0]["arguments"])
      if (argument["role"] == "plan")
        argument["name"] = "p." + argument["name"].get<std::string>();
  });
  Layer layer = makeLayer(&edited.package);
  ASSERT_MOE_OK(forward(layer.get(), 2));
  moe_statistics statistics;
  ASSERT_MOE_OK(moe_layer_statistics(layer.get(), &statistics));
  EXPECT_EQ(nullptr, statistics.loads);
  EXPECT_EQ(2, statistics.tokens);
  EXPECT_EQ(0, statistics.routed);
  EXPECT_GT(statistics.seconds, 0);
}
