//===- RanksTest.cpp - Layers that run together ---------------------------===//
//
// Part of moe-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
// Creation and runs of the layers of FakeShards.c, and what goes wrong there.
//
//===----------------------------------------------------------------------===//

#include "Together.h"

#include <cmath>
#include <numeric>
#include <thread>

using namespace moe::test;
using nlohmann::json;

namespace {
struct Result {
  moe_status status;
  std::string message;
};

/// Runs a function on x = rank, rank + 1, ... of T tokens.
Result runOn(moe_layer *layer, const char *function, Tensor<float> &x,
             Tensor<float> &y) {
  const DLTensor *inputs[] = {&x.view}, *outputs[] = {&y.view};
  moe_status status = moe_layer_run(layer, function, inputs, outputs);
  return {status, status == MOE_OK ? "" : moe_last_error()};
}

struct RanksTest : testing::Test {
  explicit RanksTest(int64_t timeoutMs = 30000)
      : ranks(&fake_shards, timeoutMs) {
    for (int rank = 0; rank < 4; ++rank)
      EXPECT_MOE_OK(moe_layer_randomize(ranks[rank], 3, 1));
  }

  /// Ranks of tp have the same tokens.
  std::vector<Result> run(const std::vector<int64_t> &tokens,
                          const char *function = "forward", int width = 4) {
    std::vector<Result> results(4);
    y.assign(4, {});
    ranks.run([&](int rank) {
      Tensor<float> x({tokens[size_t(rank)], width}, f32);
      Tensor<float> out({tokens[size_t(rank)], 4}, f32);
      std::iota(x.data.begin(), x.data.end(), float(rank < 2 ? 0 : 1));
      results[size_t(rank)] = runOn(ranks[rank], function, x, out);
      y[size_t(rank)] = out.data;
    });
    return results;
  }

  Together ranks;
  std::vector<std::vector<float>> y;
};
} // namespace

TEST_F(RanksTest, SumsAndCollectives) {
  for (auto [first, second] :
       {std::pair<int64_t, int64_t>{3, 5}, {0, 2}, {0, 0}, {300, 1}}) {
    for (const Result &result : run({first, first, second, second}))
      ASSERT_EQ(MOE_OK, result.status) << result.message;
    EXPECT_EQ(y[0], y[1]);
    EXPECT_EQ(y[2], y[3]);
    for (int rank = 0; rank < 4; ++rank) {
      DLTensor all = {};
      ASSERT_MOE_OK(moe_layer_get(ranks[rank], "all", &all));
      ASSERT_EQ(first + second, all.shape[0]);
      const float *values = static_cast<const float *>(all.data);
      for (int64_t i = 0; i < 4 * first; ++i)
        ASSERT_EQ(float(i), values[i]);
      for (int64_t i = 0; i < 4 * second; ++i)
        ASSERT_EQ(float(1 + i), values[4 * first + i]);
    }
  }
}

TEST_F(RanksTest, ReplicasWithOtherTokens) {
  for (const Result &result : run({3, 2, 5, 5})) {
    EXPECT_EQ(MOE_PROGRAM_MISMATCH, result.status);
    EXPECT_NE(std::string::npos,
              result.message.find("rank 0 and rank 1 must have the same "
                                  "tokens: found 3 and 2"))
        << result.message;
  }
  // The world has failed, layers only wait to be destroyed.
  for (const Result &result : run({1, 1, 1, 1}))
    EXPECT_EQ(MOE_PROGRAM_MISMATCH, result.status) << result.message;
  DLTensor view;
  EXPECT_STATUS(MOE_NOT_FOUND, moe_layer_get(ranks[0], "all", &view),
                "before the first run");
}

TEST_F(RanksTest, OtherFunctions) {
  std::vector<Result> results(4);
  ranks.run([&](int rank) {
    Tensor<float> x({1, 4}, f32), out({1, 4}, f32);
    results[size_t(rank)] =
        runOn(ranks[rank], rank == 2 ? "stray" : "forward", x, out);
  });
  for (const Result &result : results) {
    EXPECT_EQ(MOE_PROGRAM_MISMATCH, result.status);
    EXPECT_NE(std::string::npos, result.message.find("'forward' and 'stray'"))
        << result.message;
  }
}

