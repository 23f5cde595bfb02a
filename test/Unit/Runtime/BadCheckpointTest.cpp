//===- BadCheckpointTest.cpp - Files that are not what was expected -------===//
//
// Part of moe-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
// Each is refused with the name of the tensor and of the file, and the layer
// keeps the weights that it had.
//
//===----------------------------------------------------------------------===//

#include "Checkpoint.h"

#include <fstream>

namespace fs = std::filesystem;
using namespace moe::test;
using nlohmann::json;

namespace {
/// A layer of two experts in the shape of a model's file.
struct BadCheckpointTest : CheckpointTest {
  BadCheckpointTest() {
    checkpoint = {{"layer", 16}, {"prefix", {"model.layers.{l}.mlp."}}};
    const std::string prefix = "model.layers.{l}.mlp.";
    weight("router.weight", "bf16", {2, 4}, prefix + "gate.weight");
    weight("experts.up.weight", "bf16", {2, 3, 4},
           json::array({prefix + "experts.{e}.up_proj.weight",
                        json{{"name", prefix + "experts.gate_up_proj"},
                             {"part", {1, 2}}}}));
  }
  static std::string in(const std::string &name, int layer = 16) {
    return "model.layers." + std::to_string(layer) + ".mlp." + name;
  }
  void addRouter() { zeros(in("gate.weight"), "BF16", {2, 4}, 2); }
  void addExpert(int e) {
    zeros(in("experts." + std::to_string(e) + ".up_proj.weight"), "BF16",
          {3, 4}, 2);
  }
  /// A sharded model whose parts are written as they are.
  std::string writeIndex(const json &map) {
    setWeights(layer());
    return folder.write("model.safetensors.index.json",
                        json({{"weight_map", map}}).dump());
  }
  void expectPathRefused(moe_status status, const std::string &path,
                         const std::string &message) {
    EXPECT_STATUS(status, load(path), message);
    EXPECT_EQ((std::vector<float>{1, 2, 3, 4}), get<float>("scale.weight"));
  }
};
} // namespace

TEST_F(BadCheckpointTest, Good) {
  addRouter();
  addExpert(0);
  addExpert(1);
  EXPECT_MOE_OK(load());
}

TEST_F(BadCheckpointTest, LayerThatTheModelHasNot) {
  for (int l : {0, 3, 15})
    zeros(in("gate.weight", l), "BF16", {2, 4}, 2);
  expectRefused(MOE_WEIGHT_MISSING,
                "model.safetensors: error: there is no tensor "
                "'model.layers.16.mlp.gate.weight'; found "
                "'model.layers.0.mlp.gate.weight' of layers 0 to 15, expected "
                "layer 16");
}

TEST_F(BadCheckpointTest, MissingTensor) {
  addExpert(0);
  addExpert(1);
  zeros(in("gates.weight"), "BF16", {2, 4}, 2);
  expectRefused(MOE_WEIGHT_MISSING,
                "there is no tensor 'model.layers.16.mlp.gate.weight'; did you "
                "mean 'model.layers.16.mlp.gates.weight'?");
}

TEST_F(BadCheckpointTest, MissingExpert) {
  addRouter();
  addExpert(0);
  expectRefused(MOE_WEIGHT_MISSING,
                "there is no tensor "
                "'model.layers.16.mlp.experts.1.up_proj.weight'; found expert "
                "0, expected expert 1");
}

TEST_F(BadCheckpointTest, ExpertsThatBeginAtOne) {
  addRouter();
  addExpert(1);
  addExpert(2);
  expectRefused(MOE_WEIGHT_MISSING,
                "there is no tensor "
                "'model.layers.16.mlp.experts.0.up_proj.weight', nor "
                "'model.layers.16.mlp.experts.gate_up_proj'; found experts 1 "
                "to 2, expected expert 0");
}

TEST_F(BadCheckpointTest, OneExpertTooMany) {
  addRouter();
  for (int e : {0, 1, 2})
    addExpert(e);
  expectRefused(MOE_BAD_FILE,
                "model.safetensors: error: "
                "'model.layers.16.mlp.experts.2.up_proj.weight': BF16 [3, 4] "
                "belongs to no weight of this layer; expected a source for it, "
                "or a pattern in 'weights.ignore'");
}

TEST_F(BadCheckpointTest, BiasesThatTheSpecHasNot) {
  addRouter();
  addExpert(0);
  addExpert(1);
  zeros(in("gate.bias"), "F32", {2}, 4);
  zeros(in("experts.up_bias"), "F32", {2, 3}, 4);
  expectRefused(MOE_BAD_FILE,
                "'model.layers.16.mlp.experts.up_bias': F32 [2, 3] belongs to "
                "no weight of this layer, nor do 1 others");
}

