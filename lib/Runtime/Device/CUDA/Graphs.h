//===- Graphs.h - Calls that are recorded once and repeated -----*- C++ -*-===//
//
// Part of moe-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef MOE_LIB_RUNTIME_DEVICE_CUDA_GRAPHS_H
#define MOE_LIB_RUNTIME_DEVICE_CUDA_GRAPHS_H

#include "Device.h"

#include <functional>
#include <list>
#include <vector>

namespace moe::cuda {

/// Those of one function. A graph has the sizes and addresses of one call, and
/// serves all calls that have the same: what is there may differ.
class Graphs {
public:
  /// The oldest goes where there would be more.
  static constexpr size_t most = 16;
  using Key = std::vector<int64_t>;

  explicit Graphs(const Device &device) : device(device) {}
  Graphs(const Graphs &) = delete;
  Graphs &operator=(const Graphs &) = delete;
  ~Graphs() { clear(); }

  /// Puts what `enqueue` puts into the stream there, by a graph, which is made
  /// of it where there is none for the key.
  void launch(Stream &stream, const Key &key,
              const std::function<void()> &enqueue);
  void clear();

private:
  struct Entry {
    Key key;
    moe_cu_graph_exec exec;
  };
  moe_cu_graph_exec record(Stream &stream,
                           const std::function<void()> &enqueue) const;

  const Device &device;
  std::list<Entry> entries; // what was used last is first
};

} // namespace moe::cuda

#endif // MOE_LIB_RUNTIME_DEVICE_CUDA_GRAPHS_H