TEST_F(RanksTest, WrongArgumentsCanBeMended) {
  for (const Result &result : run({1, 1, 1, 1}, "forward", 5))
    EXPECT_EQ(MOE_SHAPE_MISMATCH, result.status) << result.message;
  for (const Result &result : run({1, 1, 1, 1}))
    EXPECT_EQ(MOE_OK, result.status) << result.message;
}

TEST_F(RanksTest, NotFinite) {
  std::vector<Result> results(4);
  ranks.run([&](int rank) {
    Tensor<float> x({2, 4}, f32), out({2, 4}, f32);
    if (rank >= 2)
      x.data[4] = NAN;
    results[size_t(rank)] = runOn(ranks[rank], "forward", x, out);
  });
  EXPECT_EQ(MOE_OK, results[0].status) << results[0].message;
  EXPECT_EQ(MOE_NOT_FINITE, results[3].status) << results[3].message;
  for (const Result &result : run({1, 1, 1, 1}))
    EXPECT_EQ(MOE_OK, result.status) << result.message;
}

TEST_F(RanksTest, CannotBeShared) {
  moe_layer *shared = nullptr;
  EXPECT_STATUS(MOE_INVALID_ARGUMENT, moe_layer_share(ranks[0], &shared),
                "a layer in a world cannot be shared");
  EXPECT_EQ(nullptr, shared);
}

TEST_F(RanksTest, Gather) {
  ranks.run([&](int rank) {
    int32_t mine[2] = {rank, -rank}, all[8] = {};
    EXPECT_MOE_OK(moe_world_gather(ranks.world(rank), mine, 8, all));
    for (int r = 0; r < 4; ++r) {
      EXPECT_EQ(r, all[size_t(2) * size_t(r)]);
      EXPECT_EQ(-r, all[size_t(2) * size_t(r) + 1]);
    }
    EXPECT_MOE_OK(moe_world_gather(ranks.world(rank), nullptr, 0, nullptr));
    EXPECT_STATUS(MOE_INVALID_ARGUMENT,
                  moe_world_gather(ranks.world(rank), nullptr, 1, all),
                  "'mine' is null");
  });
}

namespace {
/// Ranks that do not come in time.
struct LateRanksTest : RanksTest {
  LateRanksTest() : RanksTest(200) {}
};
} // namespace

TEST_F(LateRanksTest, ARankThatDoesNotRun) {
  std::vector<Result> results(4);
  ranks.run([&](int rank) {
    Tensor<float> x({1, 4}, f32), out({1, 4}, f32);
    if (rank != 3)
      results[size_t(rank)] = runOn(ranks[rank], "forward", x, out);
  });
  for (int rank = 0; rank < 3; ++rank) {
    EXPECT_NE(MOE_OK, results[size_t(rank)].status);
    EXPECT_NE(std::string::npos, results[size_t(rank)].message.find("sizes"))
        << results[size_t(rank)].message;
  }
}

TEST_F(LateRanksTest, RanksAtAnotherCollective) {
  std::vector<Result> results = run({2, 2, 2, 2}, "stray");
  for (int rank : {0, 2}) {
    EXPECT_NE(MOE_OK, results[size_t(rank)].status);
    EXPECT_NE(std::string::npos, results[size_t(rank)].message.find("'parts'"))
        << results[size_t(rank)].message;
  }
  DLTensor view;
  EXPECT_STATUS(MOE_NOT_FOUND, moe_layer_get(ranks[0], "all", &view),
                "before the first run");
}

TEST(RanksCreation, NeedsAWorld) {
  moe_layer *layer = nullptr;
  EXPECT_STATUS(MOE_INVALID_ARGUMENT, moe_layer_create(&fake_shards, &layer),
                "'fake' is for 4 ranks, dp 1, ep 2, tp 2: expected "
                "moe_layer_create_in with a world of as many");
  EXPECT_STATUS(MOE_INVALID_ARGUMENT,
                moe_layer_create_in(&fake_shards, nullptr, nullptr, &layer),
                "'world' is null");
}

