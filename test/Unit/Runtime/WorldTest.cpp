//===- WorldTest.cpp - Opening worlds, and what they tell -----------------===//
//
// Part of moe-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
// Options, launchers, engines from libraries, sizes, and the flight recorder.
//
//===----------------------------------------------------------------------===//

#include "Ranks.h"

#include "Runtime/Collective/Environment.h"

#include <cstdlib>

using namespace moe::runtime;
using namespace moe::test;

namespace {
/// Environment variables for as long as it lives; those of launchers are unset.
class Environment {
public:
  using Settings = std::vector<std::pair<const char *, std::string>>;
  explicit Environment(const Settings &set = {}) {
    for (const char *name :
         {"OMPI_COMM_WORLD_RANK", "OMPI_COMM_WORLD_SIZE", "PMI_RANK",
          "PMI_SIZE", "RANK", "WORLD_SIZE", "SLURM_PROCID", "SLURM_NTASKS",
          "MOE_ENGINE_PATH"}) {
      const char *value = std::getenv(name);
      before.emplace_back(name, value ? value : "");
      unsetenv(name);
    }
    for (const auto &[name, value] : set)
      setenv(name, value.c_str(), 1);
  }
  ~Environment() {
    for (const auto &[name, value] : before)
      if (value.empty())
        unsetenv(name);
      else
        setenv(name, value.c_str(), 1);
  }

  Environment(const Environment &) = delete;

private:
  Settings before;
};
} // namespace

static moe_world_options makeOptions(const char *engine, int32_t rank = -1,
                                     int32_t size = -1) {
  moe_world_options options = {};
  options.engine = engine;
  options.rank = rank;
  options.size = size;
  return options;
}

static moe_status openAndClose(const moe_world_options &options) {
  moe_world *world = nullptr;
  moe_status status = moe_world_open(&options, &world);
  moe_world_close(world);
  return status;
}

TEST(WorldTest, NamesOfStatuses) {
  EXPECT_STREQ("MOE_TIMEOUT", moe_status_name(MOE_TIMEOUT));
  EXPECT_STREQ("MOE_RANK_FAILED", moe_status_name(MOE_RANK_FAILED));
  EXPECT_STREQ("MOE_OP_MISMATCH", moe_status_name(MOE_OP_MISMATCH));
  EXPECT_STREQ("MOE_PROGRAM_MISMATCH", moe_status_name(MOE_PROGRAM_MISMATCH));
  EXPECT_STREQ("MOE_ABORTED", moe_status_name(MOE_ABORTED));
  EXPECT_STREQ("MOE_UNAVAILABLE", moe_status_name(MOE_UNAVAILABLE));
  EXPECT_STREQ("MOE_IN_PROGRESS", moe_status_name(MOE_IN_PROGRESS));
}

TEST(WorldTest, ThreadsOfOneProcess) {
  moe_world_options options = makeOptions("threads", -1, 3);
  moe_world *worlds[3] = {};
  ASSERT_MOE_OK(moe_world_open_threads(&options, worlds));
  for (int32_t rank = 0; rank < 3; ++rank) {
    EXPECT_EQ(rank, moe_world_rank(worlds[rank]));
    EXPECT_EQ(3, moe_world_size(worlds[rank]));
    moe_world_close(worlds[rank]);
  }
  EXPECT_EQ(-1, moe_world_rank(nullptr));
  EXPECT_EQ(-1, moe_world_size(nullptr));
  moe_world_abort(nullptr, "nothing");
  moe_world_close(nullptr);
}

