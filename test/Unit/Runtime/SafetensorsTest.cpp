//===- SafetensorsTest.cpp - Malformed weight files -----------------------===//
//
// Part of moe-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
// Files that lie about themselves, each in one way, and the writer's promises.
//
//===----------------------------------------------------------------------===//

#include "Support.h"

#include <cstring>
#include <sys/stat.h>
#include <unistd.h>

namespace fs = std::filesystem;
using namespace moe::test;
using nlohmann::json;

/// The bytes of a file with this header text and data.
static std::string file(const std::string &header, const std::string &data,
                        uint64_t claimed = UINT64_MAX) {
  uint64_t length = claimed == UINT64_MAX ? header.size() : claimed;
  std::string out;
  for (int i = 0; i < 8; ++i)
    out += static_cast<char>(length >> 8 * i);
  return out + header + data;
}

static json entry(const char *type, std::vector<int64_t> shape, uint64_t begin,
                  uint64_t end) {
  return {{"dtype", type}, {"shape", shape}, {"data_offsets", {begin, end}}};
}

/// The weights of the fake package: 16 + 12 + 12 bytes.
static json goodHeader() {
  return {{"layer.scale.weight", entry("F32", {4}, 0, 16)},
          {"layer.bias", entry("F32", {3}, 16, 28)},
          {"layer.table", entry("BF16", {2, 3}, 28, 40)}};
}

static const std::string goodData(40, '\1');

namespace {
struct SafetensorsTest : testing::Test {
  moe_status load(const std::string &text,
                  const std::string &name = "w.safetensors") {
    return moe_layer_load_weights(layer.get(), folder.write(name, text).c_str(),
                                  nullptr, nullptr);
  }
  moe_status edit(const std::function<void(json &)> &change,
                  const std::string &data = goodData) {
    json header = goodHeader();
    change(header);
    return load(file(header.dump(), data));
  }
  TemporaryFolder folder;
  Layer layer = makeLayer(&fake_package, false);
};
} // namespace

TEST_F(SafetensorsTest, Loads) {
  EXPECT_MOE_OK(load(file(goodHeader().dump(), goodData)));
  DLTensor view;
  ASSERT_MOE_OK(moe_layer_get(layer.get(), "scale.weight", &view));
  EXPECT_EQ(0, std::memcmp(view.data, goodData.data(), 16));
}

TEST_F(SafetensorsTest, MetadataPaddingAndOtherTensors) {
  EXPECT_MOE_OK(edit(
      [](json &h) {
        h["__metadata__"] = {{"format", "pt"}, {"more", "text"}};
        h["other"] = entry("F8_E4M3", {2, 4}, 40, 48);
        h["packed"] = entry("F4", {3, 2}, 48, 51);
        h["empty"] = entry("I64", {0, 5}, 51, 51);
        h["scalar"] = entry("BOOL", {}, 51, 52);
      },
      std::string(52, '\0')));
  EXPECT_MOE_OK(load(file(goodHeader().dump() + "   ", goodData)));
}

TEST_F(SafetensorsTest, FileTooShort) {
  EXPECT_STATUS(MOE_BAD_FILE, load("1234567"),
                "w.safetensors: error: expected at least 8 bytes, found 7");
  EXPECT_STATUS(MOE_BAD_FILE, load(""), "found 0");
}

TEST_F(SafetensorsTest, HeaderLargerThanTheFile) {
  EXPECT_STATUS(MOE_BAD_FILE, load(file("{}", "", 5000)),
                "the header has 5000 bytes, but the file only 2");
}

TEST_F(SafetensorsTest, HeaderTooLarge) {
  EXPECT_STATUS(MOE_BAD_FILE, load(file("{}", "", (100 << 20) + 1)),
                "expected a header of at most 104857600 bytes, found "
                "104857601");
  EXPECT_STATUS(MOE_BAD_FILE, load(file("{}", "", UINT64_MAX - 1)),
                "expected a header of at most");
}

TEST_F(SafetensorsTest, HugeHeaderOfBrackets) {
  EXPECT_STATUS(MOE_BAD_FILE, load(file(std::string(8 << 20, '['), "")),
                "expected it to start with '{'");
  EXPECT_STATUS(MOE_BAD_FILE,
                load(file("{\"a\":" + std::string(8 << 20, '['), "")),
                "expected no list here");
}

