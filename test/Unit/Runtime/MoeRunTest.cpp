//===- MoeRunTest.cpp - moe-run from end to end ---------------------------===//
//
// Part of moe-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
// The tool's main, called with arguments.
//
//===----------------------------------------------------------------------===//

#include "MoeRun.h"
#include "Run/Npy.h"

namespace fs = std::filesystem;
using namespace moe::test;
using moe::run::Array;
using moe::run::DType;
using moe::run::readNpy;
using moe::run::writeNpy;
using nlohmann::json;

namespace {
struct MoeRunTest : MoeRun {
  MoeRunTest() { makePackage(folder.path / "p"); }
};
} // namespace

TEST_F(MoeRunTest, Help) {
  EXPECT_EQ(0, run({"--help"}));
  EXPECT_NE(out.find("examples:"), std::string::npos);
  EXPECT_EQ(0, run({"-h"}));
}

TEST_F(MoeRunTest, Table) {
  EXPECT_EQ(0, run({"p", "--tokens", "12"})) << err;
  EXPECT_NE(out.find("outputs.y.type"), std::string::npos) << out;
  EXPECT_NE(out.find("f32 [12, 4]"), std::string::npos) << out;
  EXPECT_EQ("", err);
}

TEST_F(MoeRunTest, Json) {
  json report = runJson({"p", "--tokens=12"});
  EXPECT_EQ("fake", report["package"]);
  EXPECT_EQ("plain", report["cpu"]);
  EXPECT_EQ("plain", runJson({"p", "--cpu", "plain"})["cpu"]);
  EXPECT_EQ(12, report["sizes"]["T"]);
  EXPECT_EQ(12, report["statistics"]["routed"]);
  EXPECT_EQ(4, report["statistics"]["dropped"]);
  EXPECT_EQ((std::vector<int>{8, 8, 8}), report["statistics"]["loads"]);
}

TEST_F(MoeRunTest, NoTokens) {
  json report = runJson({"p", "--tokens", "0"});
  EXPECT_EQ(0, report["statistics"]["tokens"]);
}

TEST_F(MoeRunTest, SameSeedSameResult) {
  json one = runJson({"p", "--random", "5"});
  EXPECT_EQ(one["outputs"], runJson({"p", "--random", "5"})["outputs"]);
  EXPECT_NE(one["outputs"], runJson({"p", "--random", "6"})["outputs"]);
  EXPECT_EQ(one["outputs"],
            runJson({"p", "--random", "5", "--threads", "3"})["outputs"]);
}

TEST_F(MoeRunTest, FilesInAndOut) {
  Array x(DType::f32, {3, 4});
  for (int64_t i = 0; i < 12; ++i)
    x.set(i, double(i));
  writeNpy(folder / "x.npy", x);
  json report = runJson({"p", "--input", folder / "x.npy", "--output",
                         folder / "y.npy", "--get", "bias=" + folder / "b.npy",
                         "--get", "indices=" + folder / "i.npy",
                         "--save-weights", folder / "w.safetensors"});
  EXPECT_EQ(3, report["sizes"]["T"]);
  Array y = readNpy(folder / "y.npy");
  EXPECT_EQ((std::vector<int64_t>{3, 4}), y.shape);
  // x[0] = 0, so the first value is bias[0].
  EXPECT_EQ(readNpy(folder / "b.npy").get(0), y.get(0));
  EXPECT_EQ(2, readNpy(folder / "i.npy").get(5 - 2));
  EXPECT_EQ(report["outputs"],
            runJson({"p", "--set", "x=" + folder / "x.npy", "--weights",
                     folder / "w.safetensors"})["outputs"]);
}

TEST_F(MoeRunTest, InputsAreConverted) {
  Array x(DType::f64, {1, 4});
  writeNpy(folder / "x.npy", x);
  EXPECT_EQ(0, run({"p", "--input", folder / "x.npy"})) << err;
  writeNpy(folder / "x.npy", Array(DType::i32, {1, 4}));
  expectError({"p", "--input", folder / "x.npy"},
              "'x' is i32 and cannot become f32");
}

