//===- RunTest.cpp - Running functions ------------------------------------===//
//
// Part of moe-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
// Sizes, checks of the caller's tensors, growth and reuse of buffers.
//
//===----------------------------------------------------------------------===//

#include "Support.h"

#include <cmath>
#include <malloc.h>

using namespace moe::test;

namespace {
struct RunTest : testing::Test {
  moe_status run(const DLTensor *x, const DLTensor *y = nullptr) {
    const DLTensor *inputs[] = {x}, *outputs[] = {y};
    return moe_layer_run(layer.get(), "forward", inputs, outputs);
  }
  moe_status pair(const DLTensor *both, const DLTensor *half,
                  const DLTensor *free) {
    const DLTensor *inputs[] = {both}, *outputs[] = {half, free};
    return moe_layer_run(layer.get(), "pair", inputs, outputs);
  }
  const void *address(const char *name) {
    DLTensor view;
    EXPECT_MOE_OK(moe_layer_get(layer.get(), name, &view));
    return view.data;
  }
  Layer layer = makeLayer();
};
} // namespace

TEST_F(RunTest, Computes) {
  Tensor<float> x({2, 4}, f32, 2), y({2, 4}, f32);
  ASSERT_MOE_OK(run(&x.view, &y.view));
  EXPECT_EQ((std::vector<float>{12, 14, 16, 18, 12, 14, 16, 18}), y.data);
}

TEST_F(RunTest, OutputsAreOptional) {
  Tensor<float> x({2, 4}, f32, 2);
  EXPECT_MOE_OK(run(&x.view));
  const DLTensor *inputs[] = {&x.view};
  EXPECT_MOE_OK(moe_layer_run(layer.get(), "forward", inputs, nullptr));
}

TEST_F(RunTest, NoTokens) {
  Tensor<float> x({0, 4}, f32), y({0, 4}, f32);
  x.view.data = y.view.data = nullptr;
  EXPECT_MOE_OK(run(&x.view, &y.view));
  DLTensor view;
  ASSERT_MOE_OK(moe_layer_get(layer.get(), "indices", &view));
  EXPECT_EQ(0, view.shape[0]);
  moe_statistics statistics;
  ASSERT_MOE_OK(moe_layer_statistics(layer.get(), &statistics));
  EXPECT_EQ(0, statistics.tokens);
  EXPECT_EQ(0, statistics.routed);
}

TEST_F(RunTest, UnknownFunction) {
  EXPECT_STATUS(MOE_NOT_FOUND,
                moe_layer_run(layer.get(), "backward", nullptr, nullptr),
                "'fake' has no function 'backward'");
}

TEST_F(RunTest, UnsetWeight) {
  layer = makeLayer(&fake_package, false);
  Tensor<float> x({2, 4}, f32);
  EXPECT_STATUS(MOE_WEIGHT_MISSING, run(&x.view),
                "weight 'scale.weight' was never set");
}

TEST_F(RunTest, NullInput) {
  EXPECT_STATUS(MOE_INVALID_ARGUMENT, run(nullptr), "input 'x' is null");
  EXPECT_STATUS(MOE_INVALID_ARGUMENT,
                moe_layer_run(layer.get(), "forward", nullptr, nullptr),
                "input 'x' is null");
}

TEST_F(RunTest, NullData) {
  Tensor<float> x({2, 4}, f32);
  x.view.data = nullptr;
  EXPECT_STATUS(MOE_INVALID_ARGUMENT, run(&x.view),
                "tensor 'x': its data is null");
}

TEST_F(RunTest, WrongShapes) {
  Tensor<float> narrow({2, 3}, f32), flat({8}, f32), deep({2, 2, 2}, f32);
  EXPECT_STATUS(MOE_SHAPE_MISMATCH, run(&narrow.view),
                "tensor 'x': expected [T, 4] with T = 2, found [2, 3]");
  EXPECT_STATUS(MOE_SHAPE_MISMATCH, run(&flat.view),
                "tensor 'x': expected [T, 4], found [8]");
  EXPECT_STATUS(MOE_SHAPE_MISMATCH, run(&deep.view), "found [2, 2, 2]");
  Tensor<float> x({2, 4}, f32), y({3, 4}, f32);
  EXPECT_STATUS(MOE_SHAPE_MISMATCH, run(&x.view, &y.view),
                "tensor 'y': expected [T, 4] with T = 2, found [3, 4]");
  x.shape[0] = -1;
  EXPECT_STATUS(MOE_SHAPE_MISMATCH, run(&x.view), "negative or too large");
  x.shape[0] = INT64_MAX / 4;
  EXPECT_STATUS(MOE_SHAPE_MISMATCH, run(&x.view), "negative or too large");
  x.view.ndim = -1;
  EXPECT_STATUS(MOE_INVALID_ARGUMENT, run(&x.view), "it has no shape");
  x.view.ndim = 2;
  x.view.shape = nullptr;
  EXPECT_STATUS(MOE_INVALID_ARGUMENT, run(&x.view), "it has no shape");
}

TEST_F(RunTest, MemoryThatNobodyHas) {
  // The tensor claims more than there is; the plan's buffers fail first.
  EditedPackage edited([](nlohmann::json &m) {
    m["functions"][0]["workspace"]["per"]["T"] = int64_t(1) << 60;
  });
  layer = makeLayer(&edited.package);
  Tensor<float> x({2, 4}, f32);
  EXPECT_STATUS(MOE_OUT_OF_MEMORY, run(&x.view), "out of memory");
  Tensor<float> eight({8, 4}, f32);
  EXPECT_STATUS(MOE_SHAPE_MISMATCH, run(&eight.view),
                "the size of its workspace overflows");
  EXPECT_STATUS(MOE_NOT_FOUND, moe_layer_get(layer.get(), "indices", &x.view),
                "before the first run");
}

