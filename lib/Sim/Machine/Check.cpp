//===- Check.cpp - Whether an access is one that may be made --------------===//
//
// Part of moe-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Check.h"

#include <algorithm>

using namespace moe::sim;

Accessor moe::sim::accessor(Thread &thread, uint16_t flags) {
  return {&thread, &thread.clock, thread.clock.index(), thread.clock.now(),
          flags};
}

static const char *verb(Does does) {
  return does == Does::Read    ? "reads "
         : does == Does::Write ? "writes "
                               : "updates ";
}

static Target locateShared(Cluster &cluster, Thread &thread,
                           const void *address, size_t bytes, unsigned space,
                           Does does, unsigned site) {
  size_t rank = cluster.window.blockOf(address);
  if (rank >= cluster.blocks.size() ||
      (space == Shared && rank != thread.block->rank))
    fail(thread, Fault::OutOfBounds,
         text(verb(does), bytes, " bytes outside of the block's shared memory"),
         site);
  Block &block = cluster.blocks[rank];
  auto offset = size_t(static_cast<const char *>(address) - block.shared);
  if (offset < block.sharedBegin || offset + bytes > block.sharedEnd)
    fail(thread, Fault::OutOfBounds,
         text(verb(does), bytes, " bytes, ", cluster.where(address)), site);
  if (block.live == 0 && &block != thread.block)
    fail(thread, Fault::Freed,
         text(verb(does), bytes, " bytes of shared memory of block ",
              text(block.id), ", which has ended"),
         site);
  return {block.shadow.get(), offset};
}

static Target locateGlobal(Cluster &cluster, Thread &thread,
                           const void *address, size_t bytes, Does does,
                           unsigned site) {
  Memory &memory = *cluster.launch.memory;
  Memory::Place place = memory.find(address);
  if (!place.allocation)
    fail(thread, Fault::OutOfBounds,
         text(verb(does), bytes, " bytes at ", address,
              ", which is no memory of the device"),
         site);
  if (place.allocation->freed)
    fail(thread, Fault::Freed,
         text(verb(does), bytes, " bytes, ", cluster.where(address)), site);
  if (place.offset < 0 || place.offset + bytes > place.allocation->size)
    fail(thread, Fault::OutOfBounds,
         text(verb(does), bytes, " bytes, ", cluster.where(address)), site);
  memory.touch(place.allocation);
  return {&place.allocation->shadow, size_t(place.offset)};
}

Target moe::sim::locate(Thread &thread, const void *address, size_t bytes,
                        size_t alignment, unsigned space, Does does,
                        unsigned site) {
  Cluster &cluster = *running();
  if (reinterpret_cast<uintptr_t>(address) % alignment)
    fail(thread, Fault::Misaligned,
         text(verb(does), bytes, " bytes, ", cluster.where(address),
              ", expected a multiple of ", alignment),
         site);
  if (cluster.window.holds(address)) {
    if (space == Global)
      fail(thread, Fault::OutOfBounds,
           text(verb(does), bytes, " bytes of shared memory as global"), site);
    return locateShared(cluster, thread, address, bytes, space, does, site);
  }
  if (space == Shared || space == SharedCluster)
    fail(thread, Fault::OutOfBounds,
         text(verb(does), bytes, " bytes at ", address,
              ", which is not in shared memory"),
         site);
  if (space == Generic && cluster.current) {
    if (cluster.holdsStack(address))
      return {};
    const char *p = static_cast<const char *>(address);
    auto *parameters = static_cast<const char *>(cluster.launch.parameterBase);
    if (does == Does::Read && p >= parameters &&
        p + bytes <= parameters + cluster.launch.parameterBytes)
      return {};
  }
  return locateGlobal(cluster, thread, address, bytes, does, site);
}

namespace {
/// The checks of one access against what each byte has seen.
class Recorder {
public:
  Recorder(const Accessor &by, const void *address, size_t bytes, Does does,
           unsigned site)
      : by(by), address(static_cast<const char *>(address)), bytes(bytes),
        does(does), site(site), cluster(*running()) {
    self.cluster = cluster.number;
    self.agent = uint16_t(by.agent);
    self.flags = by.flags;
    self.stamp = by.stamp;
    self.site = site;
  }

