//===- CompressedTensors.cpp - The method compressed-tensors --------------===//
//
// Part of moe-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Filler.h"
#include "QuantizationReader.h"

using namespace moe;
using json::Value;
using Kind = json::Value::Kind;

static void readStrategy(QuantizationReader &reader, const Value &weights) {
  ConfigKey strategy = findKey(weights, "strategy");
  std::string_view name =
      strategy ? std::string_view(strategy.value->string) : "tensor";
  if (strategy)
    reader.readBlockFrom("strategy", strategy);
  if (name == "channel")
    reader.result.block = {1, 0};
  else if (name == "group" || name == "tensor_group")
    reader.readGroupSize(weights);
  else if (name == "block")
    reader.readBlock(weights, "block_structure");
  else if (name != "tensor")
    reader.filler.wrongType(*strategy.value, reader.path + ".strategy",
                            "'tensor', 'channel', 'group' or 'block'");
}

static void readWeights(QuantizationReader &reader, const Value &group,
                        const Value &weights) {
  ConfigKey type = findKey(weights, "type");
  ConfigKey bits = findKey(weights, "num_bits");
  ConfigKey format = findKey(group, "format");
  if (!format)
    format = findKey(reader.object, "format");
  bool isFloat = type && type.value->string == "float";
  bool packed = format && format.value->string.find("pack-quantized") !=
                              std::string::npos;
  int64_t width = bits && bits.value->integer ? *bits.value->integer : 0;
  std::string_view name = format ? std::string_view(format.value->string) : "";
  readStrategy(reader, weights);
  reader.needs(weights, "actorder", json::textValue("weight"),
               "inputs in another order are not known");
  reader.result.ignore = {"*.weight_shape", "*.input_scale",
                          "*.input_global_scale", "*.weight_g_idx"};
  if (isFloat && width == 8 && !packed) {
    reader.result.kind = "fp8_e4m3";
  } else if (!isFloat && width == 8 && !packed) {
    reader.result.kind = "int8";
    reader.needs(weights, "symmetric", json::flagValue(true),
                 "zero points are not known");
  } else if (!isFloat && width == 4 && packed) {
    reader.result.kind = "int4";
    reader.result.packing = "compressed";
    reader.result.names.weight = "weight_packed";
    reader.needs(weights, "symmetric", json::flagValue(true),
                 "zero points are not known");
  } else if (isFloat && width == 4 && name == "mxfp4-pack-quantized") {
    reader.result.kind = "mxfp4";
    reader.result.block = {1, 32};
    reader.result.names.weight = "weight_packed";
  } else {
    const Value &where = format ? *format.value : weights;
    reader.filler.reporter.error(
        where.begin,
        reader.path + ": found " + std::to_string(width) + " bits of type " +
            inQuotes(isFloat ? "float" : "int") + " in format " +
            inQuotes(name) +
            ", expected 8 bits that are not packed, or 'pack-quantized' "
            "int or 'mxfp4-pack-quantized' float of 4");
  }
}

void moe::readCompressedTensors(QuantizationReader &reader) {
  ConfigKey groups = findKey(reader.object, "config_groups");
  if (!groups || groups.value->members.empty() ||
      groups.value->members[0].value.kind != Kind::object)
    return reader.filler.reporter.error(
        groups ? groups.value->begin : reader.object.begin,
        reader.path + ": found no group in "
                      "'config_groups', expected one");
  const Value &group = groups.value->members[0].value;
  reader.path += ".config_groups";
  if (groups.value->members.size() > 1)
    return reader.filler.reporter.error(
        groups.value->members[1].begin,
        reader.path + ": found a second group, expected all weights to be "
                      "quantised in one way");
  reader.path += "." + groups.value->members[0].key;
  ConfigKey weights = findKey(group, "weights");
  if (!weights || weights.value->kind != Kind::object)
    return reader.filler.reporter.error(
        group.begin, reader.path + ": found no object 'weights', "
                                   "expected how they are quantised");
  reader.path += ".weights";
  readWeights(reader, group, *weights.value);
}