TEST_F(BadCheckpointTest, MisshapenMatrix) {
  zeros(in("gate.weight"), "BF16", {3, 4}, 2);
  addExpert(0);
  addExpert(1);
  expectRefused(MOE_SHAPE_MISMATCH,
                "model.safetensors: error: 'model.layers.16.mlp.gate.weight': "
                "expected [2, 4] or [4, 2], found [3, 4]");
}

TEST_F(BadCheckpointTest, MisshapenExpert) {
  addRouter();
  addExpert(0);
  zeros(in("experts.1.up_proj.weight"), "BF16", {3, 5}, 2);
  expectRefused(MOE_SHAPE_MISMATCH,
                "'model.layers.16.mlp.experts.1.up_proj.weight': expected "
                "[3, 4] or [4, 3], found [3, 5]");
}

TEST_F(BadCheckpointTest, StackOfAnotherSize) {
  addRouter();
  zeros(in("experts.gate_up_proj"), "BF16", {3, 6, 4}, 2);
  expectRefused(MOE_SHAPE_MISMATCH,
                "'model.layers.16.mlp.experts.gate_up_proj': expected "
                "[2, 6, 4] or [2, 4, 6], found [3, 6, 4]");
}

TEST_F(BadCheckpointTest, HalfOfWhatIsDivided) {
  addRouter();
  zeros(in("experts.gate_up_proj"), "BF16", {2, 3, 4}, 2);
  expectRefused(MOE_SHAPE_MISMATCH, "expected [2, 6, 4] or [2, 4, 6], found "
                                    "[2, 3, 4]");
}

TEST_F(BadCheckpointTest, AnotherType) {
  zeros(in("gate.weight"), "F32", {2, 4}, 4);
  expectRefused(MOE_DTYPE_MISMATCH,
                "'model.layers.16.mlp.gate.weight': expected BF16, found F32, "
                "whose values need not fit");
}

TEST_F(BadCheckpointTest, OneOfManyExpertsIsOfAnotherType) {
  addRouter();
  addExpert(0);
  zeros(in("experts.1.up_proj.weight"), "F16", {3, 4}, 2);
  expectRefused(MOE_DTYPE_MISMATCH,
                "'model.layers.16.mlp.experts.1.up_proj.weight': expected "
                "BF16, found F16");
}

TEST_F(BadCheckpointTest, TruncatedDownload) {
  addRouter();
  addExpert(0);
  addExpert(1);
  std::string path = write();
  setWeights(layer());
  fs::resize_file(path, fs::file_size(path) - 5);
  expectPathRefused(MOE_BAD_FILE, path, "model.safetensors: error: '");
  fs::resize_file(path, 40);
  expectPathRefused(MOE_BAD_FILE, path,
                    "model.safetensors: error: the header has");
  fs::resize_file(path, 3);
  expectPathRefused(MOE_BAD_FILE, path, "expected at least 8 bytes, found 3");
}

TEST_F(BadCheckpointTest, PointerOfALargeFileStore) {
  setWeights(layer());
  std::string path = folder.write(
      "model.safetensors",
      "version https://git-lfs.github.com/spec/v1\noid sha256:0\n");
  expectPathRefused(MOE_BAD_FILE, path,
                    "model.safetensors: error: expected a header of at most");
}

TEST_F(BadCheckpointTest, IndexOfAMissingShard) {
  std::string path = writeIndex({{"layer.scale.weight", "gone.safetensors"}});
  expectPathRefused(MOE_NOT_FOUND, path,
                    "gone.safetensors: error: No such file");
}

TEST_F(BadCheckpointTest, IndexOfAnUnfinishedLink) {
  fs::create_symlink("../blobs/0123.incomplete", folder / "gone.safetensors");
  std::string path = writeIndex({{"layer.scale.weight", "gone.safetensors"}});
  expectPathRefused(MOE_NOT_FOUND, path,
                    "gone.safetensors: error: No such file");
}

TEST_F(BadCheckpointTest, ShardWithoutTheTensor) {
  write("shard.safetensors");
  std::string path = writeIndex({{"layer.scale.weight", "shard.safetensors"},
                                 {"layer.bias", "shard.safetensors"},
                                 {"layer.table", "shard.safetensors"},
                                 {in("gate.weight"), "shard.safetensors"}});
  expectPathRefused(MOE_WEIGHT_MISSING, path,
                    "shard.safetensors: error: there is no tensor "
                    "'model.layers.16.mlp.gate.weight', which ");
}

TEST_F(BadCheckpointTest, IndexWithoutTheTensor) {
  write("shard.safetensors");
  std::string path = writeIndex({{"layer.scale.weight", "shard.safetensors"},
                                 {"layer.bias", "shard.safetensors"},
                                 {"layer.table", "shard.safetensors"},
                                 {in("gate.weight", 3), "shard.safetensors"}});
  expectPathRefused(MOE_WEIGHT_MISSING, path,
                    "model.safetensors.index.json: error: there is no tensor "
                    "'model.layers.16.mlp.gate.weight'; found "
                    "'model.layers.3.mlp.gate.weight' of layer 3, expected "
                    "layer 16");
}

