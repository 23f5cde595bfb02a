//===- Checkpoint.h - Files to load weights from ----------------*- C++ -*-===//
//
// Part of moe-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
// Tensors of any type in a file, and a layer with a weight to load from it.
//
//===----------------------------------------------------------------------===//

#ifndef MOE_TEST_UNIT_RUNTIME_CHECKPOINT_H
#define MOE_TEST_UNIT_RUNTIME_CHECKPOINT_H

#include "Support.h"

#include <cstring>
#include <optional>

namespace moe::test {

struct FileTensor {
  template <typename T>
  FileTensor(std::string name, std::string dtype, std::vector<int64_t> shape,
             const std::vector<T> &values)
      : name(std::move(name)), dtype(std::move(dtype)), shape(std::move(shape)),
        data(reinterpret_cast<const char *>(values.data()),
             values.size() * sizeof(T)) {}
  std::string name, dtype;
  std::vector<int64_t> shape;
  std::string data;
};

/// The text of a .safetensors file.
std::string fileOf(const std::vector<FileTensor> &tensors);

/// A layer of a package with weights of the test's choice beside those of the
/// fake package, and files for it.
struct CheckpointTest : testing::Test {
  using json = nlohmann::json;

  /// Adds a weight to the manifest; before the first load.
  void weight(const std::string &name, const std::string &dtype,
              const std::vector<int64_t> &shape, const json &sources,
              const json &rest = json::object());
  /// Adds a tensor to the file.
  template <typename T>
  void tensor(const std::string &name, const std::string &dtype,
              const std::vector<int64_t> &shape, const std::vector<T> &values) {
    tensors.emplace_back(name, dtype, shape, values);
  }
  /// Adds one of zeros.
  void zeros(const std::string &name, const std::string &dtype,
             const std::vector<int64_t> &shape, int64_t bytes);

  std::string write(const std::string &name = "model.safetensors");
  moe_status load(const std::string &path, moe_progress progress = nullptr,
                  void *user = nullptr);
  moe_status load() { return load(write()); }
  moe_layer *layer();
  /// What has been loaded is loaded by ranks too, split by chance.
  void TearDown() override;
  void checkSlices(uint64_t seed);
  void expectRefused(moe_status status, const std::string &message);

  /// The values of a weight.
  template <typename T> std::vector<T> get(const std::string &name) {
    DLTensor view = {};
    EXPECT_MOE_OK(moe_layer_get(layer(), name.c_str(), &view));
    if (!view.data)
      return {};
    size_t count = 1;
    for (int i = 0; i < view.ndim; ++i)
      count *= size_t(view.shape[i]);
    EXPECT_EQ(sizeof(T) * 8, view.dtype.bits);
    const T *data = static_cast<const T *>(view.data);
    return {data, data + count};
  }

  json checkpoint = json::object();
  TemporaryFolder folder;

private:
  std::vector<json> weights;
  std::vector<FileTensor> tensors;
  std::optional<EditedPackage> package;
  Layer made;
  std::string loaded; ///< the path of the last load that went well
};

/// 0, 1, 2, ... as elements of 16 or other bits: no two of a few are equal.
template <typename T> std::vector<T> numbered(int64_t count) {
  std::vector<T> values(static_cast<size_t>(count));
  for (size_t i = 0; i < values.size(); ++i)
    values[i] = static_cast<T>(i * 40503u % 65521u);
  return values;
}

} // namespace moe::test

#endif // MOE_TEST_UNIT_RUNTIME_CHECKPOINT_H
