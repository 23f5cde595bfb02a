//===- HostBlocks.cpp - Memory of the host that devices reach -------------===//
//
// Part of moe-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "HostBlocks.h"

#include "../../Status.h"

#include <algorithm>

namespace moe::cuda {

HostBlocks::~HostBlocks() {
  device.giveBack([&] {
    for (const Block &block : blocks)
      device.driver.MemFreeHost(block.data);
  });
}

void *HostBlocks::take(int64_t bytes) {
  auto fits = [&](const Block &block) {
    return !block.taken && block.bytes >= bytes;
  };
  auto found = std::find_if(blocks.begin(), blocks.end(), fits);
  if (found == blocks.end()) {
    // Powers of two, so that blocks fit again.
    int64_t size = 1 << 12;
    while (size < bytes)
      size *= 2;
    void *data = nullptr;
    moe_cu_result result =
        device.driver.MemHostAlloc(&data, size_t(size), /*flags=*/0);
    if (result == MOE_CU_OUT_OF_MEMORY)
      runtime::fail(MOE_OUT_OF_MEMORY, "out of pinned memory of the host for ",
                    size, " bytes");
    check(device.driver, result, "cuMemHostAlloc");
    found = blocks.insert(blocks.end(), {data, size, false});
  }
  found->taken = true;
  return found->data;
}

void HostBlocks::giveBack(void *data) {
  for (Block &block : blocks)
    if (block.data == data)
      block.taken = false;
}

} // namespace moe::cuda