TEST(WorldTest, BadOptions) {
  moe_world *worlds[8] = {};
  moe_world_options options = makeOptions(nullptr, -1, 0);
  EXPECT_STATUS(MOE_INVALID_ARGUMENT, moe_world_open_threads(nullptr, worlds),
                "'options' is null");
  EXPECT_STATUS(MOE_INVALID_ARGUMENT, moe_world_open_threads(&options, nullptr),
                "'worlds' is null");
  EXPECT_STATUS(MOE_INVALID_ARGUMENT, moe_world_open(&options, nullptr),
                "'world' is null");
  EXPECT_STATUS(MOE_INVALID_ARGUMENT, moe_world_open_threads(&options, worlds),
                "'size': found 0, expected 1 to 4096");
  options = makeOptions("mpi", -1, 2);
  EXPECT_STATUS(MOE_INVALID_ARGUMENT, moe_world_open_threads(&options, worlds),
                "found engine 'mpi', expected 'threads'");
  options = makeOptions("threads", 0, 2);
  EXPECT_STATUS(MOE_INVALID_ARGUMENT, openAndClose(options),
                "engine 'threads' has all ranks in one process: found size 2, "
                "expected 1, or moe_world_open_threads");
  options = makeOptions("threads", 0, 1);
  options.timeout_ms = -5;
  EXPECT_STATUS(MOE_INVALID_ARGUMENT, openAndClose(options),
                "'timeout_ms': found -5, expected 0 to");
  options.timeout_ms = 0;
  options.open_ms = -1;
  EXPECT_STATUS(MOE_INVALID_ARGUMENT, openAndClose(options),
                "'open_ms': found -1, expected 0 to");
  options.open_ms = 0;
  options.node_ranks = -2;
  EXPECT_STATUS(MOE_INVALID_ARGUMENT, openAndClose(options),
                "'node_ranks': found -2, expected none below 0");
  EXPECT_STATUS(MOE_INVALID_ARGUMENT, openAndClose(makeOptions("mpi", 4, 4)),
                "found rank 4 of 4");
  EXPECT_STATUS(MOE_INVALID_ARGUMENT, openAndClose(makeOptions("threads", 2)),
                "found rank 2 of 1");
  EXPECT_STATUS(MOE_INVALID_ARGUMENT,
                moe_world_get_statistics(nullptr, nullptr), "'world' is null");
}

TEST(WorldTest, OneRankAlone) {
  Environment none;
  moe_world *world = nullptr;
  ASSERT_MOE_OK(moe_world_open(nullptr, &world));
  EXPECT_EQ(0, moe_world_rank(world));
  EXPECT_EQ(1, moe_world_size(world));
  moe_world_statistics statistics = {};
  EXPECT_MOE_OK(moe_world_get_statistics(world, &statistics));
  EXPECT_EQ(0u, statistics.operations);
  moe_world_close(world);
}

TEST(WorldTest, Launchers) {
  {
    Environment none;
    EXPECT_FALSE(readLauncher());
  }
  struct Case {
    const char *rank, *size, *engine;
  };
  for (const Case &launcher :
       {Case{"OMPI_COMM_WORLD_RANK", "OMPI_COMM_WORLD_SIZE", "mpi"},
        Case{"PMI_RANK", "PMI_SIZE", "mpi"}, Case{"RANK", "WORLD_SIZE", "nccl"},
        Case{"SLURM_PROCID", "SLURM_NTASKS", "mpi"}}) {
    Environment set(
        Environment::Settings{{launcher.rank, "2"}, {launcher.size, "5"}});
    std::optional<Launched> found = readLauncher();
    ASSERT_TRUE(found);
    EXPECT_EQ(2, found->rank);
    EXPECT_EQ(5, found->size);
    EXPECT_STREQ(launcher.engine, found->engine);
  }
  Environment both(Environment::Settings{{"RANK", "1"},
                                         {"WORLD_SIZE", "2"},
                                         {"OMPI_COMM_WORLD_RANK", "3"},
                                         {"OMPI_COMM_WORLD_SIZE", "4"}});
  EXPECT_EQ(3, readLauncher()->rank);
}

TEST(WorldTest, LaunchersThatMakeNoSense) {
  struct Case {
    Environment::Settings set;
    const char *message;
  };
  const Case cases[] = {
      {{{"RANK", "1"}},
       "environment variable WORLD_SIZE is not set, but RANK is"},
      {{{"PMI_SIZE", "1"}},
       "environment variable PMI_RANK is not set, but PMI_SIZE is"},
      {{{"RANK", "one"}, {"WORLD_SIZE", "2"}},
       "environment variable RANK: found 'one', expected a number"},
      {{{"RANK", "1"}, {"WORLD_SIZE", "2x"}},
       "environment variable WORLD_SIZE: found '2x', expected a number"},
      {{{"RANK", "-1"}, {"WORLD_SIZE", "2"}},
       "environment variable RANK: found '-1', expected a number"},
      {{{"RANK", "99999999999"}, {"WORLD_SIZE", "2"}},
       "environment variable RANK: found '99999999999', expected a number"},
      {{{"SLURM_PROCID", "2"}, {"SLURM_NTASKS", "2"}},
       "environment variables SLURM_PROCID and SLURM_NTASKS: found rank 2 of "
       "2"}};
  for (const Case &wrong : cases) {
    Environment set(wrong.set);
    moe_world *world = nullptr;
    EXPECT_STATUS(MOE_INVALID_ARGUMENT, moe_world_open(nullptr, &world),
                  wrong.message);
  }
}

