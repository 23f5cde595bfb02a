//===- Checkpoint.cpp - Files to load weights from ------------------------===//
//
// Part of moe-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Checkpoint.h"
#include "Together.h"

#include "moe/Support/Hash.h"

namespace moe::test {

using nlohmann::json;

std::string fileOf(const std::vector<FileTensor> &tensors) {
  json header = json::object();
  std::string data;
  for (const FileTensor &tensor : tensors) {
    header[tensor.name] = {
        {"dtype", tensor.dtype},
        {"shape", tensor.shape},
        {"data_offsets", {data.size(), data.size() + tensor.data.size()}}};
    data += tensor.data;
  }
  std::string text = header.dump();
  uint64_t length = text.size();
  return std::string(reinterpret_cast<const char *>(&length), 8) + text + data;
}

void CheckpointTest::weight(const std::string &name, const std::string &dtype,
                            const std::vector<int64_t> &shape,
                            const json &sources, const json &rest) {
  json entry = {{"name", name}, {"dtype", dtype}, {"shape", shape}};
  if (!sources.is_null())
    entry["sources"] = sources.is_array() ? sources : json::array({sources});
  if (name.rfind("experts.", 0) == 0)
    entry["per_expert"] = true;
  entry.update(rest);
  weights.push_back(entry);
}

void CheckpointTest::zeros(const std::string &name, const std::string &dtype,
                           const std::vector<int64_t> &shape, int64_t bytes) {
  int64_t count = bytes;
  for (int64_t size : shape)
    count *= size;
  tensor(name, dtype, shape, std::vector<char>(size_t(count)));
}

std::string CheckpointTest::write(const std::string &name) {
  std::vector<FileTensor> all = tensors;
  all.emplace_back("layer.scale.weight", "F32", std::vector<int64_t>{4},
                   std::vector<float>{1, 2, 3, 4});
  all.emplace_back("layer.bias", "F32", std::vector<int64_t>{3},
                   std::vector<float>{1, 2, 3});
  all.emplace_back("layer.table", "BF16", std::vector<int64_t>{2, 3},
                   std::vector<uint16_t>(6));
  return folder.write(name, fileOf(all));
}

moe_layer *CheckpointTest::layer() {
  if (!made) {
    package.emplace([&](json &manifest) {
      manifest["checkpoint"] = checkpoint;
      for (const json &entry : weights)
        manifest["weights"].push_back(entry);
    });
    made = makeLayer(&package->package, false);
  }
  return made.get();
}

moe_status CheckpointTest::load(const std::string &path, moe_progress progress,
                                void *user) {
  moe_status status =
      moe_layer_load_weights(layer(), path.c_str(), progress, user);
  loaded = status == MOE_OK ? path : "";
  return status;
}

void CheckpointTest::TearDown() {
  if (loaded.empty() || weights.empty() || HasFailure())
    return;
  // One element at a time takes long.
  if (std::filesystem::is_regular_file(loaded) &&
      std::filesystem::file_size(loaded) > 4 << 20)
    return;
  // Others have been loaded or set since.
  ASSERT_MOE_OK(load(loaded));
  // Each test has splits of its own.
  const char *name =
      testing::UnitTest::GetInstance()->current_test_info()->name();
  for (uint64_t i = 0; i < 6 && !HasFailure(); ++i)
    checkSlices(moe::fnv1a(name) + i);
}

void CheckpointTest::checkSlices(uint64_t seed) {
  Chance chance(seed);
  json grid = chooseGrid(chance, weights[0]["shape"]);
  std::vector<json> split = weights;
  for (json &entry : split)
    chooseShard(chance, grid, entry);
  EditedPackage sharded([&](json &manifest) {
    manifest["grid"] = grid;
    manifest["checkpoint"] = checkpoint;
    for (const json &entry : split)
      manifest["weights"].push_back(entry);
  });
  Together ranks(&sharded.package);
  for (int rank = 0; rank < ranks.size(); ++rank) {
    moe_status status =
        moe_layer_load_weights(ranks[rank], loaded.c_str(), nullptr, nullptr);
    // Splits are chosen without a thought of how files pack numbers.
    if (status == MOE_SHAPE_MISMATCH &&
        std::string(moe_last_error()).find("words of eight numbers cannot") !=
            std::string::npos)
      return;
    ASSERT_MOE_OK(status);
    for (const json &entry : split) {
      std::string name = entry["name"];
      ASSERT_EQ(expectedSlice(weightBytes(layer(), name), grid, entry, rank),
                weightBytes(ranks[rank], name))
          << "rank " << rank << " of " << grid << ": " << entry;
    }
  }
}

void CheckpointTest::expectRefused(moe_status status,
                                   const std::string &message) {
  setWeights(layer());
  EXPECT_STATUS(status, load(), message);
  EXPECT_EQ((std::vector<float>{1, 2, 3, 4}), get<float>("scale.weight"));
  EXPECT_EQ((std::vector<float>{10, 20, 30}), get<float>("bias"));
}

} // namespace moe::test
