//===- PrintSources.cpp - Prints where files have weights -----------------===//
//
// Part of moe-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Sources.h"

#include "moe/Import/Import.h"

using namespace moe;

static std::string printSource(const SourceSpec &source);

static std::string printDecode(const DecodeSpec &decode) {
  return "{\"kind\": " + jsonString(decode.kind) + ", \"block\": [" +
         std::to_string(decode.outputsOfBlock) + ", " +
         std::to_string(decode.inputsOfBlock) + "]" +
         (decode.zeroPoints ? ", \"zero_points\": true}" : "}");
}

/// What there is to say beside the name.
static std::string printRest(const SourceSpec &source) {
  std::string rest;
  if (source.parts > 1)
    rest += ", \"part\": [" + std::to_string(source.part) + ", " +
            std::to_string(source.parts) + "]";
  auto flag = [&](bool set, const char *key) {
    if (set)
      rest += std::string(", \"") + key + "\": true";
  };
  flag(source.interleaved, "interleaved");
  flag(source.transposed, "transposed");
  flag(source.broadcast, "broadcast");
  flag(source.absolute, "absolute");
  if (!source.packing.empty())
    rest += ", \"packing\": " + jsonString(source.packing);
  if (source.decode)
    rest += ", \"decode\": " + printDecode(*source.decode);
  auto beside = [&](const std::vector<SourceSpec> &sources, const char *key) {
    for (const SourceSpec &other : sources)
      rest += std::string(", \"") + key + "\": " + printSource(other);
  };
  beside(source.scales, "scales");
  beside(source.zeros, "zeros");
  beside(source.globalScale, "global_scale");
  return rest;
}

static std::string printSource(const SourceSpec &source) {
  std::string rest = printRest(source);
  return rest.empty() ? jsonString(source.name)
                      : "{\"name\": " + jsonString(source.name) + rest + "}";
}

static std::string printList(const SourceList &list) {
  if (list.size() == 1)
    return printSource(list[0]);
  std::string text;
  for (const SourceSpec &source : list)
    text += (text.empty() ? "" : ", ") + printSource(source);
  return "[" + text + "]";
}

std::string moe::printSources(const std::vector<SourceList> &alternatives) {
  std::string text;
  for (const SourceList &list : alternatives)
    text += (text.empty() ? "" : ", ") + printList(list);
  return "[" + text + "]";
}

std::string moe::printWeightTensors(const std::vector<WeightSources> &tensors) {
  std::string text;
  for (const WeightSources &sources : tensors) {
    // One that stands alone needs no list around it.
    bool alone =
        sources.alternatives.size() == 1 && sources.alternatives[0].size() == 1;
    text += (text.empty() ? "\n      " : ",\n      ") +
            jsonString(sources.weight) + ": " +
            (alone ? printSource(sources.alternatives[0][0])
                   : printSources(sources.alternatives));
  }
  return "{" + text + "\n    }";
}