TEST(WorldTest, EnginesFromLibraries) {
  Environment path(
      Environment::Settings{{"MOE_ENGINE_PATH", "/nowhere:" MOE_FAKES}});
  moe_world_options options = makeOptions("fake", 1, 2);
  moe_world *world = nullptr;
  ASSERT_MOE_OK(moe_world_open(&options, &world));
  EXPECT_EQ(1, moe_world_rank(world));
  EXPECT_EQ(2, moe_world_size(world));
  moe_world_close(world);
  options = makeOptions("fake", 7, 8);
  options.rendezvous = "the station";
  EXPECT_STATUS(MOE_TIMEOUT, openAndClose(options),
                "engine 'fake': nobody is at the station");
  EXPECT_STATUS(MOE_UNAVAILABLE, openAndClose(makeOptions("old")),
                "libmoe_engine_old.so has version 99, expected 2");
  EXPECT_STATUS(MOE_UNAVAILABLE, openAndClose(makeOptions("nameless")),
                "libmoe_engine_nameless.so has no moe_engine_open");
}

TEST(WorldTest, EnginesThatAreNotThere) {
  TemporaryFolder folder;
  Environment path(
      Environment::Settings{{"MOE_ENGINE_PATH", folder.path.string()}});
  EXPECT_STATUS(MOE_UNAVAILABLE, openAndClose(makeOptions("nccl")),
                "engine 'nccl': there is no libmoe_engine_nccl.so in " +
                    folder.path.string() + ", ");
  EXPECT_STATUS(MOE_NOT_FOUND, openAndClose(makeOptions("treads")),
                "there is no engine 'treads': expected threads, mpi or nccl; "
                "did you mean 'threads'?");
  EXPECT_STATUS(MOE_NOT_FOUND, openAndClose(makeOptions("../../x")),
                "there is no engine '../../x'");
  folder.write("libmoe_engine_mpi.so", "no library");
  EXPECT_STATUS(MOE_UNAVAILABLE, openAndClose(makeOptions("mpi")),
                "engine 'mpi': ");
}

static void gather(moe_world &world, const Grid &grid, const RunHeader &header,
                   int32_t tokensOver, std::vector<int64_t> &tokens) {
  gatherSizes(
      world, grid, header, tokensOver,
      [](int64_t function) {
        return function < 0 ? std::string("none")
                            : "'" + std::to_string(function) + "'";
      },
      tokens);
}

TEST(WorldTest, SizesOfAllRanks) {
  const Grid grid{2, 2, 2};
  Ranks ranks(8);
  ranks.run([&](moe_world &world) {
    std::vector<int64_t> tokens;
    // Ranks that differ in tp have the same tokens.
    gather(world, grid, {5, 1, int64_t(world.rank() / 2) * 10}, dpAxis | epAxis,
           tokens);
    EXPECT_EQ((std::vector<int64_t>{0, 0, 10, 10, 20, 20, 30, 30}), tokens);
    bool second = world.rank() >= 4;
    EXPECT_EQ(second ? 50 : 10, sumTokens(world, grid, epAxis, tokens));
    EXPECT_EQ(60, sumTokens(world, grid, dpAxis | epAxis, tokens));
    EXPECT_EQ(120, sumTokens(world, grid, allAxes, tokens));
    EXPECT_EQ(tokens[static_cast<size_t>(world.rank())] * 2,
              sumTokens(world, grid, tpAxis, tokens));
  });
}

TEST(WorldTest, RanksThatRunOtherThings) {
  struct Case {
    RunHeader header; ///< of rank 2
    const char *message;
  };
  const Case cases[] = {
      {{6, 1, 3},
       "rank 0 and rank 2 have different packages: fingerprints "
       "0000000000000005 and 0000000000000006"},
      {{5, -1, 3}, "rank 0 and rank 2 run different functions: '1' and none"},
      {{5, 1, 4},
       "rank 2 and rank 3 must have the same tokens: found 4 and 3"}};
  for (const Case &wrong : cases) {
    Ranks ranks(4);
    ranks.run([&](moe_world &world) {
      std::vector<int64_t> tokens;
      RunHeader header{5, 1, 3};
      moe_status status = guard([&] {
        gather(world, {1, 2, 2}, world.rank() == 2 ? wrong.header : header,
               epAxis, tokens);
      });
      EXPECT_STATUS(MOE_PROGRAM_MISMATCH, status, wrong.message);
      // It stays so.
      EXPECT_STATUS(MOE_PROGRAM_MISMATCH, guard([&] { world.check(); }),
                    wrong.message);
    });
  }
}

