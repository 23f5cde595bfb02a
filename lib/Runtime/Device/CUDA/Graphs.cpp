//===- Graphs.cpp - Calls that are recorded once and repeated -------------===//
//
// Part of moe-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Graphs.h"

#include <algorithm>

namespace moe::cuda {

void Graphs::clear() {
  device.giveBack([&] {
    for (const Graph &graph : graphs)
      device.driver.GraphExecDestroy(graph.exec);
  });
  graphs.clear();
}

Graph *Graphs::find(const std::vector<int64_t> &key) {
  auto found =
      std::find_if(graphs.begin(), graphs.end(),
                   [&](const Graph &graph) { return graph.key == key; });
  if (found == graphs.end())
    return nullptr;
  graphs.splice(graphs.begin(), graphs, found);
  return &graphs.front();
}

moe_cu_graph_exec Graphs::capture(Stream &stream,
                                  const std::function<void()> &enqueue) const {
  const Driver &driver = device.driver;
  check(driver,
        driver.StreamBeginCapture(stream.handle(), MOE_CU_CAPTURE_RELAXED),
        "cuStreamBeginCapture");
  moe_cu_graph graph = nullptr;
  try {
    enqueue();
  } catch (...) {
    if (!driver.StreamEndCapture(stream.handle(), &graph) && graph)
      driver.GraphDestroy(graph);
    throw;
  }
  check(driver, driver.StreamEndCapture(stream.handle(), &graph),
        "cuStreamEndCapture");
  moe_cu_graph_exec exec = nullptr;
  moe_cu_result result = driver.GraphInstantiate(&exec, graph, 0);
  driver.GraphDestroy(graph);
  check(driver, result, "cuGraphInstantiate");
  return exec;
}

void Graphs::dropLast(Stream &stream) {
  // It may still run.
  stream.wait();
  device.driver.GraphExecDestroy(graphs.back().exec);
  graphs.pop_back();
}

Graph &Graphs::record(Stream &stream, std::vector<int64_t> key,
                      const std::function<void()> &enqueue) {
  moe_cu_graph_exec exec = capture(stream, enqueue);
  if (find(key)) {
    graphs.splice(graphs.end(), graphs, graphs.begin());
    dropLast(stream);
  }
  graphs.push_front({std::move(key), exec});
  if (graphs.size() > most)
    dropLast(stream);
  return graphs.front();
}

void Graphs::launch(Stream &stream, const Graph &graph) const {
  check(device.driver, device.driver.GraphLaunch(graph.exec, stream.handle()),
        "cuGraphLaunch");
}

} // namespace moe::cuda