TEST_F(BadCheckpointTest, TextThatIsNoIndex) {
  setWeights(layer());
  std::string path = folder.write("model.safetensors.index.json", "<html>");
  expectPathRefused(MOE_BAD_FILE, path, "index.json: error: parse error");
}

TEST_F(BadCheckpointTest, FolderOfShardsWithoutAnIndex) {
  setWeights(layer());
  write("model-00001-of-00002.safetensors");
  write("model-00002-of-00002.safetensors");
  expectPathRefused(MOE_NOT_FOUND, folder.path.string(),
                    "error: expected model.safetensors.index.json, "
                    "model.safetensors or one other .safetensors file, found "
                    "model-00001-of-00002.safetensors and "
                    "model-00002-of-00002.safetensors");
}

using CountTest = CheckpointTest;

TEST_F(CountTest, TooFewExpertsInAll) {
  weight("experts.up.weight", "f32", {4, 2, 2},
         json::array({{"text.{e}", "image.{e}"}}));
  for (const char *name : {"text.0", "text.1", "image.0"})
    tensor(name, "F32", {2, 2}, std::vector<float>(4));
  expectRefused(MOE_SHAPE_MISMATCH,
                "model.safetensors: error: 'text.0' and what follows it for "
                "'experts.up.weight': expected 4 experts, found 3");
}

TEST_F(CountTest, TooManyRowsInAll) {
  weight("router.weight", "f32", {4, 2}, json::array({{"text", "image"}}));
  tensor("text", "F32", {3, 2}, std::vector<float>(6));
  tensor("image", "F32", {2, 2}, std::vector<float>(4));
  expectRefused(MOE_SHAPE_MISMATCH,
                "'text' and what follows it for "
                "'router.weight': expected 4 rows, found 5");
}

TEST_F(CountTest, NumbersToRepeat) {
  weight("experts.up.scales", "f32", {3, 2, 2},
         json{{"name", "s"}, {"broadcast", true}});
  tensor("s", "F32", {2}, std::vector<float>(2));
  expectRefused(MOE_SHAPE_MISMATCH,
                "error: 's': expected one number or 3, found [2]");
}

//===----------------------------------------------------------------------===//
// Memory
//===----------------------------------------------------------------------===//

#if defined(__linux__) && !defined(__SANITIZE_ADDRESS__) &&                    \
    !defined(__SANITIZE_THREAD__)
/// What the process has held at most since the last reset, in bytes.
static int64_t peak(bool reset) {
  if (reset)
    std::ofstream("/proc/self/clear_refs") << "5";
  std::ifstream status("/proc/self/status");
  for (std::string line; std::getline(status, line);)
    if (line.rfind("VmHWM:", 0) == 0)
      return std::stoll(line.substr(6)) * 1024;
  return 0;
}

struct MemoryTest : CheckpointTest {
  void check(int64_t weights, int64_t expert) {
    std::string path = write();
    ASSERT_GT(int64_t(fs::file_size(path)), 16 * expert);
    layer();
    int64_t before = peak(/*reset=*/true);
    ASSERT_MOE_OK(load(path));
    int64_t held = peak(/*reset=*/false) - before;
    EXPECT_GT(held, weights / 2) << "nothing was measured";
    // Threads that have not run before bring stacks and pools of their own.
    constexpr int64_t spare = 3 << 20;
    EXPECT_LT(held, weights + expert + spare);
  }
};

TEST_F(MemoryTest, OfATurnedStack) {
  constexpr int64_t E = 32, O = 512, I = 1024;
  for (int part : {0, 1})
    weight(part ? "experts.up.weight" : "experts.gate.weight", "bf16",
           {E, O, I},
           json{{"name", "w"},
                {"part", {part, 2}},
                {"interleaved", true},
                {"transposed", true}});
  zeros("w", "BF16", {E, I, 2 * O}, 2);
  check(2 * E * O * I * 2, O * I * 2);
}

TEST_F(MemoryTest, OfDecodedExperts) {
  constexpr int64_t E = 32, O = 1024, I = 1024;
  weight("experts.up.weight", "bf16", {E, O, I},
         json{{"name", "w"},
              {"decode", {{"kind", "fp8_e4m3"}, {"block", {128, 128}}}},
              {"scales", "s"}});
  zeros("w", "F8_E4M3", {E, O, I}, 1);
  zeros("s", "F32", {E, O / 128, I / 128}, 4);
  check(E * O * I * 2, O * I);
}
#endif
