//===- Report.h - What the simulator has found wrong ------------*- C++ -*-===//
//
// Part of moe-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef MOE_LIB_SIM_MACHINE_REPORT_H
#define MOE_LIB_SIM_MACHINE_REPORT_H

#include <sstream>
#include <string>

namespace moe::sim {

enum class Fault {
  OutOfBounds,
  Misaligned,
  Freed,
  Unwritten,
  Race,
  Overlap,
  InFlight,
  Deadlock,
  Barrier,
  Divergence,
  Mbarrier,
  ProxyFence,
  Argument,
  Trap,
};

/// As in the first line of a report.
const char *name(Fault fault);
/// The status that the driver gives for it.
int status(Fault fault);

/// The parts, one after the other.
template <typename... Parts> std::string text(const Parts &...parts) {
  std::ostringstream out;
  (out << ... << parts);
  return out.str();
}

/// Thrown where a launch has failed. It gets as far as the kernel, whose frames
/// nothing can unwind, and from there the fiber is left.
struct Stopped {};

struct Report {
  Fault fault;
  std::string text;
};

} // namespace moe::sim

#endif // MOE_LIB_SIM_MACHINE_REPORT_H
