//===- Quantization.cpp - Methods of quantising checkpoints ---------------===//
//
// Part of moe-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Quantization.h"
#include "Filler.h"
#include "QuantizationReader.h"

#include <algorithm>

using namespace moe;
using json::Value;
using Kind = json::Value::Kind;

bool Quantization::covers(const std::string &module) const {
  return std::none_of(
      exceptions.begin(), exceptions.end(),
      [&](const ModulePattern &pattern) { return pattern.matches(module); });
}

static void readInt4(QuantizationReader &reader, std::string_view packing) {
  reader.needs(reader.object, "bits", json::numberValue(4),
               "no other width is known");
  reader.result.kind = "int4";
  reader.result.packing = packing;
  reader.result.scalesTransposed = true;
  reader.result.names = {"qweight", "scales", "qzeros", ""};
  reader.readGroupSize(reader.object);
}

static void readFp8(QuantizationReader &reader) {
  if (ConfigKey fmt = findKey(reader.object, "fmt");
      !fmt || fmt.value->string != "float8_e4m3fn")
    reader.needs(reader.object, "fmt", json::textValue("e4m3"),
                 "no other format of 8 bits is known");
  reader.result.kind = "fp8_e4m3";
  reader.result.names.scales = "weight_scale_inv";
  reader.result.block = {128, 128};
  // null is a scale for each matrix.
  if (const Value *block = reader.object.find("weight_block_size");
      block && block->kind == Kind::null)
    reader.result.block = {0, 0};
  reader.readBlock(reader.object, "weight_block_size");
  reader.result.ignore = {"*.input_scale", "*.activation_scale"};
}

static void readFbgemm(QuantizationReader &reader) {
  reader.result.kind = "fp8_e4m3";
  reader.result.block = {1, 0};
  reader.result.ignore = {"*.input_scale_ub"};
}

static void readMxfp4(QuantizationReader &reader) {
  reader.result.kind = "mxfp4";
  reader.result.block = {1, 32};
  reader.result.packing = "blocks";
  reader.result.names = {"weight_blocks", "weight_scales", "", ""};
}

static void readGptq(QuantizationReader &reader) {
  readInt4(reader, "gptq");
  reader.needs(reader.object, "desc_act", json::flagValue(false),
               "inputs in another order are not known");
  reader.needs(reader.object, "checkpoint_format", json::textValue("gptq"),
               "no other is known");
  reader.result.zeroPoints = !reader.readFlag(reader.object, "sym", true);
  reader.result.ignore = {"*.g_idx", "*.bias"};
  if (!reader.result.zeroPoints)
    reader.result.ignore.push_back("*.qzeros");
}

static void readAwq(QuantizationReader &reader) {
  readInt4(reader, "awq");
  reader.needs(reader.object, "version", json::textValue("gemm"),
               "no other layout is known");
  reader.result.zeroPoints = reader.readFlag(reader.object, "zero_point", true);
  if (!reader.result.zeroPoints)
    reader.result.ignore.push_back("*.qzeros");
}

static void readModelopt(QuantizationReader &reader) {
  ConfigKey key = findKey(reader.object, "quant_algo");
  reader.result.ignore = {"*.input_scale", "*.k_scale", "*.v_scale"};
  if (key && key.value->string == "FP8") {
    reader.result.kind = "fp8_e4m3";
  } else if (key && key.value->string == "NVFP4") {
    reader.result.kind = "nvfp4";
    reader.result.block = {1, 16};
    reader.result.names.globalScale = "weight_scale_2";
  } else if (key) {
    reader.filler.wrongType(*key.value, reader.path + ".quant_algo",
                            "'FP8' or 'NVFP4'");
  } else {
    reader.filler.reporter.error(reader.object.begin,
                                 reader.path +
                                     ": found no key 'quant_algo', expected "
                                     "'FP8' or 'NVFP4'");
  }
}

static std::optional<Quantization> readMethod(QuantizationReader reader) {
  const Value &object = reader.object;
  Filler &filler = reader.filler;
  if (object.kind != Kind::object) {
    filler.wrongType(object, reader.path, "an object");
    return std::nullopt;
  }
  ConfigKey method = findKey(object, "quant_method");
  if (!method) {
    filler.reporter.error(object.begin, reader.path +
                                            ": found no key 'quant_method', "
                                            "expected the name of a method");
    return std::nullopt;
  }
  reader.readFrom("quant_method", method);
  static constexpr std::pair<std::string_view, void (*)(QuantizationReader &)>
      methods[] = {{"fp8", readFp8},
                   {"fbgemm_fp8", readFbgemm},
                   {"mxfp4", readMxfp4},
                   {"gptq", readGptq},
                   {"awq", readAwq},
                   {"modelopt", readModelopt},
                   {"compressed-tensors", readCompressedTensors}};
  const std::string path = reader.path;
  std::vector<std::string_view> names;
  for (auto &[name, read] : methods) {
    names.push_back(name);
    if (method.value->string == name)
      read(reader);
  }
  // A method may have led into objects.
  reader.path = path;
  if (reader.result.kind.empty() && !filler.reporter.failed())
    filler.wrongType(*method.value, path + ".quant_method",
                     quotedList(names) +
                         didYouMean(method.value->string, names));
  for (const char *key : {"modules_to_not_convert", "ignored_layers", "ignore",
                          "exclude_modules"})
    reader.readExceptions(key);
  if (filler.reporter.failed())
    return std::nullopt;
  return std::move(reader.result);
}

std::optional<Quantization> moe::readQuantization(Filler &filler) {
  // The text model's own goes before that of the whole.
  for (const Value *in : {&filler.config.model, &filler.config.document})
    for (const char *name : {"quantization_config", "compression_config"})
      if (ConfigKey key = findKey(*in, name))
        return readMethod({*key.value, name, filler});
  return std::nullopt;
}
