//===- Statistics.cpp - Figures of the last forward -----------------------===//
//
// Part of moe-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
// Read from the plan that the forward left behind.
//
//===----------------------------------------------------------------------===//

#include "Device/CUDA/OnDevice.h"
#include "Status.h"

#include <algorithm>
#include <cstring>

namespace moe::runtime {

/// The plan tensor `name` of the forward, where it has this type and rank.
static const void *planData(moe_layer &layer, int forward, const char *name,
                            DType dtype, size_t rank, int64_t *length) {
  const Function &function = layer.manifest().functions[forward];
  const FunctionState &state = layer.functions[forward];
  int i = function.find(name);
  if (i < 0 || function.arguments[i].role != Role::plan ||
      function.arguments[i].dtype != dtype || state.shapes[i].size() != rank)
    return nullptr;
  if (rank == 1)
    *length = state.shapes[i][0];
  if (layer.device)
    layer.device->fetchPlan(layer, size_t(forward), size_t(i));
  return state.buffers[i].data();
}

static moe_statistics gather(moe_layer &layer) {
  int forward = layer.manifest().findFunction("forward");
  if (forward < 0)
    fail(MOE_NOT_FOUND, "'", layer.manifest().name,
         "' has no function 'forward'");
  const FunctionState &state = layer.functions[forward];
  if (!state.lastRun)
    fail(MOE_INVALID_ARGUMENT, "there are no figures before a forward");
  moe_statistics out = {};
  const Function &function = layer.manifest().functions[forward];
  for (size_t i = 0; i < function.sizes.size(); ++i)
    if (function.sizes[i] == "T")
      out.tokens = state.sizes[i];
  auto find = [&](const char *name, DType dtype, size_t rank, int64_t *length) {
    return planData(layer, forward, name, dtype, rank, length);
  };
  int64_t ends = 0, entries = 0;
  out.loads =
      static_cast<const int32_t *>(find("counts", DType::i32, 1, &out.experts));
  if (const void *imbalance = find("imbalance", DType::f32, 0, nullptr))
    std::memcpy(&out.imbalance, imbalance, sizeof out.imbalance);
  auto *offsets =
      static_cast<const int32_t *>(find("offsets", DType::i32, 1, &ends));
  if (offsets && ends > 0)
    out.routed = offsets[ends - 1];
  for (int64_t e = 0; e < std::min(ends - 1, out.experts); ++e)
    out.dropped += out.loads[e];
  out.dropped = std::max<int64_t>(out.dropped - out.routed, 0);
  auto *clock =
      static_cast<const int64_t *>(find("clock", DType::i64, 1, &entries));
  out.seconds = layer.forwardSeconds;
  if (clock && clock[2] > clock[0]) {
    out.seconds = double(clock[2] - clock[0]) * 1e-9;
    out.routing_fraction =
        double(clock[1] - clock[0]) / double(clock[2] - clock[0]);
  }
  return out;
}

} // namespace moe::runtime

using namespace moe::runtime;

moe_status moe_layer_statistics(moe_layer *layer, moe_statistics *statistics) {
  return guard([&] {
    requireSet(layer, "layer");
    requireSet(statistics, "statistics");
    *statistics = gather(*layer);
  });
}
