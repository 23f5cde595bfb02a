//===- Warpgroups.cpp - Matrices of four warps ----------------------------===//
//
// Part of moe-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

//
// wgmma: A and B are in shared memory, where descriptors say.
//
//===----------------------------------------------------------------------===//

#include "Calls.h"

#include "../Machine/Check.h"
#include "Elements.h"
#include "TensorMap.h"

#include <cstring>

using namespace moe::sim;

static Warpgroup &groupOf(Thread &thread, unsigned site) {
  if (thread.block->threads.size() < size_t(thread.index / 128 + 1) * 128)
    fail(thread, Fault::Divergence, "wgmma by a warp that is not one of four",
         site);
  return thread.block->warpgroups[thread.index / 128];
}

namespace {
/// A matrix descriptor.
struct Descriptor {
  uint64_t start;   // in the block's shared memory
  uint64_t leading; // bytes
  uint64_t stride;  // bytes
  unsigned swizzle; // bytes

  explicit Descriptor(uint64_t bits)
      : start((bits & 0x3fff) << 4), leading((bits >> 16 & 0x3fff) << 4),
        stride((bits >> 32 & 0x3fff) << 4) {
    static constexpr unsigned modes[] = {0, 128, 64, 32};
    swizzle = modes[bits >> 62];
  }

  /// Where an element is. `major` counts along the dimension that is
  /// contiguous, `minor` along the other.
  uint64_t place(bool contiguousIsK, unsigned major, unsigned minor,
                 unsigned bytes) const {
    uint64_t at = uint64_t(major) * bytes;
    unsigned span = swizzle ? swizzle : 16;
    uint64_t offset;
    if (contiguousIsK)
      // Rows of `span` bytes, eight at a time; a product's K never leaves the
      // span, except without a swizzle, where there are two pieces of 16.
      offset = at % span + at / span * leading + uint64_t(minor % 8) * span +
               minor / 8 * stride;
    else if (swizzle)
      offset = at % span + at / span * leading + uint64_t(minor % 8) * span +
               minor / 8 * stride;
    else
      offset = at % span + at / span * stride + uint64_t(minor % 8) * span +
               minor / 8 * leading;
    return swizzled(start + offset, swizzle);
  }
};

struct Operands {
  const Product *product;
  uint64_t a, b;
  char *d;
};
} // namespace

/// A matrix of `rows` of K elements, read from shared memory by the unit.
static std::vector<double> load(Thread &thread, const Accessor &by,
                                uint64_t bits, unsigned rows, unsigned depth,
                                Element type, bool contiguousIsK,
                                unsigned site) {
  Descriptor descriptor(bits);
  unsigned bytes = bitsOf(type) / 8;
  std::vector<double> values(size_t(rows) * depth);
  // Sixteen bytes at a time, as the unit does.
  unsigned step = 16 / bytes;
  unsigned majors = contiguousIsK ? depth : rows;
  unsigned minors = contiguousIsK ? rows : depth;
  for (unsigned minor = 0; minor < minors; ++minor)
    for (unsigned major = 0; major < majors; major += step) {
      char *from = thread.block->shared +
                   descriptor.place(contiguousIsK, major, minor, bytes);
      check(by, from, 16, 16, Shared, Does::Read, site);
      for (unsigned i = 0; i < step; ++i) {
        unsigned row = contiguousIsK ? minor : major + i;
        unsigned k = contiguousIsK ? major + i : minor;
        values[size_t(row) * depth + k] = readElement(from, i, type);
      }
    }
  return values;
}

static void multiply(Thread &thread, Warpgroup &group, unsigned site) {
  auto &first = *static_cast<Operands *>(group.parts[0]);
  const Product &p = *first.product;
  uint32_t stamp = running()->newStamp();
  group.lastStamp = stamp;
  Accessor by{&thread, &thread.clock, group.agent, stamp, Access::Async};
  std::vector<double> a =
      load(thread, by, first.a, p.m, p.k, p.a, !p.columnA, site);
  std::vector<double> b =
      load(thread, by, first.b, p.n, p.k, p.b, !p.columnB, site);
  double sign = (p.negateA ? -1 : 1) * (p.negateB ? -1 : 1);
  for (unsigned t = 0; t < 128; ++t) {
    char *d = static_cast<Operands *>(group.parts[t])->d;
    for (unsigned i = 0; i < p.n / 2; ++i) {
      unsigned row = 16 * (t / 32) + t % 32 / 4 + 8 * (i / 2 % 2);
      unsigned column = 8 * (i / 4) + 2 * (t % 4) + i % 2;
      double sum = p.accumulate ? readElement(d, i, p.d) : 0;
      for (unsigned k = 0; k < p.k; ++k)
        sum += sign * a[size_t(row) * p.k + k] * b[size_t(column) * p.k + k];
      writeElement(d, i, p.d, sum, p.saturate != 0);
    }
  }
}

MOE_SIM_CALL void moe_sim_wgmma(const Product *product, uint64_t a, uint64_t b,
                                char *d, uint32_t site) {
  return guarded([&] {
    Thread &thread = self();
    Cluster &cluster = *thread.block->cluster;
    Warpgroup &group = groupOf(thread, site);
    if (!thread.wgmmaFenced)
      fail(
          thread, Fault::Divergence,
          "the first wgmma.mma_async of a thread without wgmma.fence before it",
          site);
    Operands own{product, a, b, d};
    if (group.here && group.site != site)
      fail(thread, Fault::Divergence,
           text("wgmma.mma_async here, and at ",
                cluster.launch.site(group.site),
                " by other threads of the warpgroup, expected all at one"),
           site);
    if (group.here) {
      auto &other = *static_cast<Operands *>(group.parts[group.some]);
      if (other.a != a || other.b != b)
        fail(thread, Fault::Divergence,
             "wgmma.mma_async with other descriptors than the other threads of "
             "the warpgroup",
             site);
    }
    group.site = site;
    group.some = thread.index % 128;
    group.parts[thread.index % 128] = &own;
    cluster.progress();
    if (++group.here < 128) {
      group.waiting.push_back(&thread);
      cluster.wait("wgmma.mma_async with the warpgroup", site);
      return;
    }
    multiply(thread, group, site);
    group.here = 0;
    cluster.wakeAll(group.waiting);
  });
}

MOE_SIM_CALL void moe_sim_wgmma_fence() { self().wgmmaFenced = true; }

/// The groups are those of the warpgroup: whichever thread commits first closes
/// one, and the others the same.
MOE_SIM_CALL void moe_sim_wgmma_commit(uint32_t site) {
  return guarded([&] {
    Thread &thread = self();
    Warpgroup &group = groupOf(thread, site);
    if (thread.wgmmaGroups == group.groups.size())
      group.groups.push_back(running()->pastOf(group.agent, group.lastStamp));
    ++thread.wgmmaGroups;
  });
}

MOE_SIM_CALL void moe_sim_wgmma_wait(uint64_t newest, uint32_t site) {
  return guarded([&] {
    Thread &thread = self();
    Warpgroup &group = groupOf(thread, site);
    if (thread.wgmmaGroups > newest)
      thread.clock.acquire(group.groups[thread.wgmmaGroups - newest - 1]);
  });
}

/// setmaxnreg changes nothing here but for its rules.
MOE_SIM_CALL void moe_sim_set_registers(uint32_t count, uint32_t site) {
  return guarded([&] {
    if (count < 24 || count > 256 || count % 8)
      fail(self(), Fault::Argument,
           text("setmaxnreg of ", count,
                ", expected a multiple of 8 from 24 to 256"),
           site);
  });
}
