//===- Packed.cpp - What stands beside packed weights ---------------------===//
//
// Part of moe-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
// The order of groups.
//
//===----------------------------------------------------------------------===//

#include "Packed.h"
#include "Status.h"

namespace moe::runtime {

static std::string beside(const std::string &name, const char *last) {
  size_t dot = name.rfind('.');
  return name.substr(0, dot == name.npos ? 0 : dot + 1) + last;
}

static const char *groupOrder(Packing packing) {
  return packing == Packing::gptq         ? "g_idx"
         : packing == Packing::compressed ? "weight_g_idx"
                                          : nullptr;
}

std::vector<std::string> companionsOf(const std::string &name,
                                      Packing packing) {
  std::vector<std::string> names;
  if (const char *order = groupOrder(packing))
    names.push_back(beside(name, order));
  if (packing == Packing::compressed)
    names.push_back(beside(name, "weight_shape"));
  return names;
}

void checkPacked(Checkpoint &checkpoint, const Stored &words, Packing packing) {
  const char *last = groupOrder(packing);
  if (!last)
    return;
  std::optional<Stored> order = checkpoint.find(beside(*words.name, last));
  if (!order)
    return;
  const SafetensorsEntry &entry = *order->entry;
  if (entry.dtype != "I32" || entry.shape.size() != 1)
    fail(MOE_BAD_FILE, order->where(),
         "expected the group of each input, I32 "
         "and one dimension, found ",
         entry.dtype, ' ', describe(entry.shape));
  std::vector<int32_t> groups(static_cast<size_t>(entry.shape[0]));
  order->file->read(entry.begin, groups.data(), order->bytes());
  if (groups.empty())
    return;
  int64_t inputs = static_cast<int64_t>(groups.size());
  int64_t count = int64_t(groups.back()) + 1;
  int64_t size = count > 0 && inputs % count == 0 ? inputs / count : 0;
  for (int64_t i = 0; i < inputs; ++i)
    if (size == 0 || groups[i] != i / size)
      fail(MOE_BAD_FILE, order->where(), "input ", i, " is in group ",
           groups[i],
           ": expected groups of inputs that follow each other, as "
           "a file has that was quantised without 'desc_act'");
}

} // namespace moe::runtime
