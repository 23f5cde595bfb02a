//===- GridFuzzer.cpp - Any layer on any devices --------------------------===//
//
// Part of moe-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// What ranks send each other arrives, whatever the routing, and what is planned
// fits the memory.
//
//===----------------------------------------------------------------------===//

#include "moe/Schedule/GridPlan.h"

#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <fuzzer/FuzzedDataProvider.h>

using namespace moe;

static void require(bool condition, const char *what) {
  if (condition)
    return;
  std::fprintf(stderr, "property violated: %s\n", what);
  std::abort();
}

namespace {

class Input : public FuzzedDataProvider {
public:
  using FuzzedDataProvider::FuzzedDataProvider;
  int64_t upTo(int64_t least, int64_t most) {
    return ConsumeIntegralInRange<int64_t>(least, most);
  }
  bool flag() { return ConsumeBool(); }
};

/// Some tokens and rows for each rank, none where there is no more input.
struct AnyRouting : Routing {
  AnyRouting(const RankGrid &grid, Input &input) : grid(grid) {
    for (int64_t rank = 0; rank < grid.ranks(); ++rank) {
      tokensOf.push_back(input.upTo(0, 255));
      for (int64_t member = 0; member < grid.ep; ++member)
        rowsOf.push_back(input.upTo(0, 255));
    }
  }
  int64_t tokens(int64_t rank) const override {
    return tokensOf[grid.sequenceParallel ? rank : rank / grid.tp * grid.tp];
  }
  int64_t rows(int64_t rank, int64_t member) const override {
    return rowsOf[rank / grid.tp * grid.tp * grid.ep + member];
  }

  const RankGrid &grid;
  std::vector<int64_t> tokensOf, rowsOf;
};

} // namespace

static Spec anySpec(Input &input) {
  constexpr WeightKind kinds[] = {WeightKind::none, WeightKind::fp8_e4m3,
                                  WeightKind::int4, WeightKind::nvfp4};
  Spec spec;
  spec.hidden = 2 * input.upTo(1, 4096);
  spec.router.experts = input.upTo(2, 512);
  spec.router.topK = input.upTo(1, std::min<int64_t>(8, spec.router.experts));
  spec.router.nullExperts = input.upTo(0, 2);
  spec.experts.intermediate = 2 * input.upTo(1, 4096);
  spec.experts.latent = 2 * input.upTo(0, 64);
  spec.experts.bias = input.flag();
  spec.experts.quantization.kind = input.PickValueInArray(kinds);
  spec.experts.quantization.block = {1, input.upTo(0, 64)};
  spec.shared.intermediate = input.upTo(0, 4096);
  spec.losses.routerZ = input.flag() ? 1 : 0;
  if (input.flag())
    spec.capacity.tokens = input.upTo(1, 4096);
  spec.capacity.scope = input.flag() ? Scope::local : Scope::global;
  if (input.flag())
    spec.dtype = {DType::bf16, DType::bf16, DType::f32};
  return spec;
}

static void checkTraffic(const GridLayer &layer, Input &input) {
  RankGrid grid;
  grid.dp = input.upTo(1, 3);
  grid.ep = input.upTo(1, 6);
  grid.tp = input.upTo(1, 3);
  grid.fsdp = input.flag();
  grid.sequenceParallel = input.flag();
  grid.nodeRanks = input.upTo(0, grid.ranks());
  grid.exchange = Exchange(input.upTo(0, 3));
  if (layer.experts % grid.ep || layer.intermediate % (grid.tp * layer.unit))
    return;
  AnyRouting routing(grid, input);
  std::vector<int64_t> left;
  for (int64_t rank = 0; rank < grid.ranks(); ++rank) {
    std::vector<Traffic> traffic = exactBytes(layer, grid, routing, rank);
    require(rank == 0 || left.size() == traffic.size(), "the same collectives");
    left.resize(traffic.size());
    for (size_t i = 0; i < traffic.size(); ++i) {
      left[i] += traffic[i].sent - traffic[i].received;
      require(traffic[i].sentOnNode >= 0 &&
                  traffic[i].sentOnNode <= traffic[i].sent,
              "a part on the node");
    }
  }
  for (int64_t bytes : left)
    require(bytes == 0, "what is sent arrives");
}

static void checkPlan(const GridLayer &layer, Input &input) {
  Cluster cluster;
  cluster.nodes = input.upTo(1, 64);
  cluster.devices = cluster.nodes * input.upTo(1, 16);
  cluster.memory = input.upTo(1, int64_t(1) << 40);
  cluster.layers = input.upTo(1, 64);
  cluster.flops = 1e15;
  cluster.bandwidth = 3e12;
  cluster.intra = {9e11, 3e-6};
  cluster.inter = {5e10, 1e-5};
  int64_t tokens = input.upTo(1, int64_t(1) << 24);
  if (!isCountable(layer, tokens))
    return;
  GridPlan plan = planGrid(layer, cluster, tokens);
  double last = 0;
  for (const Candidate &one : plan.candidates) {
    require(one.grid.ranks() == cluster.devices, "all devices");
    require(one.memory.needed() <= cluster.memory, "what fits");
    require(one.memory.expected <= one.memory.worst, "the worst case");
    require(std::isfinite(one.total) && one.total >= last, "the fastest first");
    require(!violated(layer, cluster, one.grid, plan.tpAcrossNodes),
            "what is possible");
    require(one.operations / cluster.flops <= one.total, "the peak");
    last = one.total;
  }
  for (const Exclusion &one : plan.exclusions)
    require(one.count > 0 && (one.reason != Reason::memory ||
                              one.leastMemory.needed() > cluster.memory),
            "a reason");
  require(plan.candidates.empty() || plan.enoughDevices == 0, "enough");
}

extern "C" int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  Input input(data, size);
  GridLayer layer = gridLayerOf(anySpec(input));
  checkTraffic(layer, input);
  checkPlan(layer, input);
  return 0;
}
