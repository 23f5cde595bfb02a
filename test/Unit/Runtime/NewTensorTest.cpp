//===- NewTensorTest.cpp - Tensors that the runtime makes -----------------===//
//
// Part of moe-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Support.h"

using namespace moe::test;

namespace {
struct NewTensorTest : testing::Test {
  moe_status make(DLDataType dtype, std::vector<int64_t> shape) {
    return moe_layer_new_tensor(layer.get(), dtype, int32_t(shape.size()),
                                shape.data(), &tensor);
  }
  Layer layer = makeLayer();
  DLManagedTensor *tensor = nullptr;
};
} // namespace

TEST_F(NewTensorTest, IsWhatWasAskedFor) {
  ASSERT_MOE_OK(make(f32, {2, 4}));
  const DLTensor &y = tensor->dl_tensor;
  EXPECT_EQ(2, y.ndim);
  EXPECT_EQ(4, y.shape[1]);
  EXPECT_EQ(kDLCPU, y.device.device_type);
  Tensor<float> x({2, 4}, f32, 2);
  const DLTensor *inputs[] = {&x.view}, *outputs[] = {&y};
  EXPECT_MOE_OK(moe_layer_run(layer.get(), "forward", inputs, outputs));
  EXPECT_EQ(18, static_cast<float *>(y.data)[7]);
  tensor->deleter(tensor);
  ASSERT_MOE_OK(make(bf16, {}));
  EXPECT_EQ(0, tensor->dl_tensor.ndim);
  tensor->deleter(tensor);
  ASSERT_MOE_OK(make(f32, {0, 4}));
  tensor->deleter(tensor);
}

TEST_F(NewTensorTest, LivesAsLongAsTheLast) {
  ASSERT_MOE_OK(make(i32, {3}));
  DLManagedTensor *shared = nullptr;
  ASSERT_MOE_OK(moe_tensor_share(tensor, &shared));
  EXPECT_EQ(tensor->dl_tensor.data, shared->dl_tensor.data);
  layer.reset();
  tensor->deleter(tensor);
  static_cast<int32_t *>(shared->dl_tensor.data)[2] = 7;
  EXPECT_EQ(3, shared->dl_tensor.shape[0]);
  shared->deleter(shared);
}

TEST_F(NewTensorTest, Refusals) {
  EXPECT_STATUS(MOE_DTYPE_MISMATCH, make({kDLComplex, 64, 1}, {1}),
                "expected an element type of a package, found code 5, 64 bits");
  EXPECT_STATUS(MOE_SHAPE_MISMATCH, make(f32, {2, -1}),
                "found the shape [2, -1], which is negative or too large");
  EXPECT_STATUS(MOE_SHAPE_MISMATCH, make(f32, {INT64_MAX, 2}), "too large");
  EXPECT_STATUS(MOE_OUT_OF_MEMORY, make(f32, {INT64_MAX / 4}), "");
  EXPECT_EQ(nullptr, tensor);
  const int64_t one = 1;
  EXPECT_STATUS(MOE_INVALID_ARGUMENT,
                moe_layer_new_tensor(layer.get(), f32, -1, &one, &tensor),
                "found -1 dimensions, expected 0 or more");
  EXPECT_STATUS(MOE_INVALID_ARGUMENT,
                moe_layer_new_tensor(layer.get(), f32, 1, nullptr, &tensor),
                "'shape' is null");
  EXPECT_STATUS(MOE_INVALID_ARGUMENT,
                moe_layer_new_tensor(layer.get(), f32, 1, &one, nullptr),
                "'tensor' is null");
  DLManagedTensor foreign = {};
  EXPECT_STATUS(MOE_INVALID_ARGUMENT, moe_tensor_share(&foreign, &tensor),
                "expected a tensor of moe_layer_new_tensor, found another one");
}
