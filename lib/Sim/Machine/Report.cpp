//===- Report.cpp - What the simulator has found wrong --------------------===//
//
// Part of moe-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Report.h"

using namespace moe::sim;

const char *moe::sim::name(Fault fault) {
  switch (fault) {
  case Fault::OutOfBounds:
    return "out of bounds";
  case Fault::Misaligned:
    return "misaligned access";
  case Fault::Freed:
    return "use after free";
  case Fault::Unwritten:
    return "read of unwritten memory";
  case Fault::Race:
    return "data race";
  case Fault::Overlap:
    return "overlapping stores";
  case Fault::InFlight:
    return "access before a copy has been waited for";
  case Fault::Deadlock:
    return "deadlock";
  case Fault::Barrier:
    return "wrong barrier";
  case Fault::Divergence:
    return "divergent threads";
  case Fault::Mbarrier:
    return "wrong mbarrier";
  case Fault::ProxyFence:
    return "missing proxy fence";
  case Fault::Argument:
    return "wrong operand";
  case Fault::Trap:
    return "trap";
  }
  return "";
}

int moe::sim::status(Fault fault) {
  enum { IllegalAddress = 700, Assert = 710, Misaligned = 716, Failed = 719 };
  switch (fault) {
  case Fault::OutOfBounds:
  case Fault::Freed:
    return IllegalAddress;
  case Fault::Misaligned:
    return Misaligned;
  case Fault::Trap:
    return Assert;
  default:
    return Failed;
  }
}
