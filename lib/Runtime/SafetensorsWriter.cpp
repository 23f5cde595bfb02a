//===- SafetensorsWriter.cpp - Writes weight files ------------------------===//
//
// Part of moe-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
// A header in JSON, then the data, aligned.
//
//===----------------------------------------------------------------------===//

#include "Layer.h"
#include "Safetensors.h"
#include "Status.h"
#include "TemporaryFile.h"

#include <nlohmann/json.hpp>

#include <algorithm>
#include <cstring>
#include <unordered_set>

namespace moe::runtime {

namespace {
struct Item {
  const char *name;
  const void *data;
  DType type;
  std::vector<int64_t> shape;
  int64_t size;
};
} // namespace

static std::vector<Item> checkItems(const moe_named_tensor *tensors,
                                    size_t count) {
  std::vector<Item> items;
  std::unordered_set<std::string> names;
  for (size_t i = 0; i < count; ++i) {
    requireSet(tensors[i].name, "name");
    requireSet(tensors[i].value, tensors[i].name);
    const DLTensor &tensor = *tensors[i].value;
    std::string name = tensors[i].name;
    if (name == "__metadata__" || !names.insert(name).second)
      fail(MOE_INVALID_ARGUMENT, "tensor '", name,
           "': the name is reserved or used twice");
    std::optional<DType> type = dtypeOf(tensor.dtype);
    if (!type)
      fail(MOE_DTYPE_MISMATCH, "tensor '", name, "': ", describe(tensor.dtype),
           " cannot be written");
    size_t rank = static_cast<size_t>(std::max(tensor.ndim, 0));
    const void *data = checkTensor(tensor, name, *type, rank, "[...]");
    std::vector<int64_t> shape(tensor.shape, tensor.shape + rank);
    int64_t size = *byteCount(shape.data(), rank, *type);
    items.push_back({tensors[i].name, data, *type, std::move(shape), size});
  }
  // Wide elements first, so that all are aligned in the file; then by name, so
  // that equal tensors make equal files.
  std::sort(items.begin(), items.end(), [](const Item &a, const Item &b) {
    int64_t wide = bytes(a.type), other = bytes(b.type);
    return wide != other ? wide > other : std::strcmp(a.name, b.name) < 0;
  });
  return items;
}

void writeSafetensors(const std::string &path, const moe_named_tensor *tensors,
                      size_t count) {
  std::vector<Item> items = checkItems(tensors, count);
  nlohmann::ordered_json header = nlohmann::ordered_json::object();
  int64_t offset = 0;
  for (const Item &item : items) {
    std::optional<int64_t> end = add(offset, item.size);
    if (!end)
      fail(MOE_INVALID_ARGUMENT, path, ": error: too much data");
    header[item.name] = {{"dtype", safetensorsName(item.type)},
                         {"shape", item.shape},
                         {"data_offsets", {offset, *end}}};
    offset = *end;
  }
  std::string text = header.dump();
  text.resize((text.size() + 7) / 8 * 8, ' ');
  if (text.size() > maxSafetensorsHeader)
    fail(MOE_INVALID_ARGUMENT, path, ": error: too many tensors");
  uint8_t prefix[8];
  for (int i = 0; i < 8; ++i)
    prefix[i] = static_cast<uint8_t>(uint64_t(text.size()) >> 8 * i);

  TemporaryFile file(path);
  file.write(prefix, sizeof prefix);
  file.write(text.data(), text.size());
  for (const Item &item : items)
    file.write(item.data, static_cast<size_t>(item.size));
  file.commit();
}

} // namespace moe::runtime

using namespace moe::runtime;

moe_status moe_safetensors_write(const char *path,
                                 const moe_named_tensor *tensors,
                                 size_t count) {
  return guard([&] {
    requireSet(path, "path");
    if (count)
      requireSet(tensors, "tensors");
    writeSafetensors(path, tensors, count);
  });
}
