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

TEST(Workspace, IsEnoughForEach) {
  std::vector<Signature> merged = {function(64, {{"T", 32}}),
                                   function(0, {{"n", 8}, {"m", 4}})};
  mergeWorkspaces(
      merged, {function(128, {{"T", 16}}), function(0, {{"m", 12}, {"k", 1}})});
  EXPECT_EQ(128, merged[0].workspaceConstant);
  EXPECT_EQ((Per{{"T", 32}}), merged[0].workspacePer);
  EXPECT_EQ(0, merged[1].workspaceConstant);
  EXPECT_EQ((Per{{"n", 8}, {"m", 12}, {"k", 1}}), merged[1].workspacePer);
  mergeWorkspaces(merged, {function(1, {}), function(3, {})});
  EXPECT_EQ(128, merged[0].workspaceConstant);
  EXPECT_EQ(3, merged[1].workspaceConstant);
}
