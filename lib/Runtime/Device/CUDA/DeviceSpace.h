//===- DeviceSpace.h - Rows of exchanges on a device ------------*- C++ -*-===//
//
// Part of moe-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Everything is put into the layer's stream. Engines that know streams move
// rows from device to device; for the others they pass through the host, which
// then waits for the kernels before.
//
//===----------------------------------------------------------------------===//

#ifndef MOE_LIB_RUNTIME_DEVICE_CUDA_DEVICESPACE_H
#define MOE_LIB_RUNTIME_DEVICE_CUDA_DEVICESPACE_H

#include "HostBlocks.h"
#include "Kernels.h"

#include "../../Collective/Space.h"

namespace moe::runtime {

class DeviceSpace final : public Space {
public:
  DeviceSpace(moe_world &world, const cuda::Device &device,
              cuda::Stream &stream)
      : world(world), device(device), stream(stream), blocks(device) {}

  /// While it lives, exchanges are among these launches.
  class Use {
  public:
    Use(DeviceSpace &space, cuda::Launches &launches) : space(space) {
      space.launches = &launches;
    }
    Use(const Use &) = delete;
    Use &operator=(const Use &) = delete;
    ~Use() { space.launches = nullptr; }

  private:
    DeviceSpace &space;
  };

  /// Where its memory is, for whoever records what is done with it.
  void addAddresses(std::vector<int64_t> &to) const;

  bool isOfDevice() const override { return true; }
  void copy(void *to, const void *from, int64_t size) override;
  void clear(void *to, int64_t size) override;
  char *scratch(size_t which, int64_t size) override;
  const int32_t *read(const int32_t *counts, size_t count,
                      Buffer &buffer) override;
  void start(const Operation &operation, Group &group,
             const std::vector<moe_piece> &send,
             const std::vector<moe_piece> &receive, Moving &moving) override;
  void finish(const Operation &operation, Moving &moving) override;

private:
  void stage(const Group &group, const std::vector<moe_piece> &send,
             const std::vector<moe_piece> &receive, Moving &moving);

  moe_world &world;
  const cuda::Device &device;
  cuda::Stream &stream;
  cuda::Launches *launches = nullptr;
  cuda::Memory memory[3];
  cuda::HostBlocks blocks; // that rows pass through
};

} // namespace moe::runtime

#endif // MOE_LIB_RUNTIME_DEVICE_CUDA_DEVICESPACE_H