TEST(WorldTest, TablesThatMakeNoSense) {
  Ranks ranks(2);
  auto make = [&](const Grid &grid,
                  const std::function<void(Collective &)> &edit) {
    return guard([&] {
      Collective collective = makeCollective(CollectiveKind::allReduce);
      edit(collective);
      Exchange exchange(ranks[0], grid, {collective});
    });
  };
  EXPECT_STATUS(MOE_INVALID_ARGUMENT, make({1, 2, 2}, [](Collective &) {}),
                "the grid dp = 1, ep = 2, tp = 2 has 4 ranks, the world has 2");
  EXPECT_STATUS(MOE_INVALID_ARGUMENT, make({-1, -2, 1}, [](Collective &) {}),
                "the grid dp = -1, ep = -2, tp = 1");
  struct Case {
    std::function<void(Collective &)> edit;
    const char *message;
  };
  const Case cases[] = {
      {[](Collective &c) { c.reduce = MOE_REDUCE_NONE; },
       "collective 0 'test': it reduces by nothing"},
      {[](Collective &c) { c.dtype = MOE_BYTE; }, "bytes cannot be added"},
      {[](Collective &c) { c.row = 0; }, "found a row of 0 elements"},
      {[](Collective &c) { c.places = 0; }, "found 0 places"},
      {[](Collective &c) { c.bound = -1; }, "found the bound -1"},
      {[](Collective &c) { c.kind = CollectiveKind::broadcast, c.root = 2; },
       "the root 2 is not one of 2 members"},
      {[](Collective &c) { c.kind = CollectiveKind::send, c.peer = -1; },
       "the peer -1 is not one of 2 members"}};
  for (const Case &wrong : cases)
    EXPECT_STATUS(MOE_INVALID_ARGUMENT, make({1, 2, 1}, wrong.edit),
                  wrong.message);
}

TEST(WorldTest, CallsThatMakeNoSense) {
  Collective rows = makeCollective(CollectiveKind::allToAllV);
  Collective blocks = makeCollective(CollectiveKind::allToAll);
  Collective self = makeCollective(CollectiveKind::send);
  struct Case {
    int32_t number;
    int64_t rows;
    moe_status status;
    const char *message;
  };
  const Case cases[] = {
      {9, 1, MOE_INVALID_ARGUMENT, "there is no collective 9"},
      {-1, 1, MOE_INVALID_ARGUMENT, "there is no collective -1"},
      {1, -1, MOE_OP_MISMATCH,
       "rank 0: all_to_all 'test' over ep: found -1 rows"}};
  for (const Case &wrong : cases) {
    Ranks ranks(1);
    Exchange exchange(ranks[0], {}, {rows, blocks, self});
    EXPECT_STATUS(wrong.status,
                  exchange.run(wrong.number, nullptr, nullptr, wrong.rows,
                               nullptr, nullptr),
                  wrong.message);
    EXPECT_STATUS(wrong.status, guard([&] { exchange.end(); }), wrong.message);
  }
  Ranks second(1);
  Exchange counts(second[0], {}, {rows});
  EXPECT_STATUS(MOE_INVALID_ARGUMENT,
                counts.run(0, nullptr, nullptr, 0, nullptr, nullptr),
                "'send_counts' is null");
  Ranks third(1);
  Exchange alone(third[0], {}, {self});
  EXPECT_STATUS(MOE_OP_MISMATCH,
                alone.run(0, nullptr, nullptr, 0, nullptr, nullptr),
                "the peer is the rank itself");
  Ranks pair(2);
  pair.run([&](moe_world &world) {
    Exchange exchange = makeExchange(world, blocks);
    float data[4] = {};
    EXPECT_STATUS(MOE_OP_MISMATCH,
                  exchange.run(0, data, data, 3, nullptr, nullptr),
                  "found 3 rows, expected a multiple of 2");
  });
}

TEST(WorldTest, BoundsOfSizes) {
  Ranks ranks(2);
  ranks.run([&](moe_world &world) {
    Collective collective = makeCollective(CollectiveKind::allToAllV);
    collective.mode = Mode::padded;
    collective.bound = 2;
    collective.boundSize = 1;
    Exchange exchange = makeExchange(world, collective);
    int64_t sizes[] = {0, 3};
    exchange.begin(sizes);
    std::vector<int32_t> counts = {6, 6};
    std::vector<float> send(12, 1), receive(12);
    EXPECT_MOE_OK(exchange.run(0, send.data(), receive.data(), 12,
                               counts.data(), counts.data()));
    EXPECT_EQ(send, receive);
    exchange.end();
    int64_t huge[] = {0, INT64_MAX};
    EXPECT_STATUS(MOE_SHAPE_MISMATCH, guard([&] { exchange.begin(huge); }),
                  "the bound 2 * 9223372036854775807 overflows");
  });
}

