//===- MoeRunRanksTest.cpp - moe-run on several ranks ---------------------===//
//
// Part of moe-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
// FakeShards.c, sharded and whole: "s" and "w".
//
//===----------------------------------------------------------------------===//

#include "MoeRun.h"
#include "Run/Npy.h"
#include "Together.h"

namespace fs = std::filesystem;
using namespace moe::test;
using moe::run::Array;
using moe::run::DType;
using moe::run::readNpy;
using moe::run::writeNpy;
using nlohmann::json;

namespace {
struct MoeRunRanksTest : MoeRun {
  MoeRunRanksTest() {
    makePackage(folder.path / "s", "fake_sharded", fake_shards.manifest);
    makePackage(folder.path / "w", "fake_whole", fake_shards_whole.manifest);
  }
};
} // namespace

TEST_F(MoeRunRanksTest, EqualsTheWhole) {
  for (const char *tokens : {"0", "1", "7", "64"}) {
    json report = runJson({"s", "--ranks", "4", "--tokens", tokens, "--exact",
                           "3", "--against", "w"});
    EXPECT_EQ(true, report["against"]["agree"]);
    EXPECT_EQ(0, report["against"]["outputs"]["y"]["largest_error"]);
    EXPECT_EQ(true, report["against"]["indices_equal"]);
    json whole = runJson({"w", "--tokens", tokens, "--exact", "3"});
    EXPECT_EQ(whole["outputs"], report["outputs"]);
    for (const char *figure : {"tokens", "routed", "dropped", "loads"})
      EXPECT_EQ(whole["statistics"][figure], report["statistics"][figure]);
  }
}

TEST_F(MoeRunRanksTest, Exchanges) {
  json ranks = runJson({"s", "--ranks=4", "--tokens", "5"})["ranks"];
  EXPECT_EQ(4, ranks["count"]);
  for (const char *figure :
       {"operations", "sent_bytes", "received_bytes", "exchange_seconds"})
    EXPECT_EQ(4u, ranks[figure].size());
  uint64_t sent = 0, received = 0;
  for (int rank = 0; rank < 4; ++rank) {
    EXPECT_EQ(3, ranks["operations"][size_t(rank)]);
    sent += ranks["sent_bytes"][size_t(rank)].get<uint64_t>();
    received += ranks["received_bytes"][size_t(rank)].get<uint64_t>();
  }
  EXPECT_EQ(sent, received);
  EXPECT_GT(sent, 0u);
  EXPECT_FALSE(runJson({"w"}).contains("ranks"));
}

TEST_F(MoeRunRanksTest, FilesInAndOut) {
  Array x(DType::f32, {5, 4});
  for (int64_t i = 0; i < 20; ++i)
    x.set(i, double(i));
  writeNpy(folder / "x.npy", x);
  for (const char *package : {"s", "w"}) {
    std::vector<std::string> arguments = {package,
                                          "--input",
                                          folder / "x.npy",
                                          "--random",
                                          "4",
                                          "--output",
                                          folder /
                                              (package + std::string("y.npy"))};
    for (const char *name : {"indices", "up.weight", "down.weight", "bias"}) {
      arguments.push_back("--get");
      arguments.push_back(name + std::string("=") +
                          (folder / (std::string(package) + name + ".npy")));
    }
    if (*package == 's')
      arguments.push_back("--ranks=4");
    EXPECT_EQ(0, run(arguments)) << err;
  }
  for (const char *name :
       {"y", "indices", "up.weight", "down.weight", "bias"}) {
    Array ours = readNpy(folder / (std::string("s") + name + ".npy"));
    Array theirs = readNpy(folder / (std::string("w") + name + ".npy"));
    EXPECT_EQ(theirs.shape, ours.shape) << name;
    for (int64_t i = 0; i < theirs.count(); ++i)
      EXPECT_NEAR(theirs.get(i), ours.get(i), 1e-5) << name;
  }
}

TEST_F(MoeRunRanksTest, WeightsFromAFile) {
  std::string file = folder / "w.safetensors";
  EXPECT_EQ(0, run({"w", "--random", "8", "--save-weights", file})) << err;
  json report =
      runJson({"s", "--ranks", "4", "--weights", file, "--against", "w"});
  EXPECT_EQ(true, report["against"]["agree"]);
  json random = runJson({"s", "--ranks", "4", "--random", "8"});
  json again = runJson({"s", "--ranks", "4", "--weights", file});
  EXPECT_NEAR(random["outputs"]["y"]["norm"].get<double>() /
                  again["outputs"]["y"]["norm"].get<double>(),
              1, 2);
}