  void run(const Target &target) {
    size_t offset = target.offset;
    for (size_t done = 0; done < bytes;) {
      size_t count;
      Cell *cells = target.shadow->cells(offset + done, bytes - done, count);
      for (size_t i = 0; i < count; ++i)
        visit(cells[i], done + i);
      done += count;
    }
  }

private:
  void visit(Cell &cell, size_t i) {
    if (!(cell.writer == checked)) {
      checkWriter(cell.writer, i);
      checked = cell.writer;
    }
    if (does == Does::Read)
      return addReader(cell);
    for (Access &reader : cell.readers)
      if (reader.any() && !(reader == checkedReader)) {
        if (!ordered(reader))
          race(Fault::Race, reader, i, "has read");
        checkedReader = reader;
      }
    cell.writer = self;
    cell.readers[0] = cell.readers[1] = Access();
  }

  void addReader(Cell &cell) {
    Access *slot = nullptr;
    for (Access &reader : cell.readers)
      if (!reader.any() || reader.cluster < cluster.firstOfLaunch ||
          (reader.cluster == self.cluster && reader.agent == self.agent)) {
        slot = &reader;
        break;
      }
    if (!slot)
      slot = &cell.readers[chance() & 1];
    *slot = self;
  }

  /// One draw for an access is enough: neighbours in it fare alike.
  uint64_t chance() {
    if (!drawn)
      drawn = cluster.launch.random->next() | 2;
    return drawn;
  }

  bool ordered(const Access &before) const {
    if (before.cluster < cluster.firstOfLaunch)
      return true;
    if (before.cluster != cluster.number)
      return cluster.comesAfter(before.cluster) ||
             (before.flags & self.flags & Access::Atomic);
    if (before.flags & self.flags & Access::Atomic)
      return true;
    return by.clock->hasSeen(before.agent, before.stamp);
  }

  void checkWriter(const Access &writer, size_t i) {
    if (!writer.any()) {
      if (does == Does::Write)
        return;
      fail(*by.thread, Fault::Unwritten,
           text(what(i), ", which nobody has written"), site);
    }
    if (writer.flags & Access::InFlight)
      fail(*by.thread, Fault::InFlight,
           text(what(i), ", to which ", cluster.who(writer),
                " copies and has not waited for it\n  its copy is at ",
                cluster.launch.site(writer.site)),
           site);
    if (!ordered(writer))
      race(does == Does::Write ? Fault::Overlap : Fault::Race, writer, i,
           "has written");
    bool crosses =
        (self.flags & Access::Async) && !(writer.flags & Access::Async);
    if (crosses && writer.cluster == cluster.number &&
        !by.clock->hasFenced(writer.agent, writer.stamp))
      fail(*by.thread, Fault::ProxyFence,
           text(what(i), " through the async proxy, which ",
                cluster.who(writer),
                " has written by the generic one, without a fence.proxy.async "
                "in between\n  its store is at ",
                cluster.launch.site(writer.site)),
           site);
  }

  std::string what(size_t i) const {
    return text(verb(does), bytes, bytes == 1 ? " byte, " : " bytes, ",
                cluster.where(address + i));
  }

  [[noreturn]] void race(Fault fault, const Access &other, size_t i,
                         const char *done) {
    fail(*by.thread, fault,
         text(what(i), ", which ", cluster.who(other), " ", done,
              " with nothing that orders the two\n  the other is at ",
              cluster.launch.site(other.site)),
         site);
  }

  const Accessor &by;
  const char *address;
  size_t bytes;
  Does does;
  unsigned site;
  Cluster &cluster;
  Access self;
  // Neighbours mostly have the same history.
  Access checked{~0u, 0, 0, 0, 0}, checkedReader{~0u, 0, 0, 0, 0};
  uint64_t drawn = 0;
};
} // namespace

void moe::sim::record(const Accessor &by, const Target &target,
                      const void *address, size_t bytes, Does does,
                      unsigned site) {
  if (target.shadow && bytes)
    Recorder(by, address, bytes, does, site).run(target);
}

void moe::sim::check(const Accessor &by, const void *address, size_t bytes,
                     size_t alignment, unsigned space, Does does,
                     unsigned site) {
  Target target =
      locate(*by.thread, address, bytes, alignment, space, does, site);
  Cluster &cluster = *running();
  if (cluster.blocks.size() > 1 && cluster.window.holds(address))
    visit(by, cluster.blocks[cluster.window.blockOf(address)], site);
  record(by, target, address, bytes, does, site);
}