/// Creates layers in a world of its own, one for each of the packages.
static std::vector<Result>
create(const std::vector<const moe_package *> &packages,
       const char *lastCpu = nullptr) {
  std::vector<moe_world *> worlds = openWorlds(int(packages.size()));
  std::vector<Result> results(packages.size());
  std::vector<std::thread> threads;
  for (size_t rank = 0; rank < packages.size(); ++rank)
    threads.emplace_back([&, rank] {
      moe_layer *layer = nullptr;
      const char *cpu = rank + 1 == packages.size() ? lastCpu : nullptr;
      moe_status status =
          moe_layer_create_in(packages[rank], cpu, worlds[rank], &layer);
      results[rank] = {status, status == MOE_OK ? "" : moe_last_error()};
      EXPECT_EQ(status == MOE_OK, layer != nullptr);
      moe_layer_destroy(layer);
    });
  for (std::thread &thread : threads)
    thread.join();
  for (moe_world *world : worlds)
    moe_world_close(world);
  return results;
}

TEST(RanksCreation, WorldOfAnotherSize) {
  for (const Result &result : create({&fake_shards, &fake_shards})) {
    EXPECT_EQ(MOE_INVALID_ARGUMENT, result.status);
    EXPECT_NE(std::string::npos,
              result.message.find("the grid dp = 1, ep = 2, tp = 2 has 4 "
                                  "ranks, the world has 2"))
        << result.message;
  }
}

TEST(RanksCreation, PackageForOneRankInAWorldOfOne) {
  EXPECT_EQ(MOE_OK, create({&fake_package})[0].status);
}

TEST(RanksCreation, OtherPackages) {
  json document = json::parse(fake_shards.manifest);
  document["compiler"] = "another";
  std::string text = document.dump();
  moe_package other = fake_shards;
  other.manifest = text.c_str();
  for (const Result &result :
       create({&fake_shards, &fake_shards, &other, &fake_shards})) {
    EXPECT_EQ(MOE_PROGRAM_MISMATCH, result.status);
    EXPECT_NE(std::string::npos,
              result.message.find("rank 0 and rank 2 have different packages"))
        << result.message;
  }
}

TEST(RanksCreation, OneRankCannot) {
  std::vector<Result> results = create(
      {&fake_shards, &fake_shards, &fake_shards, &fake_shards}, "another");
  EXPECT_EQ(MOE_NOT_FOUND, results[3].status) << results[3].message;
  for (int rank = 0; rank < 3; ++rank) {
    EXPECT_NE(MOE_OK, results[size_t(rank)].status);
    EXPECT_NE(std::string::npos,
              results[size_t(rank)].message.find("has no code for cpu"))
        << results[size_t(rank)].message;
  }
}

TEST(Sums, OfOneRankAreItsOwn) {
  EditedPackage package([](json &m) {
    json &quantize = m["functions"][2];
    quantize["sizes"] = {"n", "R"};
    quantize["sums"]["R"] = {{"of", "n"}, {"axes", {"dp", "ep", "tp"}}};
    quantize["arguments"][1]["shape"] = {"ceil(R/2)"};
    quantize["arguments"][2]["shape"] = {"2*R"};
  });
  Layer layer = makeLayer(&package.package);
  Tensor<float> values({5}, f32, 1);
  Tensor<uint8_t> data({3}, u8), other({4}, u8);
  const DLTensor *inputs[] = {&values.view};
  const DLTensor *outputs[] = {&data.view}, *wrong[] = {&other.view};
  ASSERT_MOE_OK(moe_layer_run(layer.get(), "quantize", inputs, outputs));
  DLTensor twice = {};
  ASSERT_MOE_OK(moe_layer_get(layer.get(), "twice", &twice));
  EXPECT_EQ(10, twice.shape[0]);
  EXPECT_STATUS(MOE_SHAPE_MISMATCH,
                moe_layer_run(layer.get(), "quantize", inputs, wrong),
                "tensor 'data': expected [ceil(R/2)] with n = 5, R = 5, found "
                "[4]");
}
