//===- Support.cpp - What the runtime's tests share -----------------------===//
//
// Part of moe-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
// With OpenMP off, every test of this binary runs on an executor of its own.
//
//===----------------------------------------------------------------------===//

#include "Support.h"

#include <cstdlib>
#include <fstream>
#include <numeric>
#include <sstream>
#include <thread>

namespace fs = std::filesystem;

namespace moe::test {

TemporaryFolder::TemporaryFolder() {
  std::string name = (fs::temp_directory_path() / "moe-test-XXXXXX").string();
  if (!mkdtemp(name.data()))
    std::abort();
  path = name;
}

TemporaryFolder::~TemporaryFolder() { fs::remove_all(path); }

std::string TemporaryFolder::write(const std::string &name,
                                   const std::string &text) const {
  fs::create_directories((path / name).parent_path());
  std::ofstream(path / name, std::ios::binary) << text;
  return (path / name).string();
}

std::string readFile(const std::string &path) {
  std::ostringstream text;
  text << std::ifstream(path, std::ios::binary).rdbuf();
  return text.str();
}

void makePackage(const fs::path &folder, const std::string &library,
                 const std::string &manifest) {
  fs::create_directories(folder);
  std::ofstream(folder / "fake.json", std::ios::binary) << manifest;
  if (!library.empty())
    fs::copy_file(fs::path(MOE_FAKES) / (library + ".so"),
                  folder / "libfake.so");
}

EditedPackage::EditedPackage(
    const std::function<void(nlohmann::json &)> &edit) {
  nlohmann::json document = nlohmann::json::parse(fake_package.manifest);
  if (edit)
    edit(document);
  manifest = document.dump();
  package = fake_package;
  package.manifest = manifest.c_str();
}

EditedPackage::EditedPackage(std::string text)
    : manifest(std::move(text)), package(fake_package) {
  package.manifest = manifest.c_str();
}

void setWeights(moe_layer *layer) {
  Tensor<float> scale({4}, f32), bias({3}, f32);
  Tensor<uint16_t> table({2, 3}, bf16);
  std::iota(scale.data.begin(), scale.data.end(), 1.0f);
  bias.data = {10, 20, 30};
  bias.view.data = bias.data.data();
  EXPECT_MOE_OK(moe_layer_set_weight(layer, "scale.weight", &scale.view));
  EXPECT_MOE_OK(moe_layer_set_weight(layer, "bias", &bias.view));
  EXPECT_MOE_OK(moe_layer_set_weight(layer, "table", &table.view));
}

Layer makeLayer(const moe_package *package, bool weights) {
  moe_layer *layer = nullptr;
  EXPECT_MOE_OK(moe_layer_create(package, &layer));
  if (layer && weights)
    setWeights(layer);
  return Layer(layer);
}

moe_status forward(moe_layer *layer, int64_t tokens) {
  Tensor<float> x({tokens, 4}, f32);
  std::iota(x.data.begin(), x.data.end(), 0.0f);
  const DLTensor *inputs[] = {&x.view};
  return moe_layer_run(layer, "forward", inputs, nullptr);
}

#ifdef MOE_TEST_OPENMP
void useTestExecutor() { moe_set_executor(nullptr, nullptr); }
#else
static void runOnThreads(void *, moe_body body, void *context, int64_t count) {
  int64_t half = count / 2;
  std::thread other([=] { body(context, 0, half); });
  body(context, half, count);
  other.join();
}
void useTestExecutor() { moe_set_executor(runOnThreads, nullptr); }
#endif

namespace {
struct TestExecutor : testing::Environment {
  void SetUp() override { useTestExecutor(); }
};
} // namespace

[[maybe_unused]] static testing::Environment *const executor =
    testing::AddGlobalTestEnvironment(new TestExecutor);

} // namespace moe::test

// Tests ask for more memory than there is: null is the answer they look for.
extern "C" MOE_API const char *__asan_default_options() {
  return "allocator_may_return_null=1";
}
extern "C" MOE_API const char *__tsan_default_options() {
  return "allocator_may_return_null=1";
}
