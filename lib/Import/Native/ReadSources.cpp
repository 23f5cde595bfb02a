//===- ReadSources.cpp - Reads where files have weights -------------------===//
//
// Part of moe-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Native.h"
#include "Sources.h"
#include "Text/Reporter.h"

#include <algorithm>

using namespace moe;
using json::Value;

static constexpr size_t maxSources = 64, maxNameBytes = 4096;
static constexpr int64_t maxParts = 1024;

static const std::vector<std::string_view> sourceKeys = {
    "name",    "part",   "interleaved", "transposed", "broadcast",   "absolute",
    "packing", "decode", "scales",      "zeros",      "global_scale"};
static const std::vector<std::string_view> decodeKeys = {"kind", "block",
                                                         "zero_points"};
static const std::vector<std::string_view> kinds = {"fp8_e4m3", "int8", "int4",
                                                    "mxfp4", "nvfp4"};
static const std::vector<std::string_view> packings = {"gptq", "awq",
                                                       "compressed", "blocks"};

namespace {

/// Reads the sources of one weight.
class SourceReader {
public:
  SourceReader(const std::string &weight, std::string_view text,
               Reporter &reporter)
      : path("weights.tensors: " + inQuotes(weight)), text(text),
        reporter(reporter) {}

  void readAlternatives(const Value &value, std::vector<SourceList> &result) {
    if (value.kind != Value::Kind::array) {
      result.emplace_back();
      return readSource(value, result.back().emplace_back(), true);
    }
    if (!checkCount(value))
      return;
    for (const Value &alternative : value.elements) {
      SourceList &list = result.emplace_back();
      if (alternative.kind != Value::Kind::array) {
        readSource(alternative, list.emplace_back(), true);
        continue;
      }
      if (!checkCount(alternative))
        continue;
      for (const Value &source : alternative.elements)
        readSource(source, list.emplace_back(), true);
    }
  }

private:
  bool checkCount(const Value &list) {
    if (!list.elements.empty() && list.elements.size() <= maxSources)
      return true;
    wrong(list, "", "1 to " + std::to_string(maxSources) + " sources");
    return false;
  }

  void wrong(const Value &value, std::string_view key,
             const std::string &expected) {
    reporter.error(value.begin,
                   path + (key.empty() ? "" : ": " + std::string(key)) +
                       ": found " + json::describe(value, text) +
                       ", expected " + expected);
  }

  void unknownKey(const json::Member &member,
                  const std::vector<std::string_view> &keys) {
    std::string hint = didYouMean(member.key, keys);
    reporter.error(
        member.begin,
        path + ": unknown key " + inQuotes(member.key) +
            (hint.empty() ? ", expected " + quotedList(keys) : hint));
  }

  /// `decodes`: may have what belongs to a quantised tensor.
  void readSource(const Value &value, SourceSpec &source, bool decodes) {
    if (value.kind == Value::Kind::string)
      return readName(value, source);
    if (value.kind != Value::Kind::object)
      return wrong(value, "", "a name, or an object with a 'name'");
    for (const json::Member &member : value.members) {
      if (reporter.full())
        return;
      readMember(member, source, decodes);
    }
    if (!value.find("name"))
      reporter.error(value.begin,
                     path + ": found no key 'name', expected the name of a "
                            "tensor");
    checkTogether(value, source);
  }

  void readMember(const json::Member &member, SourceSpec &source,
                  bool decodes) {
    const std::string &key = member.key;
    const Value &value = member.value;
    if (key == "name")
      readName(value, source);
    else if (key == "part")
      readPart(value, source);
    else if (key == "interleaved")
      readFlag(value, key, source.interleaved);
    else if (key == "transposed")
      readFlag(value, key, source.transposed);
    else if (key == "broadcast")
      readFlag(value, key, source.broadcast);
    else if (key == "absolute")
      readFlag(value, key, source.absolute);
    else if (key == "packing")
      readChoice(value, key, packings, source.packing);
    else if (decodes && key == "decode")
      readDecode(value, source.decode.emplace());
    else if (decodes && key == "scales")
      readSource(value, source.scales.emplace_back(), false);
    else if (decodes && key == "zeros")
      readSource(value, source.zeros.emplace_back(), false);
    else if (decodes && key == "global_scale")
      readSource(value, source.globalScale.emplace_back(), false);
    else
      unknownKey(member, decodes
                             ? sourceKeys
                             : std::vector<std::string_view>(
                                   sourceKeys.begin(), sourceKeys.begin() + 7));
  }

  void readName(const Value &value, SourceSpec &source) {
    const std::string &name = value.string;
    auto isControl = [](unsigned char c) { return c < 32 || c == 127; };
    if (value.kind == Value::Kind::string && !name.empty() &&
        name.size() <= maxNameBytes &&
        std::none_of(name.begin(), name.end(), isControl))
      source.name = name;
    else
      wrong(value, "name", "a string of 1 to 4096 printable bytes");
  }

