//===- Graphs.h - What streams were given while they were recorded -*- C++ -*-//
//
// Part of moe-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef MOE_LIB_SIM_DRIVER_GRAPHS_H
#define MOE_LIB_SIM_DRIVER_GRAPHS_H

#include <functional>
#include <vector>

namespace moe::sim {

struct Stream;

/// One piece of work. Events are numbers: each launch has its own.
struct Step {
  std::function<int()> perform;
  int marks = -1, waitsFor = -1;
  std::function<bool()> isReady = nullptr;
};

/// What each stream was given, that of the beginning first.
struct Graph {
  std::vector<std::vector<Step>> sequences;
  int events = 0;
};

/// While a graph is recorded.
struct Capture {
  Graph graph;
  std::vector<Stream *> streams; // of the sequences
  bool isGlobal;                 // nobody may allocate meanwhile
  bool isInvalid = false;
};

struct GraphExec {
  Graph graph;
  std::vector<Stream *> streams; // of the sequences after the first
};

} // namespace moe::sim

#endif // MOE_LIB_SIM_DRIVER_GRAPHS_H
