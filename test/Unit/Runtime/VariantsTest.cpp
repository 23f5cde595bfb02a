//===- VariantsTest.cpp - Code for several CPUs ---------------------------===//
//
// Part of moe-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
// Which variant a layer runs: each one's `step` writes another number.
//
//===----------------------------------------------------------------------===//

#include "Support.h"

#include <algorithm>
#include <cstdlib>
#include <optional>

using namespace moe::test;
using nlohmann::json;

namespace {
template <int mark> void step(const int64_t *, void *const *buffers) {
  *static_cast<float *>(buffers[0]) = mark;
}

/// MOE_CPU as it is wanted, and afterwards as it was.
class CpuVariable {
public:
  CpuVariable() {
    if (const char *value = std::getenv("MOE_CPU"))
      before = value;
    unsetenv("MOE_CPU");
  }
  ~CpuVariable() {
    if (before)
      set(before->c_str());
    else
      unsetenv("MOE_CPU");
  }
  void set(const char *value) { setenv("MOE_CPU", value, 1); }

private:
  std::optional<std::string> before;
};

struct VariantsTest : testing::Test {
  VariantsTest() {
    const moe_function *functions = fake_package.variants[0].functions;
    moe_entry steps[] = {step<0>, step<1>, step<2>, step<3>};
    for (size_t i = 0; i < 4; ++i) {
      std::copy(functions, functions + 4, tables[i]);
      tables[i][1].entry = steps[i];
      code[i] = {cpus[i], tables[i], nullptr, 4};
    }
  }

  /// A package with so many variants that ask for these features.
  EditedPackage make(const std::vector<std::vector<std::string>> &features) {
    EditedPackage made([&](json &m) {
      m["target"]["variants"] = json::array();
      for (size_t i = 0; i < features.size(); ++i)
        m["target"]["variants"].push_back(
            {{"kind", "cpu"}, {"cpu", cpus[i]}, {"features", features[i]}});
    });
    made.package.variants = code;
    made.package.variant_count = uint32_t(features.size());
    return made;
  }

  /// The number that `step` writes, and with it the variant that ran.
  static int ran(const Layer &layer) {
    EXPECT_MOE_OK(moe_layer_run(layer.get(), "step", nullptr, nullptr));
    DLTensor bias;
    EXPECT_MOE_OK(moe_layer_get(layer.get(), "bias", &bias));
    return int(*static_cast<float *>(bias.data));
  }

  static moe_status create(const EditedPackage &from, const char *cpu,
                           Layer &layer) {
    moe_package table = from.package;
    table.manifest = from.manifest.c_str();
    moe_layer *made = nullptr;
    moe_status status = moe_layer_create_for(&table, cpu, &made);
    layer.reset(made);
    if (made)
      setWeights(made);
    return status;
  }

  const char *cpus[4] = {"small", "middle", "large", "future"};
  moe_function tables[4][4];
  moe_variant code[4];
  CpuVariable variable;
  Layer layer;
};
} // namespace

#if defined(__x86_64__)

TEST_F(VariantsTest, TheOneWithTheMostFeaturesRuns) {
  EditedPackage three = make({{"sse2"}, {"sse", "sse2", "cx8"}, {"cx8"}});
  ASSERT_MOE_OK(create(three, nullptr, layer));
  EXPECT_STREQ("middle", moe_layer_cpu(layer.get()));
  EXPECT_EQ(1, ran(layer));
}

TEST_F(VariantsTest, TheFirstOfEqualsRuns) {
  ASSERT_MOE_OK(create(make({{}, {"sse2"}, {"cx8"}}), nullptr, layer));
  EXPECT_EQ(1, ran(layer));
}

TEST_F(VariantsTest, WhatCannotRunIsNotChosen) {
  EditedPackage four =
      make({{}, {"sse2"}, {"sse2", "cx8", "egpr"}, {"a", "b", "c", "d"}});
  ASSERT_MOE_OK(create(four, nullptr, layer));
  EXPECT_EQ(1, ran(layer));
}

TEST_F(VariantsTest, OfACallersChoice) {
  EditedPackage three = make({{}, {"sse2"}, {"sse2", "cx8"}});
  for (int i = 0; i < 3; ++i) {
    ASSERT_MOE_OK(create(three, cpus[i], layer));
    EXPECT_STREQ(cpus[i], moe_layer_cpu(layer.get()));
    EXPECT_EQ(i, ran(layer));
    moe_layer *shared = nullptr;
    ASSERT_MOE_OK(moe_layer_share(layer.get(), &shared));
    EXPECT_EQ(i, ran(Layer(shared)));
  }
}

TEST_F(VariantsTest, OfTheEnvironment) {
  EditedPackage three = make({{}, {"sse2"}, {"sse2", "cx8"}});
  variable.set("middle");
  ASSERT_MOE_OK(create(three, nullptr, layer));
  EXPECT_EQ(1, ran(layer));
  ASSERT_MOE_OK(create(three, "small", layer));
  EXPECT_EQ(0, ran(layer)) << "the caller has the last word";
  variable.set("");
  ASSERT_MOE_OK(create(three, nullptr, layer));
  EXPECT_EQ(2, ran(layer));
}

TEST_F(VariantsTest, UnknownCpu) {
  EditedPackage two = make({{}, {"sse2"}});
  EXPECT_STATUS(MOE_NOT_FOUND, create(two, "midle", layer),
                "'fake' has no code for cpu 'midle'; it has small, middle; did "
                "you mean 'middle'?");
  variable.set("toaster");
  EXPECT_STATUS(MOE_NOT_FOUND, create(two, nullptr, layer),
                "'fake' has no code for cpu 'toaster', which MOE_CPU asks for; "
                "it has small, middle");
  EXPECT_EQ(nullptr, layer);
}

TEST_F(VariantsTest, CpuThatCannotRun) {
  EditedPackage three = make({{}, {"sse2"}, {"sse2", "egpr", "ndd"}});
  EXPECT_STATUS(MOE_CPU_MISMATCH, create(three, "large", layer),
                "'fake' cannot run for cpu 'large': this CPU lacks egpr, ndd; "
                "it runs small, middle");
  variable.set("large");
  EXPECT_STATUS(MOE_CPU_MISMATCH, create(three, nullptr, layer),
                "'fake' cannot run for cpu 'large', which MOE_CPU asks for: "
                "this CPU lacks egpr, ndd; it runs small, middle");
}

TEST_F(VariantsTest, NoneThatRuns) {
  EditedPackage two = make({{"egpr"}, {"sse2", "egpr", "ndd"}});
  EXPECT_STATUS(MOE_CPU_MISMATCH, create(two, nullptr, layer),
                "fake: error: this CPU can run none of its variants, as it "
                "lacks for 'small' egpr; for 'middle' egpr, ndd");
  EXPECT_STATUS(MOE_CPU_MISMATCH, create(two, "small", layer), "none of its");
}

#endif

TEST_F(VariantsTest, TablesInAnotherOrder) {
  EditedPackage two = make({{}, {}});
  std::swap(code[0], code[1]);
  ASSERT_MOE_OK(create(two, "middle", layer));
  EXPECT_EQ(1, ran(layer));
}

TEST_F(VariantsTest, NoLayerHasNoCpu) {
  EXPECT_EQ(nullptr, moe_layer_cpu(nullptr));
  EXPECT_STATUS(MOE_INVALID_ARGUMENT,
                moe_layer_create_for(&fake_package, nullptr, nullptr),
                "'layer' is null");
}