TEST_F(MoeRunRanksTest, DumpPlan) {
  EXPECT_EQ(0, run({"s", "--ranks", "4", "--tokens", "5", "--dump-plan",
                    folder / "plan"}))
      << err;
  EXPECT_EQ(5, readNpy(folder / "plan/indices.npy").shape[0]);
  // Ranks have each other's, which are the same.
  EXPECT_EQ(5, readNpy(folder / "plan/all.npy").shape[0]);
}

TEST_F(MoeRunRanksTest, Bench) {
  json report = runJson({"s", "--ranks", "4", "--bench", "--threads", "2"});
  EXPECT_GE(report["bench"]["runs"], 10);
  EXPECT_GT(report["bench"]["tokens_per_second"], 0);
}

TEST_F(MoeRunRanksTest, Errors) {
  expectError({"s"}, "'fake' is for 4 ranks, dp 1, ep 2, tp 2; expected "
                     "--ranks 4");
  expectError({"s", "--engine", "threads"}, "expected --ranks 4");
  expectError({"s", "--engine", "carrier pigeons"}, "carrier pigeons");
  expectError({"s", "--ranks", "2"},
              "'fake' is for 4 ranks, dp 1, ep 2, tp 2; found --ranks 2");
  expectError({"w", "--ranks", "2"}, "'fake' is for 1 rank; found --ranks 2");
  expectError({"s", "--ranks", "0"}, "--ranks expects at least 1, found '0'");
  expectError({"s", "--ranks", "some"},
              "--ranks expects a number, found 'some'");
  expectError({"s", "--ranks", "4", "--engine="}, "--engine expects a value");
  expectError({"s", "--ranks", "4", "--against", "s"},
              "the reference 'fake' is for 4 ranks, dp 1, ep 2, tp 2; expected "
              "a package for one");
  expectError({"s", "--ranks", "4", "--weights", "none.safetensors"},
              "(MOE_NOT_FOUND)");
  expectError({"s", "--ranks", "4", "--save-weights", folder / "s.safetensors"},
              "slices of its weights, which cannot be saved");
  expectError({"s", "--ranks", "4", "--size", "R=3"},
              "'forward' has no size 'R'");
  expectError({"s", "--ranks", "4", "--cpu", "none"},
              "'fake' has no code for cpu 'none'");
  EXPECT_EQ(0, run({"w", "--ranks", "1"})) << err;
}

TEST_F(MoeRunRanksTest, TheFirstProcessSpeaks) {
  for (const char *rank : {"0", "1"}) {
    setenv("PMI_RANK", rank, 1);
    setenv("PMI_SIZE", "2", 1);
    for (const std::vector<std::string> &arguments :
         {std::vector<std::string>{"s", "--engine", "carrier pigeons"},
          {"--bogus"}}) {
      EXPECT_EQ(1, run(arguments));
      EXPECT_EQ(*rank == '1', err.empty()) << err;
    }
    // Ranks that are all here are not those of the launcher.
    EXPECT_EQ(0, run({"s", "--ranks", "4"})) << err;
    unsetenv("PMI_RANK");
    unsetenv("PMI_SIZE");
  }
}

TEST_F(MoeRunRanksTest, OneMessageOfAFailedRun) {
  expectError({"s", "--ranks", "4", "--function", "stray", "--timeout", "500",
               "--flight", folder / "flight.%r.json"},
              "(MOE_");
  bool recorded = false;
  for (const char *rank : {"0", "1", "2", "3"})
    recorded |= fs::exists(folder / ("flight." + std::string(rank) + ".json"));
  EXPECT_TRUE(recorded);
}

TEST_F(MoeRunRanksTest, NotFiniteIsAnError) {
  Array x(DType::f32, {4, 4});
  x.set(12, 1.0 / 0.0);
  writeNpy(folder / "x.npy", x);
  EXPECT_EQ(1, run({"s", "--ranks", "4", "--input", folder / "x.npy"}));
  EXPECT_EQ("moe-run: error: rank 2: function 'forward': token 1 is not finite "
            "(MOE_NOT_FINITE)\n",
            err);
  EXPECT_NE(out.find("outputs.y.norm"), std::string::npos) << out;
}
