//===- moe-sim.cpp - Kernels on the simulator -----------------------------===//
//
// Part of moe-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "moe/Sim/Tool.h"

int main(int argc, char **argv) { return moe::simMain(argc, argv); }
