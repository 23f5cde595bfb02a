//===- ManifestSources.cpp - Where files have weights ---------------------===//
//
// Part of moe-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
// Reads the sources of a weight. What contradicts itself is refused, so that
// the loader meets none of it.
//
//===----------------------------------------------------------------------===//

#include "JsonNode.h"
#include "Sources.h"

namespace moe::runtime {

static constexpr size_t maxAlternatives = 4160, maxSources = 64;

std::string filledIn(std::string name, int64_t layer, int64_t expert) {
  auto fill = [&](const char *hole, int64_t number) {
    std::string text = std::to_string(number);
    for (size_t at = 0; (at = name.find(hole, at)) != name.npos;
         at += text.size())
      name.replace(at, 3, text);
  };
  fill("{l}", layer);
  fill("{e}", expert);
  return name;
}

static std::string readName(const JsonNode &node) {
  std::string name = node.string();
  if (name.empty())
    node.failExpected("the name of a tensor");
  return name;
}

static void readPart(const JsonNode &node, Source &source) {
  if (node.size(2) != 2)
    node.failExpected("two numbers");
  source.parts = node[size_t(1)].integer(1, maxParts);
  source.part = node[size_t(0)].integer(0, source.parts - 1);
}

template <typename Enum>
static Enum readChoice(const JsonNode &node,
                       const std::vector<std::string> &names) {
  std::string value = node.string(), all;
  for (size_t i = 0; i < names.size(); ++i) {
    if (names[i] == value)
      return static_cast<Enum>(i);
    all += " " + names[i];
  }
  node.failExpected("one of" + all);
}

static Decode readDecode(const JsonNode &node) {
  Decode decode;
  decode.coding = readChoice<Coding>(
      node["kind"], {"fp8_e4m3", "int8", "int4", "mxfp4", "nvfp4"});
  if (node.has("block")) {
    JsonNode block = node["block"];
    if (block.size(2) != 2)
      block.failExpected("two numbers");
    decode.outputs = block[size_t(0)].integer(0, INT32_MAX);
    decode.inputs = block[size_t(1)].integer(0, INT32_MAX);
  }
  if (node.has("zero_points"))
    decode.zeroPoints = node["zero_points"].boolean();
  if (decode.zeroPoints && decode.coding != Coding::int4)
    node.failBecause("only int4 has zero points");
  return decode;
}

static Source readSource(const JsonNode &node, bool decodes);

static void readBeside(const JsonNode &node, const char *key, bool needed,
                       std::vector<Source> &sources) {
  if (node.has(key) != needed)
    node.failBecause(text(needed ? "expected" : "expected no", " key '", key,
                          "', ", needed ? "found none" : "found one"));
  if (needed)
    sources.push_back(readSource(node[key], false));
}

/// `decodes`: may have what belongs to a quantised tensor.
static Source readSource(const JsonNode &node, bool decodes) {
  Source source;
  if (node.isString()) {
    source.name = readName(node);
    return source;
  }
  source.name = readName(node["name"]);
  if (node.has("part"))
    readPart(node["part"], source);
  auto readFlag = [&](const char *key, bool &flag) {
    if (node.has(key))
      flag = node[key].boolean();
  };
  readFlag("interleaved", source.interleaved);
  readFlag("transposed", source.transposed);
  readFlag("broadcast", source.broadcast);
  if (node.has("packing"))
    source.packing = readChoice<Packing>(
        node["packing"], {"none", "gptq", "awq", "compressed", "blocks"});
  if (source.broadcast && (source.parts > 1 || source.transposed ||
                           source.packing != Packing::none))
    node.failBecause("'broadcast' excludes 'part', 'transposed' and 'packing'");
  bool words =
      source.packing != Packing::none && source.packing != Packing::blocks;
  if (words && (source.transposed || source.interleaved))
    node.failBecause("'packing' of words excludes 'transposed' and "
                     "'interleaved'");
  if (decodes && node.has("decode"))
    source.decode = readDecode(node["decode"]);
  const Decode *decode = source.decode ? &*source.decode : nullptr;
  readBeside(node, "scales", decode, source.scales);
  readBeside(node, "zeros", decode && decode->zeroPoints, source.zeros);
  readBeside(node, "global_scale", decode && decode->coding == Coding::nvfp4,
             source.globalScale);
  return source;
}

std::vector<SourceList> readSources(const JsonNode &list) {
  std::vector<SourceList> alternatives;
  size_t count = list.size(maxAlternatives);
  if (!count)
    list.failBecause("expected at least one source, found none");
  for (size_t i = 0; i < count; ++i) {
    JsonNode node = list[i];
    SourceList &sources = alternatives.emplace_back();
    if (!node.isArray()) {
      sources.push_back(readSource(node, true));
      continue;
    }
    size_t parts = node.size(maxSources);
    if (!parts)
      node.failBecause("expected at least one source, found none");
    for (size_t j = 0; j < parts; ++j)
      sources.push_back(readSource(node[j], true));
  }
  return alternatives;
}

} // namespace moe::runtime
