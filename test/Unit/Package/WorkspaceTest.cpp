//===- WorkspaceTest.cpp - Workspaces for several CPUs --------------------===//
//
// Part of moe-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "moe/Package/Package.h"

#include "gtest/gtest.h"

using namespace moe;
using Per = std::vector<std::pair<std::string, int64_t>>;

static Signature function(int64_t constant, Per per) {
  Signature signature;
  signature.name = "forward";
  signature.workspaceConstant = constant;
  signature.workspacePer = std::move(per);
  return signature;
}

static void merge(std::vector<Signature> &merged,
                  const std::vector<Signature> &others) {
  EXPECT_EQ("", llvm::toString(
                    mergeSignatures(merged, others, /*areOfDevice=*/false)));
}

TEST(Workspace, IsEnoughForEach) {
  std::vector<Signature> merged = {function(64, {{"T", 32}}),
                                   function(0, {{"n", 8}, {"m", 4}})};
  merge(merged,
        {function(128, {{"T", 16}}), function(0, {{"m", 12}, {"k", 1}})});
  EXPECT_EQ(128, merged[0].workspaceConstant);
  EXPECT_EQ((Per{{"T", 32}}), merged[0].workspacePer);
  EXPECT_EQ(0, merged[1].workspaceConstant);
  EXPECT_EQ((Per{{"n", 8}, {"m", 12}, {"k", 1}}), merged[1].workspacePer);
  merge(merged, {function(1, {}), function(3, {})});
  EXPECT_EQ(128, merged[0].workspaceConstant);
  EXPECT_EQ(3, merged[1].workspaceConstant);
}

TEST(Workspace, DevicesExchangeOtherThings) {
  auto exchanging = [](const char *kind) {
    Signature signature = function(0, {});
    signature.hasExchange = true;
    signature.collectives.emplace_back().kind = kind;
    return std::vector<Signature>{signature};
  };
  std::vector<Signature> merged = exchanging("all_reduce");
  std::vector<Signature> other = exchanging("reduce_scatter");
  merge(merged, merged);
  EXPECT_NE("", llvm::toString(
                    mergeSignatures(merged, other, /*areOfDevice=*/false)));
  EXPECT_FALSE(merged[0].deviceCollectives);
  EXPECT_EQ(
      "", llvm::toString(mergeSignatures(merged, other, /*areOfDevice=*/true)));
  EXPECT_EQ("all_reduce", merged[0].collectives[0].kind);
  EXPECT_EQ("reduce_scatter", merged[0].deviceCollectives->front().kind);
}

TEST(Workspace, OfFunctionsThatDiffer) {
  std::vector<Signature> merged = {function(64, {})};
  std::vector<Signature> other = {function(64, {})};
  other[0].arguments.emplace_back().name = "x";
  EXPECT_EQ(
      "function 'forward' has other arguments on one target than on "
      "another; expected a package for each target",
      llvm::toString(mergeSignatures(merged, other, /*areOfDevice=*/true)));
}
