//===- Memory.cpp - Memory of the device ----------------------------------===//
//
// Part of moe-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Memory.h"

#include <algorithm>
#include <cstdlib>
#include <cstring>

using namespace moe::sim;

// As the driver's. A kernel may rely on it, so it is not more either.
static constexpr size_t alignment = 256;
// An access that misses an allocation by less is reported as one beside it.
static constexpr size_t guardBytes = 4096;
// Freed memory that stays known, to tell whose it was.
static constexpr size_t retiredLimit = 64 << 20;

static char *block(const Allocation &allocation) {
  return allocation.base - guardBytes - alignment;
}

Memory::~Memory() {
  for (auto &[base, allocation] : byBase) {
    if (allocation->name.empty())
      std::free(block(*allocation));
    delete allocation;
  }
}

char *Memory::allocate(size_t size) {
  if (size == 0 || size > free())
    return nullptr;
  size_t whole = (size + 2 * alignment - 1) / (2 * alignment) * 2 * alignment;
  auto *memory = static_cast<char *>(
      std::aligned_alloc(2 * alignment, 2 * (guardBytes + alignment) + whole));
  if (!memory)
    return nullptr;
  // Aligned by that much and no more.
  char *base = memory + guardBytes + alignment;
  std::memset(base, 0xcd, size); // nothing that looks like a sensible number
  byBase[base] = new Allocation(base, size);
  used += size;
  return base;
}

bool Memory::release(void *address) {
  auto found = byBase.find(static_cast<char *>(address));
  if (found == byBase.end() || found->second->freed ||
      !found->second->name.empty())
    return false;
  Allocation *allocation = found->second;
  allocation->freed = true;
  std::memset(allocation->base, 0xdd, allocation->size);
  used -= allocation->size;
  retiredBytes += allocation->size;
  retired.push_back(allocation);
  retire();
  return true;
}

void Memory::retire() {
  while (retiredBytes > retiredLimit) {
    Allocation *oldest = retired.front();
    retired.erase(retired.begin());
    retiredBytes -= oldest->size;
    byBase.erase(oldest->base);
    if (last == oldest)
      last = nullptr;
    std::free(block(*oldest));
    delete oldest;
  }
}

void Memory::adopt(void *address, size_t size, const std::string &name) {
  auto *allocation = new Allocation(static_cast<char *>(address), size);
  allocation->name = name;
  allocation->shadow.markHost(0, size);
  byBase[allocation->base] = allocation;
}

void Memory::disown(void *address) {
  auto found = byBase.find(static_cast<char *>(address));
  if (found == byBase.end())
    return;
  if (last == found->second)
    last = nullptr;
  delete found->second;
  byBase.erase(found);
}

Memory::Place Memory::find(const void *address) {
  const char *p = static_cast<const char *>(address);
  if (last && p >= last->base && p < last->base + last->size)
    return {last, p - last->base};
  auto after = byBase.upper_bound(const_cast<char *>(p));
  Allocation *nearest = nullptr;
  ptrdiff_t offset = 0;
  if (after != byBase.begin()) {
    Allocation *before = std::prev(after)->second;
    offset = p - before->base;
    if (offset < ptrdiff_t(before->size + guardBytes))
      nearest = before;
  }
  if (!nearest && after != byBase.end() &&
      after->second->base - p <= ptrdiff_t(guardBytes)) {
    nearest = after->second;
    offset = p - nearest->base;
  }
  if (nearest && offset >= 0 && offset < ptrdiff_t(nearest->size))
    last = nearest;
  return {nearest, offset};
}

void Memory::touch(Allocation *allocation) {
  if (allocation->touched)
    return;
  allocation->touched = true;
  touched.push_back(allocation);
}

void Memory::forget() {
  for (Allocation *allocation : touched) {
    allocation->shadow.forget();
    allocation->touched = false;
  }
  touched.clear();
}
