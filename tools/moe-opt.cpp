//===- moe-opt.cpp - The compiler and its passes --------------------------===//
//
// Part of moe-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "moe/Driver/Driver.h"

int main(int argc, char **argv) { return moe::optMain(argc, argv); }
