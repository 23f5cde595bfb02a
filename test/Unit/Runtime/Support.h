//===- Support.h - What the runtime's tests share ---------------*- C++ -*-===//
//
// Part of moe-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
// Folders that vanish, tensors in one line, and packages with edited manifests.
//
//===----------------------------------------------------------------------===//

#ifndef MOE_TEST_UNIT_RUNTIME_SUPPORT_H
#define MOE_TEST_UNIT_RUNTIME_SUPPORT_H

#include "moe/Runtime/Package.h"

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include <filesystem>
#include <functional>
#include <memory>
#include <string>
#include <vector>

extern "C" const moe_package fake_package;

namespace moe::test {

/// Expects a status, and the message that belongs to it.
#define EXPECT_STATUS(expected, call, part)                                    \
  do {                                                                         \
    moe_status got = (call);                                                   \
    EXPECT_STREQ(moe_status_name(expected), moe_status_name(got))              \
        << moe_last_error();                                                   \
    if (got == (expected) && got != MOE_OK) {                                  \
      EXPECT_NE(std::string(moe_last_error()).find(part), std::string::npos)   \
          << "message: " << moe_last_error();                                  \
    }                                                                          \
  } while (false)
#define EXPECT_MOE_OK(call) EXPECT_STATUS(MOE_OK, call, "")
#define ASSERT_MOE_OK(call) ASSERT_EQ(MOE_OK, call) << moe_last_error()

/// A new folder, removed at the end.
class TemporaryFolder {
public:
  TemporaryFolder();
  ~TemporaryFolder();
  std::string operator/(const std::string &name) const {
    return (path / name).string();
  }
  std::string write(const std::string &name, const std::string &text) const;

  std::filesystem::path path;
};

std::string readFile(const std::string &path);

/// Makes `folder` a package from a library of the build and a manifest.
void makePackage(const std::filesystem::path &folder,
                 const std::string &library = "fake",
                 const std::string &manifest = fake_package.manifest);

/// A tensor with its own data.
template <typename T> struct Tensor {
  Tensor(std::vector<int64_t> sizes, DLDataType type, T value = T())
      : shape(std::move(sizes)) {
    int64_t count = 1;
    for (int64_t size : shape)
      count *= size;
    data.assign(static_cast<size_t>(count), value);
    view.data = data.data();
    view.device = {kDLCPU, 0};
    view.ndim = static_cast<int32_t>(shape.size());
    view.dtype = type;
    view.shape = shape.data();
    view.strides = nullptr;
    view.byte_offset = 0;
  }
  Tensor(const Tensor &) = delete;

  std::vector<int64_t> shape;
  std::vector<T> data;
  DLTensor view;
};

constexpr DLDataType f32{kDLFloat, 32, 1}, f64{kDLFloat, 64, 1},
    i32{kDLInt, 32, 1}, i64{kDLInt, 64, 1}, u8{kDLUInt, 8, 1},
    bf16{kDLBfloat, 16, 1};

struct LayerDelete {
  void operator()(moe_layer *layer) const { moe_layer_destroy(layer); }
};
using Layer = std::unique_ptr<moe_layer, LayerDelete>;

/// The fake package's manifest after an edit, with its functions.
class EditedPackage {
public:
  explicit EditedPackage(
      const std::function<void(nlohmann::json &)> &edit = nullptr);
  explicit EditedPackage(std::string manifest);
  std::string manifest;
  moe_package package;
};

/// A layer of the fake package that is linked in, with its weights set:
/// scale = 1 2 3 4, bias = 10 20 30.
Layer makeLayer(const moe_package *package = &fake_package,
                bool weights = true);
void setWeights(moe_layer *layer);

/// Loops run on what this binary uses: OpenMP, or else threads of its own.
void useTestExecutor();

/// Runs the forward on x = 0, 1, 2, ... of T tokens.
moe_status forward(moe_layer *layer, int64_t tokens);

} // namespace moe::test

#endif // MOE_TEST_UNIT_RUNTIME_SUPPORT_H