TEST_F(MoeRunTest, ExactInputsAreEighths) {
  EXPECT_EQ(0, run({"p", "--exact", "3", "--tokens", "50", "--output",
                    folder / "y.npy", "--get", "bias=" + folder / "b.npy",
                    "--get", "scale.weight=" + folder / "s.npy"}))
      << err;
  Array y = readNpy(folder / "y.npy"), bias = readNpy(folder / "b.npy"),
        scale = readNpy(folder / "s.npy");
  for (int64_t i = 0; i < y.count(); ++i) {
    if (scale.get(i % 4) == 0)
      continue;
    double eighths = (y.get(i) - bias.get(0)) / scale.get(i % 4) * 8;
    ASSERT_EQ(std::int64_t(eighths), eighths);
    ASSERT_LE(std::abs(eighths), 8);
  }
}

TEST_F(MoeRunTest, DumpPlan) {
  EXPECT_EQ(0, run({"p", "--tokens", "4", "--dump-plan", folder / "plan"}))
      << err;
  for (const char *name : {"indices", "weights", "offsets", "counts",
                           "imbalance", "status", "clock"})
    EXPECT_TRUE(
        fs::exists(folder.path / "plan" / (std::string(name) + ".npy")));
  EXPECT_EQ(4, readNpy(folder / "plan/indices.npy").shape[0]);
}

TEST_F(MoeRunTest, OtherFunctions) {
  Array values(DType::f32, {5});
  writeNpy(folder / "v.npy", values);
  json report = runJson({"p", "--function", "quantize", "--set",
                         "values=" + folder / "v.npy", "--get",
                         "data=" + folder / "d.npy", "--get",
                         "twice=" + folder / "t.npy"});
  EXPECT_EQ(5, report["sizes"]["n"]);
  EXPECT_EQ(3, readNpy(folder / "d.npy").count());
  EXPECT_EQ(10, readNpy(folder / "t.npy").count());
  report = runJson({"p", "--function", "pair", "--size", "n=3", "--size=m=2"});
  EXPECT_EQ("f64 [3]", report["outputs"]["half"]["type"]);
  EXPECT_EQ(0, run({"p", "--function", "step"})) << err;
}

TEST_F(MoeRunTest, Bench) {
  json report = runJson({"p", "--bench"});
  EXPECT_GE(report["bench"]["runs"], 10);
  EXPECT_GT(report["bench"]["tokens_per_second"], 0);
  EXPECT_GT(report["bench"]["gflop_per_second"], 0);
}

TEST_F(MoeRunTest, AgainstAnEqualPackage) {
  makePackage(folder.path / "q");
  json report = runJson({"p", "--against", "q", "--tokens", "9"})["against"];
  EXPECT_EQ(true, report["agree"]);
  EXPECT_EQ(true, report["indices_equal"]);
  EXPECT_EQ(18, report["slots"]);
  EXPECT_EQ(0, report["outputs"]["y"]["relative_error"]);
  EXPECT_EQ(0, run({"p", "--against", "q", "--tokens", "0"})) << err;
}

TEST_F(MoeRunTest, AgainstAnotherResult) {
  makePackage(folder.path / "q", "fake_rough");
  json report = runJson({"p", "--against", "q"}, 1)["against"];
  EXPECT_EQ(false, report["agree"]);
  EXPECT_EQ(0, report["slots_differing"]);
  EXPECT_NEAR(0.01, report["outputs"]["y"]["largest_error"], 1e-6);
  EXPECT_NEAR(4e-7 * std::sqrt(8.0), report["outputs"]["y"]["bound"], 1e-12);
}