TEST_F(SafetensorsTest, HeaderIsNoJson) {
  EXPECT_STATUS(MOE_BAD_FILE, load(file("", "")), "start with '{'");
  EXPECT_STATUS(MOE_BAD_FILE, load(file("{\"a\"", "")), "header: parse error");
  EXPECT_STATUS(MOE_BAD_FILE, load(file(goodHeader().dump() + "x", goodData)),
                "header: parse error");
  EXPECT_STATUS(MOE_BAD_FILE, load(file("{\"\xff\": {}}", "")), "parse error");
}

TEST_F(SafetensorsTest, WrongStructure) {
  auto refuse = [&](const std::string &text, const char *message) {
    EXPECT_STATUS(MOE_BAD_FILE, load(file(text, "")), message);
  };
  refuse("{\"a\": 1}", "'a': expected no number here");
  refuse("{\"a\": \"F32\"}", "'a': expected no text here");
  refuse("{\"a\": null}", "expected non-negative integers and text only");
  refuse("{\"a\": {\"b\": {}}}", "expected no key 'b'");
  refuse("{\"a\": {\"dtype\": {}}}", "expected no object here");
  refuse("{\"a\": {\"dtype\": 3}}", "expected no number here");
  refuse("{\"a\": {\"shape\": [true]}}", "expected non-negative integers");
  refuse("{\"a\": {\"shape\": [[1]]}}", "expected no list here");
  refuse("{\"a\": {\"shape\": [\"1\"]}}", "expected no text here");
  refuse("{\"a\": {\"shape\": [-1]}}", "expected non-negative integers");
  refuse("{\"a\": {\"shape\": [1.5]}}", "expected non-negative integers");
  refuse("{\"a\": {\"shape\": [18446744073709551615]}}", "smaller numbers");
  refuse("{\"a\": {\"shape\": [1e30]}}", "expected non-negative integers");
  refuse("{\"a\": {\"data_offsets\": [1]}}", "expected two offsets");
  refuse("{\"a\": {\"data_offsets\": [1,2,3]}}", "expected two offsets");
  refuse("{\"a\": {\"dtype\": \"F32\"}}",
         "expected 'dtype', 'shape' and 'data_offsets'");
  refuse("{\"a\": {\"shape\": [], \"shape\": []}}",
         "key 'shape' appears twice");
  refuse("{\"__metadata__\": {\"a\": 1}}", "expected no number here");
  refuse("{\"__metadata__\": {\"a\": \"1\", \"a\": \"2\"}}",
         "expected at most 1024 different keys");
  refuse("{\"__metadata__\": {}, \"__metadata__\": {}}",
         "'__metadata__': appears twice");
}

TEST_F(SafetensorsTest, DuplicateNames) {
  std::string header = goodHeader().dump();
  header.insert(1, "\"layer.bias\":" + entry("F32", {3}, 16, 28).dump() + ",");
  EXPECT_STATUS(MOE_BAD_FILE, load(file(header, goodData)),
                "'layer.bias': appears twice");
}

TEST_F(SafetensorsTest, UnknownType) {
  EXPECT_STATUS(MOE_BAD_FILE,
                edit([](json &h) { h["layer.bias"]["dtype"] = "F31"; }),
                "'layer.bias': expected a known element type, found 'F31'");
}

TEST_F(SafetensorsTest, OffsetsOutOfRange) {
  EXPECT_STATUS(MOE_BAD_FILE, edit([](json &h) {
                  h["layer.table"]["data_offsets"] = {36, 48};
                }),
                "expected offsets within 40 bytes of data, found [36, 48]");
  EXPECT_STATUS(MOE_BAD_FILE, edit([](json &h) {
                  h["layer.table"]["data_offsets"] = {40, 28};
                }),
                "found [40, 28]");
}

TEST_F(SafetensorsTest, WrongByteCount) {
  EXPECT_STATUS(MOE_BAD_FILE,
                edit([](json &h) { h["layer.table"]["shape"] = {2, 2}; }),
                "'layer.table': expected 8 bytes for [2, 2] BF16, found 12");
}

TEST_F(SafetensorsTest, SizeOverflows) {
  EXPECT_STATUS(MOE_BAD_FILE, edit([](json &h) {
                  h["layer.table"]["shape"] = {int64_t(1) << 32, int64_t(1)
                                                                     << 32};
                }),
                "overflows");
  EXPECT_STATUS(MOE_BAD_FILE, edit([](json &h) {
                  h["layer.table"] = entry("F4", {3}, 28, 40);
                }),
                "is not whole bytes");
}

