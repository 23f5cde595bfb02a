//===- SafetensorsFuzzer.cpp - Fuzzes the reader of weight files ----------===//
//
// Part of moe-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
// A file in memory. What is accepted must keep the promises of Safetensors.h.
//
//===----------------------------------------------------------------------===//

#include "Runtime/Safetensors.h"
#include "Runtime/Status.h"

#include <cstdlib>
#include <cstring>

using namespace moe::runtime;

namespace {
class Memory : public ByteSource {
public:
  Memory(const uint8_t *data, size_t length) : data(data), length(length) {}
  uint64_t size() const override { return length; }
  void read(uint64_t offset, void *to, size_t count) const override {
    if (offset > length || count > length - offset)
      std::abort(); // the reader promised not to
    if (count)
      std::memcpy(to, data + offset, count);
  }

private:
  const uint8_t *data;
  size_t length;
};
} // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  try {
    uint64_t bytes = 0;
    for (const auto &item :
         readSafetensorsHeader(Memory(data, size), "fuzz.safetensors")) {
      if (item.second.begin > item.second.end || item.second.end > size)
        std::abort();
      bytes += item.second.end - item.second.begin;
    }
    if (bytes > size)
      std::abort();
  } catch (const Error &error) {
    if (error.status != MOE_BAD_FILE || error.message.empty())
      std::abort();
  }
  return 0;
}