TEST_F(MoeRunTest, AgainstAnotherRouting) {
  makePackage(folder.path / "q", "fake_routing");
  json report = runJson({"p", "--against", "q", "--tokens", "7"}, 1)["against"];
  EXPECT_EQ(false, report["indices_equal"]);
  EXPECT_EQ(14, report["slots_differing"]);
  EXPECT_EQ(true, report["outputs"]["y"]["within_bound"]);
}

TEST_F(MoeRunTest, Errors) {
  expectError({}, "expected the directory of a package");
  expectError({"p", "q"}, "expected one package");
  expectError({"p", "--tokns", "3"},
              "unknown option '--tokns'; did you mean '--tokens'?");
  expectError({"p", "--completely-different"}, "see --help");
  expectError({"p", "--tokens"}, "--tokens expects a value");
  expectError({"p", "--tokens", "many"},
              "--tokens expects a number, found 'many'");
  expectError({"p", "--tokens=-1"}, "--tokens expects a number, found '-1'");
  expectError({"p", "--json=1"}, "--json takes no value");
  expectError({"p", "--set", "x"}, "--set expects NAME=VALUE, found 'x'");
  expectError({"p", "--weights", "w", "--random", "1"}, "exclude one another");
  expectError({"n"}, "no such directory (MOE_NOT_FOUND)");
  expectError({"p", "--cpu", "plane"},
              "'fake' has no code for cpu 'plane'; it has plain; did you mean "
              "'plain'? (MOE_NOT_FOUND)");
  expectError({"p", "--cpu="}, "--cpu expects a value");
  expectError({"p", "--function", "backward"},
              "no function 'backward'; it has forward, step, quantize, pair");
  expectError({"p", "--function", "step", "--input", "x.npy"},
              "'step' has no input for --input");
  expectError({"p", "--function", "step", "--output", "y.npy"},
              "'step' has no output for --output");
  expectError({"p", "--token-ids", "x.npy"},
              "'forward' has no input 'token_ids'");
  expectError({"p", "--size", "n=3"}, "'forward' has no size 'n'");
  writeNpy(folder / "t.npy", Array(DType::f32, {2, 4}));
  expectError({"p", "--input", folder / "t.npy", "--tokens", "3"},
              "'x' has T = 2, not 3");
  expectError({"p", "--input", "none.npy"}, "none.npy: error: No such file");
  expectError({"p", "--weights", "none.safetensors"}, "(MOE_NOT_FOUND)");
  expectError({"p", "--get", "nothing=x.npy"}, "has no tensor 'nothing'");
  expectError({"p", "--output", "/nonexistent/y.npy"}, "cannot be written");
  expectError({"p", "--dump-plan", "/dev/null/plan"}, "/dev/null/plan: error");
  expectError({"p", "--tokens", "999999999999999999"}, "too large");
  writeNpy(folder / "x.npy", Array(DType::f32, {2, 3}));
  expectError({"p", "--input", folder / "x.npy"}, "(MOE_SHAPE_MISMATCH)");
}

TEST_F(MoeRunTest, NotFiniteIsAnError) {
  Array x(DType::f32, {2, 4});
  x.set(4, 1.0 / 0.0);
  writeNpy(folder / "x.npy", x);
  EXPECT_EQ(1, run({"p", "--input", folder / "x.npy", "--output",
                    folder / "y.npy", "--get", "status=" + folder / "s.npy",
                    "--dump-plan", folder / "plan"}));
  EXPECT_EQ("moe-run: error: function 'forward': token 1 is not finite "
            "(MOE_NOT_FINITE)\n",
            err);
  // What was asked for is there all the same.
  EXPECT_NE(out.find("outputs.y.norm"), std::string::npos) << out;
  EXPECT_EQ((std::vector<int64_t>{2, 4}), readNpy(folder / "y.npy").shape);
  EXPECT_EQ(2, readNpy(folder / "s.npy").get(0));
  EXPECT_TRUE(fs::exists(folder / "plan/indices.npy"));
}
