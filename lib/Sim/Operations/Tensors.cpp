//===- Tensors.cpp - Copies of boxes of tensors ---------------------------===//
//
// Part of moe-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Bulk.h"
#include "Calls.h"
#include "TensorMap.h"

#include <cstring>

using namespace moe::sim;

static TensorMap mapAt(Thread &thread, void *address, uint32_t rank,
                       unsigned site) {
  TensorMap map;
  if (reinterpret_cast<uintptr_t>(address) % 64)
    fail(thread, Fault::Misaligned,
         text("a tensor map at ", address, ", expected a multiple of 64"),
         site);
  std::memcpy(&map, address, sizeof map);
  if (map.magic != TensorMap::magicNumber)
    fail(thread, Fault::Argument, text("no tensor map at ", address), site);
  if (map.rank != rank)
    fail(thread, Fault::Argument,
         text(rank, " coordinates for a tensor map of ", int(map.rank)), site);
  return map;
}

/// Where global memory has the element at these coordinates, null outside.
static char *elementAt(const TensorMap &map, const int64_t *at) {
  char *address = map.address;
  for (unsigned d = 0; d < map.rank; ++d) {
    if (at[d] < 0 || at[d] >= int64_t(map.extents[d]))
      return nullptr;
    address += at[d] * int64_t(map.strides[d]);
  }
  return address;
}

/// The rows of a box lie one after the other, with 16 bytes of each moved as
/// the swizzle says.
static Pieces cutBox(Thread &thread, const TensorMap &map, char *shared,
                     const int32_t *coordinates) {
  char *window = running()->window.block(running()->window.blockOf(shared));
  auto begin = uint64_t(shared - window);
  uint64_t rows = 1, rowBytes = uint64_t(map.box[0]) * map.elementBytes;
  for (unsigned d = 1; d < map.rank; ++d)
    rows *= map.box[d];
  Pieces pieces;
  for (uint64_t row = 0; row < rows; ++row) {
    int64_t at[5];
    uint64_t rest = row;
    for (unsigned d = 1; d < map.rank; ++d) {
      at[d] = coordinates[d] + int64_t(rest % map.box[d]);
      rest /= map.box[d];
    }
    // Runs that are within the tensor, or out of it, and of 16 bytes at most.
    for (uint64_t i = 0; i < map.box[0];) {
      at[0] = coordinates[0] + int64_t(i);
      char *global = elementAt(map, at);
      uint64_t offset = begin + row * rowBytes + i * map.elementBytes;
      uint64_t end = i;
      for (; end < map.box[0] &&
             (offset + (end - i) * map.elementBytes) / 16 == offset / 16;
           ++end) {
        at[0] = coordinates[0] + int64_t(end);
        if ((elementAt(map, at) != nullptr) != (global != nullptr))
          break;
      }
      pieces.push_back({window + swizzled(offset, map.swizzle), global,
                        uint32_t((end - i) * map.elementBytes)});
      i = end;
    }
  }
  return pieces;
}

static void checkShared(Thread &thread, void *shared, const TensorMap &map,
                        unsigned space, Does does, unsigned site) {
  if (reinterpret_cast<uintptr_t>(shared) % 128)
    fail(thread, Fault::Misaligned,
         text("a box of a tensor at ", running()->where(shared),
              ", expected a multiple of 128"),
         site);
  size_t bytes = map.elementBytes;
  for (unsigned d = 0; d < map.rank; ++d)
    bytes *= map.box[d];
  locate(thread, shared, bytes, 128, space, does, site);
}

static uint32_t fillOf(const TensorMap &map) {
  if (!map.fillIsNan)
    return 0;
  return map.elementBytes == 2 ? 0x7fff7fff : 0x7fffffff;
}

MOE_SIM_CALL void moe_sim_tensor_load(void *to, void *map, void *mbarrier,
                                      const int32_t *coordinates, uint32_t rank,
                                      uint32_t blocks, uint32_t site) {
  return guarded([&] {
    Thread &thread = self();
    TensorMap tensor = mapAt(thread, map, rank, site);
    checkShared(thread, to, tensor, SharedCluster, Does::Write, site);
    if (!blocks)
      blocks = 1u << running()->window.blockOf(to);
    bulkLoad(thread,
             cutBox(thread, tensor, static_cast<char *>(to), coordinates),
             mbarrier, blocks, fillOf(tensor), site);
  });
}

MOE_SIM_CALL void moe_sim_tensor_store(void *map, void *from,
                                       const int32_t *coordinates,
                                       uint32_t rank, uint32_t site) {
  return guarded([&] {
    Thread &thread = self();
    TensorMap tensor = mapAt(thread, map, rank, site);
    checkShared(thread, from, tensor, Shared, Does::Read, site);
    bulkStore(thread,
              cutBox(thread, tensor, static_cast<char *>(from), coordinates),
              site);
  });
}