  void readFlag(const Value &value, std::string_view key, bool &flag) {
    if (value.kind == Value::Kind::boolean)
      flag = value.boolean;
    else
      wrong(value, key, "true or false");
  }

  void readChoice(const Value &value, std::string_view key,
                  const std::vector<std::string_view> &names,
                  std::string &result) {
    if (value.kind == Value::Kind::string &&
        std::find(names.begin(), names.end(), value.string) != names.end())
      result = value.string;
    else
      wrong(value, key, quotedList(names));
  }

  static bool isSize(const Value &value, int64_t most) {
    return value.integer && *value.integer >= 0 && *value.integer <= most;
  }

  void readPart(const Value &value, SourceSpec &source) {
    bool pair = value.kind == Value::Kind::array && value.elements.size() == 2;
    if (!pair || !isSize(value.elements[1], maxParts) ||
        !isSize(value.elements[0], *value.elements[1].integer - 1))
      return wrong(value, "part",
                   "[i, n] with i below n and n at most " +
                       std::to_string(maxParts));
    source.part = *value.elements[0].integer;
    source.parts = *value.elements[1].integer;
  }

  void readDecode(const Value &value, DecodeSpec &decode) {
    if (value.kind != Value::Kind::object)
      return wrong(value, "decode", "an object with a 'kind'");
    for (const json::Member &member : value.members) {
      if (member.key == "kind")
        readChoice(member.value, "decode.kind", kinds, decode.kind);
      else if (member.key == "block")
        readBlock(member.value, decode);
      else if (member.key == "zero_points")
        readFlag(member.value, "decode.zero_points", decode.zeroPoints);
      else
        unknownKey(member, decodeKeys);
    }
    if (!value.find("kind"))
      reporter.error(value.begin, path +
                                      ": decode: found no key 'kind', "
                                      "expected " +
                                      quotedList(kinds));
  }

  void readBlock(const Value &value, DecodeSpec &decode) {
    constexpr int64_t most = INT32_MAX;
    if (value.kind != Value::Kind::array || value.elements.size() != 2 ||
        !isSize(value.elements[0], most) || !isSize(value.elements[1], most))
      return wrong(value, "decode.block", "[outputs, inputs], each 0 or more");
    decode.outputsOfBlock = *value.elements[0].integer;
    decode.inputsOfBlock = *value.elements[1].integer;
  }

  void checkTogether(const Value &value, const SourceSpec &source) {
    auto need = [&](bool right, const char *found, const char *expected) {
      if (!right)
        reporter.error(value.begin,
                       path + ": found " + found + ", expected " + expected);
    };
    bool decodes = source.decode.has_value();
    bool global = decodes && source.decode->kind == "nvfp4";
    need(!source.interleaved || source.parts > 1, "'interleaved' alone",
         "a 'part' of several");
    need(!source.broadcast || (source.parts == 1 && !source.transposed),
         "'broadcast' with 'part' or 'transposed'", "one number, repeated");
    need(source.packing.empty() || !source.broadcast,
         "'packing' with 'broadcast'", "one of them");
    bool words = !source.packing.empty() && source.packing != "blocks";
    need(!words || (!source.transposed && !source.interleaved),
         "'packing' of words with 'transposed' or 'interleaved'",
         "the order that the packing has");
    need(!decodes || !source.decode->zeroPoints ||
             source.decode->kind == "int4",
         "'decode.zero_points' without 'int4'", "both or neither");
    need(decodes == !source.scales.empty(),
         decodes ? "'decode' without 'scales'" : "'scales' without 'decode'",
         "both or neither");
    need(source.zeros.empty() != (decodes && source.decode->zeroPoints),
         source.zeros.empty() ? "'decode.zero_points' without 'zeros'"
                              : "'zeros' without 'decode.zero_points'",
         "both or neither");
    need(source.globalScale.empty() != global,
         global ? "'nvfp4' without 'global_scale'"
                : "'global_scale' without 'nvfp4'",
         "both or neither");
  }

  std::string path;
  std::string_view text;
  Reporter &reporter;
};

} // namespace

void moe::readWeightTensors(const Value &object, std::string_view text,
                            std::vector<WeightSources> &tensors,
                            Locations &locations, Reporter &reporter) {
  for (const json::Member &member : object.members) {
    if (reporter.full())
      return;
    locations.add("weights.tensors." + member.key, member.begin);
    WeightSources &sources = tensors.emplace_back();
    sources.weight = member.key;
    SourceReader(member.key, text, reporter)
        .readAlternatives(member.value, sources.alternatives);
  }
}
