//===- Registers.cpp - Special registers ----------------------------------===//
//
// Part of moe-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Calls.h"

#include "../Machine/Cluster.h"

using namespace moe::sim;

static uint32_t part(Dim3 d, uint32_t which) {
  return which == 0 ? d.x : which == 1 ? d.y : d.z;
}

MOE_SIM_CALL uint32_t moe_sim_register(uint32_t number) {
  const Thread &thread = self();
  const Block &block = *thread.block;
  const Launch &launch = block.cluster->launch;
  Dim3 clusters = {launch.grid.x / launch.cluster.x,
                   launch.grid.y / launch.cluster.y,
                   launch.grid.z / launch.cluster.z};
  uint32_t xyz = number % 3;
  uint32_t bit = 1u << thread.lane;
  switch (static_cast<Register>(number)) {
  case Register::TidX:
  case Register::TidY:
  case Register::TidZ:
    return part(launch.block.at(thread.index), xyz);
  case Register::NtidX:
  case Register::NtidY:
  case Register::NtidZ:
    return part(launch.block, xyz);
  case Register::CtaidX:
  case Register::CtaidY:
  case Register::CtaidZ:
    return part(block.id, xyz);
  case Register::NctaidX:
  case Register::NctaidY:
  case Register::NctaidZ:
    return part(launch.grid, xyz);
  case Register::ClusterCtaidX:
  case Register::ClusterCtaidY:
  case Register::ClusterCtaidZ:
    return part(launch.cluster.at(block.rank), xyz);
  case Register::ClusterNctaidX:
  case Register::ClusterNctaidY:
  case Register::ClusterNctaidZ:
    return part(launch.cluster, xyz);
  case Register::ClusteridX:
  case Register::ClusteridY:
  case Register::ClusteridZ:
    return part(block.id, xyz) / part(launch.cluster, xyz);
  case Register::NclusteridX:
  case Register::NclusteridY:
  case Register::NclusteridZ:
    return part(clusters, xyz);
  case Register::ClusterCtarank:
    return block.rank;
  case Register::ClusterNctarank:
    return uint32_t(launch.cluster.count());
  case Register::LaneId:
    return thread.lane;
  case Register::WarpId:
    return thread.index / 32;
  case Register::NwarpId:
    return uint32_t(block.warps.size());
  case Register::WarpSize:
    return 32;
  case Register::LanemaskEq:
    return bit;
  case Register::LanemaskLe:
    return bit | (bit - 1);
  case Register::LanemaskLt:
    return bit - 1;
  case Register::LanemaskGe:
    return ~(bit - 1);
  case Register::LanemaskGt:
    return ~(bit | (bit - 1));
  case Register::SmId:
    return block.cluster->number % launch.multiprocessors;
  case Register::NsmId:
    return launch.multiprocessors;
  case Register::GridId:
    return block.cluster->firstOfLaunch;
  case Register::DynamicSmemSize:
    return uint32_t(launch.dynamicShared);
  case Register::TotalSmemSize:
    return uint32_t(block.sharedEnd - block.sharedBegin);
  }
  return 0;
}

/// Cycles or nanoseconds: it only goes on, and the same in every run.
MOE_SIM_CALL uint64_t moe_sim_time() {
  return ++self().block->cluster->launch.time;
}

/// Something in the block's static shared memory.
MOE_SIM_CALL void *moe_sim_static_shared(int64_t offset) {
  const Block &block = *self().block;
  return block.shared + block.sharedBegin + offset;
}

/// The start of what the launch adds to it.
MOE_SIM_CALL void *moe_sim_dynamic_shared() {
  const Block &block = *self().block;
  return block.shared + block.dynamicBegin;
}

/// mapa: the same place in another block of the cluster.
MOE_SIM_CALL void *moe_sim_map(void *address, uint32_t rank, uint32_t site) {
  return guarded([&] {
    Thread &thread = self();
    Cluster &cluster = *thread.block->cluster;
    if (rank >= cluster.blocks.size())
      fail(thread, Fault::Argument,
           text("mapa to block ", rank, " of a cluster of ",
                cluster.blocks.size()),
           site);
    return cluster.window.block(rank) +
           (static_cast<char *>(address) - thread.block->shared);
  });
}

MOE_SIM_CALL void moe_sim_exit() {
  guarded([&] { endThread(); });
}

MOE_SIM_CALL void moe_sim_trap(uint32_t site) {
  guarded([&] { fail(self(), Fault::Trap, "a trap is reached", site); });
}

/// A number of 32 bits as an address in the shared memory of the cluster; what
/// has more bits is one already.
MOE_SIM_CALL void *moe_sim_shared_address(uint64_t number) {
  auto base = reinterpret_cast<uintptr_t>(running()->window.block(0));
  return reinterpret_cast<void *>(number >> 32 ? number : base + number);
}

/// nanosleep, and wherever another thread's turn does no harm.
MOE_SIM_CALL void moe_sim_pause(uint32_t site) {
  return guarded([&] {
    self().block->cluster->poll("a pause in a loop that waits", site);
  });
}
