//===- moe-run.cpp - Runs a package ---------------------------------------===//
//
// Part of moe-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
// The logic is in lib/Run.
//
//===----------------------------------------------------------------------===//

#include "../lib/Run/Run.h"

#include <iostream>

int main(int argc, char **argv) {
  return moe::run::runMain(argc, argv, std::cout, std::cerr);
}
