//===- HostBlocks.h - Memory of the host that devices reach -----*- C++ -*-===//
//
// Part of moe-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef MOE_LIB_RUNTIME_DEVICE_CUDA_HOSTBLOCKS_H
#define MOE_LIB_RUNTIME_DEVICE_CUDA_HOSTBLOCKS_H

#include "Device.h"

#include <vector>

namespace moe::cuda {

/// Pinned, so that a device copies from there and to there by itself. Making
/// some is slow: blocks are used again and again.
class HostBlocks {
public:
  explicit HostBlocks(const Device &device) : device(device) {}
  HostBlocks(const HostBlocks &) = delete;
  HostBlocks &operator=(const HostBlocks &) = delete;
  ~HostBlocks();

  /// At least so many bytes, until they are given back.
  void *take(int64_t bytes);
  /// Copies that still read it have to end before the next `take`.
  void giveBack(void *block);

private:
  struct Block {
    void *data;
    int64_t bytes;
    bool taken;
  };
  const Device &device;
  std::vector<Block> blocks;
};

} // namespace moe::cuda

#endif // MOE_LIB_RUNTIME_DEVICE_CUDA_HOSTBLOCKS_H