TEST(WorldTest, NumbersOfRowsAreAskedForOnce) {
  Ranks ranks(2);
  ranks.run([&](moe_world &world) {
    Exchange exchange =
        makeExchange(world, makeCollective(CollectiveKind::allGather, MOE_I32));
    int32_t own = world.rank();
    /// The bytes that this rank sends where its rows all hold its number.
    auto gather = [&](const std::vector<int64_t> *tokens, int64_t rows,
                      const std::vector<int32_t> &expected) {
      std::vector<int32_t> send(size_t(rows), own), all(expected.size());
      uint64_t before = world.statistics().sent_bytes;
      exchange.begin(nullptr, tokens);
      EXPECT_MOE_OK(
          exchange.run(0, send.data(), all.data(), rows, nullptr, nullptr));
      exchange.end();
      EXPECT_EQ(expected, all);
      return world.statistics().sent_bytes - before - uint64_t(4 * rows);
    };
    const std::vector<int64_t> tokens = {1, 2}, others = {3, 2};
    int64_t first = own ? 2 : 1, second = own ? 2 : 3;
    EXPECT_EQ(8u, gather(&tokens, first, {0, 1, 1}));
    EXPECT_EQ(0u, gather(&tokens, first, {0, 1, 1}));
    EXPECT_EQ(8u, gather(&others, second, {0, 0, 0, 1, 1}));
    EXPECT_EQ(8u, gather(&tokens, first, {0, 1, 1}));
    EXPECT_EQ(8u, gather(nullptr, second, {0, 0, 0, 1, 1}));
  });
}

TEST(WorldTest, FlightRecorder) {
  TemporaryFolder folder;
  RanksOptions options;
  options.flight = folder / "flight-%r.json";
  Ranks ranks(2, options);
  ranks.run([&](moe_world &world) {
    Collective sum = makeCollective(CollectiveKind::allReduce);
    Collective barrier = makeCollective(CollectiveKind::barrier);
    sum.name = "parts \"quoted\"";
    sum.axes = epAxis | tpAxis;
    Exchange exchange(world, {1, 2, 1}, {sum, barrier});
    std::vector<float> data(100);
    for (int i = 0; i < 5000; ++i)
      ASSERT_MOE_OK(
          exchange.run(0, data.data(), data.data(), 100, nullptr, nullptr));
    exchange.run(world.rank(), data.data(), data.data(), 100, nullptr, nullptr);
  });
  for (int rank = 0; rank < 2; ++rank) {
    nlohmann::json flight = nlohmann::json::parse(
        readFile(folder / ("flight-" + std::to_string(rank) + ".json")));
    EXPECT_EQ(rank, flight["rank"]);
    EXPECT_EQ(2, flight["size"]);
    EXPECT_EQ("MOE_OP_MISMATCH", flight["status"]);
    EXPECT_NE(std::string::npos, flight["message"].get<std::string>().find(
                                     "rank 1 is at barrier 'test' over ep"));
    const nlohmann::json &operations = flight["operations"];
    ASSERT_EQ(4096u, operations.size());
    EXPECT_EQ(5000 - 4095, operations.front()["sequence"]);
    const nlohmann::json &good = operations[4094], &bad = operations[4095];
    EXPECT_EQ("all_reduce", good["operation"]);
    EXPECT_EQ("parts \"quoted\"", good["name"]);
    EXPECT_EQ((std::vector<std::string>{"ep", "tp"}), good["axes"]);
    EXPECT_EQ(800, good["bytes"]);
    EXPECT_EQ("MOE_OK", good["state"]);
    EXPECT_LE(good["start_ns"], good["end_ns"]);
    EXPECT_LE(good["end_ns"], bad["start_ns"]);
    EXPECT_EQ(5000, bad["sequence"]);
    EXPECT_EQ("MOE_OP_MISMATCH", bad["state"]);
    EXPECT_EQ(0, bad["bytes"]);
  }
  size_t files = 0;
  for ([[maybe_unused]] auto &entry :
       std::filesystem::directory_iterator(folder.path))
    ++files;
  EXPECT_EQ(2u, files);
}

TEST(WorldTest, FlightThatCannotBeWritten) {
  RanksOptions options;
  options.flight = "/nowhere/flight.json";
  Ranks ranks(2, options);
  ranks.run([&](moe_world &world) {
    world.end(MOE_OUT_OF_MEMORY, "no room");
    EXPECT_STATUS(MOE_OUT_OF_MEMORY, guard([&] { world.check(); }),
                  "no room; /nowhere/flight.json: error: ");
  });
}
