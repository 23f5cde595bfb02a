//===- Graphs.h - Calls that are recorded once and repeated -----*- C++ -*-===//
//
// Part of moe-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef MOE_LIB_RUNTIME_DEVICE_CUDA_GRAPHS_H
#define MOE_LIB_RUNTIME_DEVICE_CUDA_GRAPHS_H

#include "Device.h"

#include "moe/Runtime/moe.h"

#include <functional>
#include <list>
#include <vector>

namespace moe::cuda {

/// What streams were given by one call.
struct Graph {
  std::vector<int64_t> key; ///< sizes and addresses
  moe_cu_graph_exec exec;
  int64_t number = 0; ///< of its recording, which all ranks make together
  moe_world_statistics moved = {}; ///< among ranks
};

/// Those of one function. A graph has the sizes and addresses of one call, and
/// serves all calls that have the same: what is there may differ.
class Graphs {
public:
  /// The oldest goes where there would be more.
  static constexpr size_t most = 16;

  explicit Graphs(const Device &device) : device(device) {}
  Graphs(const Graphs &) = delete;
  Graphs &operator=(const Graphs &) = delete;
  ~Graphs() { clear(); }

  /// Null if there is none. It stays until another one is recorded.
  Graph *find(const std::vector<int64_t> &key);
  /// One of what `enqueue` puts into the stream, in the place of any with this
  /// key.
  Graph &record(Stream &stream, std::vector<int64_t> key,
                const std::function<void()> &enqueue);
  void launch(Stream &stream, const Graph &graph) const;
  void clear();

private:
  moe_cu_graph_exec capture(Stream &stream,
                            const std::function<void()> &enqueue) const;
  void dropLast(Stream &stream);

  const Device &device;
  std::list<Graph> graphs; // what was used last is first
};

} // namespace moe::cuda

#endif // MOE_LIB_RUNTIME_DEVICE_CUDA_GRAPHS_H
