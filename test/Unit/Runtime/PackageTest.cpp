//===- PackageTest.cpp - Opening packages ---------------------------------===//
//
// Part of moe-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
// What makes a folder a package, and each reason to refuse one.
//
//===----------------------------------------------------------------------===//

#include "Support.h"

using namespace moe::test;
using nlohmann::json;

namespace {
struct PackageTest : testing::Test {
  moe_status open(const std::string &name = "p") {
    package = nullptr;
    return moe_package_open((folder / name).c_str(), &package);
  }
  void make(const std::string &library = "fake",
            const std::function<void(json &)> &edit = nullptr) {
    if (!edit)
      return makePackage(folder.path / "p", library);
    makePackage(folder.path / "p", library, EditedPackage(edit).manifest);
  }
  TemporaryFolder folder;
  const moe_package *package = nullptr;
};
} // namespace

TEST_F(PackageTest, OpensAndRuns) {
  make();
  ASSERT_MOE_OK(open());
  EXPECT_STREQ(fake_package.manifest, moe_package_manifest(package));
  Layer layer = makeLayer(package);
  EXPECT_MOE_OK(forward(layer.get(), 3));
  layer.reset();
  EXPECT_MOE_OK(moe_package_close(package));
  EXPECT_STATUS(MOE_INVALID_ARGUMENT, moe_package_close(package), "not open");
}

TEST_F(PackageTest, CodeStaysWhileALayerUsesIt) {
  make();
  ASSERT_MOE_OK(open());
  Layer layer = makeLayer(package);
  EXPECT_MOE_OK(moe_package_close(package));
  EXPECT_MOE_OK(forward(layer.get(), 2));
}

TEST_F(PackageTest, OpensTwice) {
  make();
  ASSERT_MOE_OK(open());
  const moe_package *first = package;
  ASSERT_MOE_OK(open());
  EXPECT_EQ(first, package);
  EXPECT_MOE_OK(moe_package_close(package));
  EXPECT_MOE_OK(forward(makeLayer(package).get(), 1));
  EXPECT_MOE_OK(moe_package_close(package));
}

TEST_F(PackageTest, TrailingSpaceInTheManifestIsNoDifference) {
  makePackage(folder.path / "p", "fake",
              std::string(fake_package.manifest) + "\n\n");
  EXPECT_MOE_OK(open());
  EXPECT_MOE_OK(moe_package_close(package));
}

TEST_F(PackageTest, OtherJsonFilesDoNotMatter) {
  make();
  folder.write("p/config.json", "{\"model_type\": \"other\"}");
  EXPECT_MOE_OK(open());
  EXPECT_MOE_OK(moe_package_close(package));
}

TEST_F(PackageTest, NullArguments) {
  EXPECT_STATUS(MOE_INVALID_ARGUMENT, moe_package_open(nullptr, &package),
                "'directory' is null");
  EXPECT_STATUS(MOE_INVALID_ARGUMENT, moe_package_open("x", nullptr),
                "'package' is null");
  EXPECT_STATUS(MOE_INVALID_ARGUMENT, moe_package_close(nullptr), "is null");
  EXPECT_EQ(nullptr, moe_package_manifest(nullptr));
}

TEST_F(PackageTest, NoFolder) {
  EXPECT_STATUS(MOE_NOT_FOUND, open("nowhere"), "no such directory");
  EXPECT_EQ(nullptr, package);
}

TEST_F(PackageTest, FolderIsAFile) {
  folder.write("p", "");
  EXPECT_STATUS(MOE_IO, open(), "Not a directory");
}

TEST_F(PackageTest, NoManifest) {
  folder.write("p/a.json", "{}");
  EXPECT_STATUS(MOE_NOT_FOUND, open(), "expected a package");
}

TEST_F(PackageTest, TwoManifests) {
  make();
  folder.write("p/second.json", "{\"moe_package\": 1}");
  EXPECT_STATUS(MOE_INVALID_ARGUMENT, open(),
                "expected one package, found fake.json and second.json");
}

TEST_F(PackageTest, NoLibrary) {
  make("");
  EXPECT_STATUS(MOE_NOT_FOUND, open(), "libfake.so: error: no such file");
}

TEST_F(PackageTest, LibraryIsNoLibrary) {
  make("");
  folder.write("p/libfake.so", "not ELF at all");
  EXPECT_STATUS(MOE_IO, open(), "libfake.so");
}

TEST_F(PackageTest, OtherAbiInTheManifest) {
  make("", [](json &m) { m["abi"] = 1; });
  EXPECT_STATUS(MOE_ABI_MISMATCH, open(),
                "made for interface version 1, but this runtime has version 5");
}

TEST_F(PackageTest, OtherFormat) {
  // A manifest of another format need not have anything else we know.
  makePackage(folder.path / "p", "", "{\"moe_package\": 3, \"abi\": 1}");
  EXPECT_STATUS(MOE_ABI_MISMATCH, open(),
                "manifest format 3, but this runtime reads format 1");
}

TEST_F(PackageTest, OtherAbiInTheLibrary) {
  make("fake_abi");
  EXPECT_STATUS(MOE_ABI_MISMATCH, open(),
                "libfake.so: error: made for interface version 7");
}

