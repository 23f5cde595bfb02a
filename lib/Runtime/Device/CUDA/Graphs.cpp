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
    for (const Entry &entry : entries)
      device.driver.GraphExecDestroy(entry.exec);
  });
  entries.clear();
}

moe_cu_graph_exec Graphs::record(Stream &stream,
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

void Graphs::launch(Stream &stream, const Key &key,
                    const std::function<void()> &enqueue) {
  auto found =
      std::find_if(entries.begin(), entries.end(),
                   [&](const Entry &entry) { return entry.key == key; });
  if (found != entries.end()) {
    entries.splice(entries.begin(), entries, found);
  } else {
    entries.push_front({key, record(stream, enqueue)});
    if (entries.size() > most) {
      // It may still run.
      stream.wait();
      device.driver.GraphExecDestroy(entries.back().exec);
      entries.pop_back();
    }
  }
  check(device.driver,
        device.driver.GraphLaunch(entries.front().exec, stream.handle()),
        "cuGraphLaunch");
}

} // namespace moe::cuda
