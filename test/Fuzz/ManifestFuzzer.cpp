//===- ManifestFuzzer.cpp - Fuzzes the reader of manifests ----------------===//
//
// Part of moe-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
// Any text is a manifest or an error, and what is a manifest can be used.
//
//===----------------------------------------------------------------------===//

#include "Runtime/Manifest.h"
#include "Runtime/Match.h"
#include "Runtime/Status.h"

#include <cstdlib>

using namespace moe::runtime;

/// A tensor of the weight's own type and shape, and some others, is taken or
/// refused.
static void match(const Weight &weight, const Source &source) {
  static const std::string file = "fuzz.safetensors", name = "w";
  Target target = targetOf(weight, source.eachExpert());
  for (const char *dtype : {"F32", "BF16", "I32", "U8"})
    for (bool half : {false, true}) {
      SafetensorsEntry entry;
      entry.dtype = dtype;
      entry.shape = weight.wholeShape();
      if (half && !entry.shape.empty())
        entry.shape.back() /= 2;
      Stored tensor = {nullptr, &file, &name, &entry};
      try {
        Piece piece = matchTensor(tensor, source, target, source.eachExpert());
        if (piece.firstOutput < 0 || piece.outputStep < 1 ||
            piece.fileBytes < 1 || piece.elementBytes < 1)
          std::abort();
        countIn(tensor, source, target);
      } catch (const Error &error) {
        if (error.status != MOE_SHAPE_MISMATCH &&
            error.status != MOE_DTYPE_MISMATCH)
          std::abort();
      }
    }
}

static void useSource(const Weight &weight, const Source &source) {
  if (source.name.empty() || source.part < 0 || source.part >= source.parts ||
      source.scales.size() != source.decode.has_value() ||
      source.zeros.size() > 1 || source.globalScale.size() > 1)
    std::abort();
  filledIn(source.name, 7, 8);
  match(weight, source);
  for (const auto *beside :
       {&source.scales, &source.zeros, &source.globalScale})
    for (const Source &other : *beside) {
      if (other.decode)
        std::abort();
      match(weight, other);
    }
}

/// References point into their tables, and shapes can be evaluated.
static void useShard(const Weight &weight, const Grid &grid) {
  if (!weight.shard)
    return;
  std::vector<int64_t> sizes = weight.shard->whole;
  for (const Split &split : weight.shard->splits) {
    int64_t &size = sizes.at(split.dim);
    size = split.experts.empty() ? size / sizeAlong(grid, split.axis)
                                 : int64_t(split.experts[0].size());
  }
  if (sizes != weight.shape)
    std::abort();
}

static void useRanks(const Grid &grid, const Function &function) {
  for (size_t i = 0; i < function.sums.size(); ++i) {
    const Sum &sum = function.sums[i];
    if (size_t(sum.size) >= function.sizes.size() ||
        size_t(sum.of) >= function.sizes.size() || !sum.axes)
      std::abort();
    // Never of one that follows.
    for (size_t later = i; later < function.sums.size(); ++later)
      if (function.sums[later].size == sum.of)
        std::abort();
  }
  for (const Collective &collective : function.collectives)
    if (!collective.axes || collective.row < 1 || collective.bound < 0 ||
        collective.root >= membersOver(grid, collective.axes) ||
        collective.boundSize >= int(function.sizes.size()))
      std::abort();
}

static void use(const Manifest &manifest) {
  for (const Weight &weight : manifest.weights) {
    useShard(weight, manifest.grid);
    for (const SourceList &sources : weight.alternatives) {
      if (sources.empty())
        std::abort();
      for (const Source &source : sources)
        useSource(weight, source);
    }
  }
  for (const State &state : manifest.state)
    if (state.initialWeight >= int(manifest.weights.size()))
      std::abort();
  for (const Function &function : manifest.functions) {
    std::vector<int64_t> sizes(function.sizes.size(), 1000);
    if (function.workspacePer.size() != sizes.size())
      std::abort();
    useRanks(manifest.grid, function);
    for (const Argument &argument : function.arguments) {
      size_t table = argument.role == Role::weight  ? manifest.weights.size()
                     : argument.role == Role::state ? manifest.state.size()
                                                    : 0;
      if (table && size_t(argument.index) >= table)
        std::abort();
      for (const Dim &dim : argument.shape) {
        if (dim.size >= int(sizes.size()) || dim.divisor < 1)
          std::abort();
        std::optional<int64_t> value = evaluate(dim, sizes.data());
        if (value && *value < 0)
          std::abort();
      }
      describe(argument.shape, function);
    }
  }
}

extern "C" int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  try {
    use(parseManifest({reinterpret_cast<const char *>(data), size},
                      "fuzz.json"));
  } catch (const Error &error) {
    if ((error.status != MOE_BAD_FILE && error.status != MOE_ABI_MISMATCH) ||
        error.message.empty())
      std::abort();
  }
  return 0;
}