TEST_F(PackageTest, NoSymbol) {
  make("fake_nameless");
  EXPECT_STATUS(MOE_BAD_FILE, open(), "there is no symbol 'fake_package'");
}

TEST_F(PackageTest, FewerFunctions) {
  make("fake_short");
  EXPECT_STATUS(MOE_BAD_FILE, open(), "expected 4 functions, found 3");
}

TEST_F(PackageTest, CodeForAnotherCpu) {
  make("fake_cpu");
  EXPECT_STATUS(MOE_BAD_FILE, open(), "there is no code for cpu 'plain'");
}

TEST_F(PackageTest, OtherManifestInTheLibrary) {
  make("fake_manifest");
  EXPECT_STATUS(MOE_BAD_FILE, open(), "its manifest is not that of");
}

TEST_F(PackageTest, MissingCpuFeatureIsFoundBeforeLoading) {
  make("", [](json &m) {
    m["target"]["variants"][0]["features"] = {"not-a-feature", "nor-this"};
  });
  EXPECT_STATUS(MOE_CPU_MISMATCH, open(),
                "this CPU lacks not-a-feature, nor-this");
}

TEST_F(PackageTest, OtherArchitecture) {
  make("", [](json &m) { m["target"]["triple"] = "m68k-unknown-linux"; });
  EXPECT_STATUS(MOE_CPU_MISMATCH, open(), "made for m68k");
}

#if defined(__x86_64__)
TEST_F(PackageTest, FeaturesAgreeWithTheCompilersOwnCheck) {
  auto has = [&](const char *feature) {
    EditedPackage edited([&](json &m) {
      m["target"]["triple"] = "x86_64-pc-linux-gnu";
      m["target"]["variants"][0]["features"] = {std::string("+") + feature};
    });
    moe_layer *layer = nullptr;
    moe_status status = moe_layer_create(&edited.package, &layer);
    moe_layer_destroy(layer);
    EXPECT_TRUE(status == MOE_OK || status == MOE_CPU_MISMATCH);
    return status == MOE_OK;
  };
#define EXPECT_FEATURE(name)                                                   \
  EXPECT_EQ(__builtin_cpu_supports(name) != 0, has(name)) << name
  EXPECT_FEATURE("sse2");
  EXPECT_FEATURE("sse4.2");
  EXPECT_FEATURE("popcnt");
  EXPECT_FEATURE("avx");
  EXPECT_FEATURE("avx2");
  EXPECT_FEATURE("fma");
  EXPECT_FEATURE("bmi2");
  EXPECT_FEATURE("avx512f");
  EXPECT_FEATURE("avx512bw");
  EXPECT_FEATURE("avx512vl");
  EXPECT_FEATURE("avx512vnni");
  EXPECT_FEATURE("avx512vbmi2");
  EXPECT_FEATURE("avx512bf16");
  EXPECT_FEATURE("xop");
#undef EXPECT_FEATURE
  EXPECT_TRUE(has("64bit"));
}
#endif

TEST_F(PackageTest, LinkedPackagesPassTheSameChecks) {
  moe_layer *layer = nullptr;
  EditedPackage wrong;
  wrong.package.abi_version = 99;
  EXPECT_STATUS(MOE_ABI_MISMATCH, moe_layer_create(&wrong.package, &layer),
                "made for interface version 99");
  wrong = EditedPackage();
  wrong.package.manifest = nullptr;
  EXPECT_STATUS(MOE_BAD_FILE, moe_layer_create(&wrong.package, &layer),
                "expected a manifest");
  wrong = EditedPackage();
  wrong.package.manifest = wrong.manifest.c_str();
  moe_variant variant = fake_package.variants[0];
  wrong.package.variants = &variant;
  variant.function_count = 2;
  EXPECT_STATUS(MOE_BAD_FILE, moe_layer_create(&wrong.package, &layer),
                "expected 4 functions, found 2");
  const moe_function *functions = fake_package.variants[0].functions;
  moe_function other[] = {
      functions[0], {"step", nullptr}, functions[2], functions[3]};
  variant = {"plain", other, nullptr, 4};
  EXPECT_STATUS(MOE_BAD_FILE, moe_layer_create(&wrong.package, &layer),
                "there is no function 'step'");
  variant.functions = nullptr;
  EXPECT_STATUS(MOE_BAD_FILE, moe_layer_create(&wrong.package, &layer),
                "expected 4 functions, found 0");
  variant = {nullptr, functions, nullptr, 4};
  EXPECT_STATUS(MOE_BAD_FILE, moe_layer_create(&wrong.package, &layer),
                "there is no code for cpu 'plain'");
  wrong.package.variant_count = 2;
  EXPECT_STATUS(MOE_BAD_FILE, moe_layer_create(&wrong.package, &layer),
                "expected 1 variants, found 2");
  wrong.package.variants = nullptr;
  EXPECT_STATUS(MOE_BAD_FILE, moe_layer_create(&wrong.package, &layer),
                "expected 1 variants, found 0");
  EXPECT_EQ(nullptr, layer);
}