TEST_F(SafetensorsTest, Overlap) {
  EXPECT_STATUS(MOE_BAD_FILE, edit([](json &h) {
                  h["layer.table"]["data_offsets"] = {24, 36};
                }),
                "'layer.bias' and 'layer.table' overlap");
}

TEST_F(SafetensorsTest, GapAndRest) {
  EXPECT_STATUS(
      MOE_BAD_FILE,
      edit([](json &h) { h["layer.table"]["data_offsets"] = {32, 44}; },
           std::string(44, '\0')),
      "4 bytes before 'layer.table' belong to no tensor");
  EXPECT_STATUS(MOE_BAD_FILE, edit([](json &) {}, goodData + "x"),
                "expected 40 bytes of data, found 41");
}

TEST_F(SafetensorsTest, Truncated) {
  std::string whole = file(goodHeader().dump(), goodData);
  for (size_t length = 0; length < whole.size(); ++length)
    ASSERT_EQ(MOE_BAD_FILE, load(whole.substr(0, length))) << length;
}

TEST_F(SafetensorsTest, WriterRoundTrip) {
  setWeights(layer.get());
  std::string path = folder / "out.safetensors";
  ASSERT_MOE_OK(moe_layer_save_weights(layer.get(), path.c_str()));
  Layer other = makeLayer(&fake_package, false);
  ASSERT_MOE_OK(
      moe_layer_load_weights(other.get(), path.c_str(), nullptr, nullptr));
  for (const char *name : {"scale.weight", "bias", "table"}) {
    DLTensor a, b;
    ASSERT_MOE_OK(moe_layer_get(layer.get(), name, &a));
    ASSERT_MOE_OK(moe_layer_get(other.get(), name, &b));
    EXPECT_EQ(0, std::memcmp(a.data, b.data, 12)) << name;
  }
  std::string text = readFile(path);
  EXPECT_EQ(0, text[0] % 8) << "the data are aligned";
  EXPECT_EQ(1, std::distance(fs::directory_iterator(folder.path), {}))
      << "no temporary file stays";
}

TEST_F(SafetensorsTest, WriterChecks) {
  Tensor<float> value({2}, f32);
  std::string path = folder / "out.safetensors";
  moe_named_tensor twice[] = {{"a", &value.view}, {"a", &value.view}};
  EXPECT_STATUS(MOE_INVALID_ARGUMENT,
                moe_safetensors_write(path.c_str(), twice, 2), "used twice");
  moe_named_tensor reserved[] = {{"__metadata__", &value.view}};
  EXPECT_STATUS(MOE_INVALID_ARGUMENT,
                moe_safetensors_write(path.c_str(), reserved, 1), "reserved");
  moe_named_tensor nameless[] = {{nullptr, &value.view}};
  EXPECT_STATUS(MOE_INVALID_ARGUMENT,
                moe_safetensors_write(path.c_str(), nameless, 1), "null");
  moe_named_tensor empty[] = {{"a", nullptr}};
  EXPECT_STATUS(MOE_INVALID_ARGUMENT,
                moe_safetensors_write(path.c_str(), empty, 1), "'a' is null");
  moe_named_tensor latin[] = {{"\xe9", &value.view}};
  EXPECT_STATUS(MOE_INVALID_ARGUMENT,
                moe_safetensors_write(path.c_str(), latin, 1), "UTF-8");
  value.view.dtype.bits = 33;
  moe_named_tensor odd[] = {{"a", &value.view}};
  EXPECT_STATUS(MOE_DTYPE_MISMATCH, moe_safetensors_write(path.c_str(), odd, 1),
                "cannot be written");
  EXPECT_TRUE(fs::is_empty(folder.path));
  EXPECT_MOE_OK(moe_safetensors_write(path.c_str(), nullptr, 0));
}

TEST_F(SafetensorsTest, WriterLeavesNothingWhereItCannotWrite) {
  Tensor<float> value({2}, f32);
  moe_named_tensor tensors[] = {{"a", &value.view}};
  std::string nowhere = folder / "none/out.safetensors";
  EXPECT_STATUS(MOE_NOT_FOUND,
                moe_safetensors_write(nowhere.c_str(), tensors, 1),
                "No such file");
  // The rename fails: a folder has that name.
  fs::create_directories(folder / "taken/inside");
  std::string taken = folder / "taken";
  EXPECT_STATUS(MOE_IO, moe_safetensors_write(taken.c_str(), tensors, 1),
                "taken: error: ");
  EXPECT_EQ(1, std::distance(fs::directory_iterator(folder.path), {}));
}
