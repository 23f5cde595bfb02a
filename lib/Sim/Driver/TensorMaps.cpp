//===- TensorMaps.cpp - cuTensorMapEncodeTiled ----------------------------===//
//
// Part of moe-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "State.h"

#include "../Operations/TensorMap.h"

#include <cstdio>
#include <cstring>

using namespace moe::sim;

static int refuse(const std::string &words) {
  std::fprintf(stderr, "moe-sim: error: cuTensorMapEncodeTiled: %s\n",
               words.c_str());
  return InvalidValue;
}

namespace {
struct ElementType {
  uint8_t bytes;
  bool isFloat;
};
} // namespace

/// In the driver's order: u8, u16, u32, s32, u64, s64, f16, f32, f64, bf16, f32
/// flushed, tf32, tf32 flushed.
static constexpr ElementType elementTypes[] = {
    {1, false}, {2, false}, {4, false}, {4, false}, {8, false},
    {8, false}, {2, true},  {4, true},  {8, true},  {2, true},
    {4, true},  {4, true},  {4, true}};

MOE_SIM_CUDA
cuTensorMapEncodeTiled(void *result, int type, unsigned rank, void *address,
                       const uint64_t *extents, const uint64_t *strides,
                       const uint32_t *box, const uint32_t *elementStrides,
                       int interleave, int swizzle, int promotion, int fill) {
  Call call(Call::Initialized);
  if (call)
    return call.status;
  static constexpr uint8_t swizzles[] = {0, 32, 64, 128};
  if (!result || reinterpret_cast<uintptr_t>(result) % 64)
    return refuse("the map is not at a multiple of 64");
  if (type < 0 || type > 12)
    return refuse(text("type ", type));
  if (rank < 1 || rank > 5)
    return refuse(text("rank ", rank, ", expected 1 to 5"));
  if (reinterpret_cast<uintptr_t>(address) % 16)
    return refuse(
        text("the tensor is at ", address, ", expected a multiple of 16"));
  if (swizzle < 0 || swizzle > 3)
    return refuse(text("swizzle ", swizzle, ", expected 0 to 3"));
  if (interleave)
    return NotSupported;
  ElementType element = elementTypes[type];
  TensorMap map = {};
  map.magic = TensorMap::magicNumber;
  map.address = static_cast<char *>(address);
  map.rank = uint8_t(rank);
  map.elementBytes = element.bytes;
  map.isFloat = element.isFloat;
  map.swizzle = swizzles[swizzle];
  map.fillIsNan = fill != 0;
  if (fill && !element.isFloat)
    return refuse("NaN fills tensors of floats only");
  map.strides[0] = element.bytes;
  for (unsigned d = 0; d < rank; ++d) {
    if (extents[d] == 0 || extents[d] > uint64_t(1) << 32)
      return refuse(
          text("extent ", d, " is ", extents[d], ", expected 1 to 2^32"));
    if (box[d] == 0 || box[d] > 256)
      return refuse(text("the box is ", box[d], " along dimension ", d,
                         ", expected 1 to 256"));
    if (elementStrides[d] != 1)
      return NotSupported;
    map.extents[d] = extents[d];
    map.box[d] = uint16_t(box[d]);
    if (d == 0)
      continue;
    uint64_t stride = strides[d - 1];
    if (stride % 16 || stride >= uint64_t(1) << 40)
      return refuse(text("stride ", d, " is ", stride,
                         ", expected a multiple of 16 below 2^40"));
    map.strides[d] = stride;
  }
  unsigned rowBytes = box[0] * element.bytes;
  if (rowBytes % 16)
    return refuse(text("rows of the box are ", rowBytes,
                       " bytes, expected a multiple of 16"));
  if (map.swizzle && rowBytes > map.swizzle)
    return refuse(text("rows of the box are ", rowBytes,
                       " bytes, more than the swizzle of ", int(map.swizzle)));
  std::memset(result, 0, 128);
  std::memcpy(result, &map, sizeof map);
  return Success;
}