TEST_F(RunTest, PlanOverflow) {
  EditedPackage edited([](nlohmann::json &m) {
    m["functions"][0]["arguments"][5]["shape"] = {"4611686018427387904*T", 2};
  });
  layer = makeLayer(&edited.package);
  Tensor<float> one({1, 4}, f32), two({2, 4}, f32);
  EXPECT_STATUS(MOE_SHAPE_MISMATCH, run(&one.view),
                "expected at most 2147483647 entries");
  EXPECT_STATUS(MOE_SHAPE_MISMATCH, run(&two.view), "overflows");
}

TEST_F(RunTest, WrongTypes) {
  Tensor<double> wide({2, 4}, f64);
  EXPECT_STATUS(MOE_DTYPE_MISMATCH, run(&wide.view),
                "tensor 'x': expected f32, found f64");
  Tensor<float> lanes({2, 4}, {kDLFloat, 32, 2});
  EXPECT_STATUS(MOE_DTYPE_MISMATCH, run(&lanes.view), "2 lanes");
  Tensor<float> device({2, 4}, f32);
  device.view.device.device_type = kDLCUDA;
  EXPECT_STATUS(MOE_INVALID_ARGUMENT, run(&device.view),
                "expected memory of the CPU, found device type 2");
}

TEST_F(RunTest, Strides) {
  Tensor<float> x({2, 4}, f32);
  int64_t compact[] = {4, 1}, transposed[] = {1, 2}, wide[] = {8, 1};
  x.view.strides = compact;
  EXPECT_MOE_OK(run(&x.view));
  x.view.strides = transposed;
  EXPECT_STATUS(MOE_INVALID_ARGUMENT, run(&x.view),
                "expected compact row-major strides, found [1, 2] for shape "
                "[2, 4]");
  x.view.strides = wide;
  EXPECT_STATUS(MOE_INVALID_ARGUMENT, run(&x.view), "strides");
  // The stride of a single row means nothing.
  x.shape[0] = 1;
  EXPECT_MOE_OK(run(&x.view));
}

TEST_F(RunTest, OffsetsAndAlignment) {
  Tensor<float> x({3, 4}, f32, 1), y({2, 4}, f32);
  x.shape[0] = 2;
  x.view.byte_offset = 16;
  x.data[11] = 7;
  ASSERT_MOE_OK(run(&x.view, &y.view));
  EXPECT_EQ(38, y.data[7]);
  x.view.byte_offset = 2;
  EXPECT_STATUS(MOE_INVALID_ARGUMENT, run(&x.view), "aligned to 4 bytes");
}

TEST_F(RunTest, ProductsOfSizes) {
  Tensor<double> both({6}, f64, 2), half({3}, f64), odd({5}, f64);
  Tensor<int64_t> free({2}, i64);
  ASSERT_MOE_OK(pair(&both.view, &half.view, &free.view));
  EXPECT_EQ((std::vector<double>{4, 4, 4}), half.data);
  EXPECT_MOE_OK(pair(&both.view, nullptr, &free.view));
  EXPECT_STATUS(MOE_SHAPE_MISMATCH, pair(&odd.view, nullptr, &free.view),
                "tensor 'both': expected [2*n], found [5]");
  EXPECT_STATUS(MOE_INVALID_ARGUMENT, pair(&both.view, &half.view, nullptr),
                "the size 'm' needs an output that is not null");
}

TEST_F(RunTest, RoundedSizes) {
  Tensor<float> values({5}, f32, 1);
  Tensor<uint8_t> data({3}, u8), small({2}, u8);
  const DLTensor *inputs[] = {&values.view}, *outputs[] = {&data.view};
  EXPECT_MOE_OK(moe_layer_run(layer.get(), "quantize", inputs, outputs));
  outputs[0] = &small.view;
  EXPECT_STATUS(MOE_SHAPE_MISMATCH,
                moe_layer_run(layer.get(), "quantize", inputs, outputs),
                "tensor 'data': expected [ceil(n/2)] with n = 5, found [2]");
}

TEST_F(RunTest, NotFinite) {
  Tensor<float> x({3, 4}, f32, 1);
  x.data[8] = NAN;
  EXPECT_STATUS(MOE_NOT_FINITE, run(&x.view),
                "function 'forward': token 2 is not finite");
  Tensor<float> values({5}, f32, INFINITY);
  const DLTensor *inputs[] = {&values.view};
  EXPECT_STATUS(MOE_NOT_FINITE,
                moe_layer_run(layer.get(), "quantize", inputs, nullptr),
                "element 0 is not finite");
}

TEST_F(RunTest, BuffersGrowAndAreReused) {
  ASSERT_MOE_OK(forward(layer.get(), 4));
  ASSERT_MOE_OK(forward(layer.get(), 1000));
  const void *indices = address("indices"), *weights = address("weights");
  Tensor<float> x({1000, 4}, f32), y({1000, 4}, f32);
  ASSERT_MOE_OK(run(&x.view, &y.view));
  struct mallinfo2 before = mallinfo2();
  ASSERT_MOE_OK(run(&x.view, &y.view));
  x.shape[0] = y.shape[0] = 7;
  ASSERT_MOE_OK(run(&x.view, &y.view));
  struct mallinfo2 after = mallinfo2();
  EXPECT_EQ(before.uordblks, after.uordblks);
  EXPECT_EQ(before.hblks, after.hblks);
  EXPECT_EQ(indices, address("indices"));
  EXPECT_EQ(weights, address("weights"));
}
