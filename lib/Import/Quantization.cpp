//===- Quantization.cpp - Methods of quantising checkpoints ---------------===//
//
// Part of moe-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Quantization.h"
#include "Filler.h"

#include <algorithm>

using namespace moe;
using json::Value;
using Kind = json::Value::Kind;

bool Quantization::covers(const std::string &module) const {
  return std::none_of(
      exceptions.begin(), exceptions.end(),
      [&](const ModulePattern &pattern) { return pattern.matches(module); });
}

namespace {

class MethodReader {
public:
  MethodReader(const Value &object, std::string path, Filler &filler)
      : object(object), path(std::move(path)), filler(filler) {}

  std::optional<Quantization> read() {
    if (object.kind != Kind::object) {
      filler.wrongType(object, path, "an object");
      return std::nullopt;
    }
    ConfigKey method = findKey(object, "quant_method");
    if (!method) {
      filler.reporter.error(object.begin, path + ": found no key "
                                                 "'quant_method', expected "
                                                 "the name of a method");
      return std::nullopt;
    }
    at("quant_method", method);
    static constexpr std::pair<std::string_view, void (MethodReader::*)()>
        methods[] = {{"fp8", &MethodReader::fp8},
                     {"fbgemm_fp8", &MethodReader::fbgemm},
                     {"mxfp4", &MethodReader::mxfp4},
                     {"gptq", &MethodReader::gptq},
                     {"awq", &MethodReader::awq},
                     {"modelopt", &MethodReader::modelopt},
                     {"compressed-tensors", &MethodReader::compressed}};
    std::vector<std::string_view> names;
    for (auto &[name, reader] : methods) {
      names.push_back(name);
      if (method.value->string == name)
        (this->*reader)();
    }
    if (result.kind.empty() && !filler.reporter.failed())
      filler.wrongType(*method.value, path + ".quant_method",
                       quotedList(names) +
                           didYouMean(method.value->string, names));
    for (const char *key : {"modules_to_not_convert", "ignored_layers",
                            "ignore", "exclude_modules"})
      readExceptions(key);
    if (filler.reporter.failed())
      return std::nullopt;
    return std::move(result);
  }

private:
  void at(const std::string &name, ConfigKey key) {
    result.kindName = result.blockName = path + "." + name;
    result.kindAt = result.blockAt = key.begin;
  }

  void blockFrom(const std::string &name, ConfigKey key) {
    result.blockName = path + "." + name;
    result.blockAt = key.begin;
  }

  /// A value that is not the only one that can be computed is an error.
  void needs(const Value &in, const std::string &name, const Value &expected,
             const std::string &why) {
    ConfigKey key = findKey(in, name);
    if (key && (key.value->kind != expected.kind ||
                key.value->boolean != expected.boolean ||
                key.value->number != expected.number ||
                key.value->string != expected.string))
      filler.wrongType(*key.value, path + "." + name,
                       json::describe(expected, "") + "; " + why);
  }
  static Value flag(bool boolean) {
    Value value;
    value.kind = Kind::boolean;
    value.boolean = boolean;
    return value;
  }

  bool readFlag(const Value &in, const std::string &name, bool otherwise) {
    ConfigKey key = findKey(in, name);
    if (!key)
      return otherwise;
    if (key.value->kind != Kind::boolean)
      filler.wrongType(*key.value, path + "." + name, "true or false");
    return key.value->boolean;
  }

  void readBlock(const Value &in, const std::string &name) {
    ConfigKey key = findKey(in, name);
    if (!key)
      return;
    blockFrom(name, key);
    const std::vector<Value> &sizes = key.value->elements;
    bool good = sizes.size() == 2;
    for (size_t i = 0; good && i < 2; ++i) {
      good = sizes[i].integer && *sizes[i].integer >= 1 &&
             *sizes[i].integer <= INT32_MAX;
      if (good)
        result.block[i] = *sizes[i].integer;
    }
    if (!good)
      filler.wrongType(*key.value, path + "." + name,
                       "a list of two sizes of blocks");
  }

  /// `[1, group_size]`; −1 is the whole row.
  void readGroupSize(const Value &in) {
    result.block = {1, 0};
    ConfigKey key = findKey(in, "group_size");
    if (!key || key.value->integer == -1)
      return;
    blockFrom("group_size", key);
    if (key.value->integer && *key.value->integer >= 1 &&
        *key.value->integer <= INT32_MAX)
      result.block[1] = *key.value->integer;
    else
      filler.wrongType(*key.value, path + ".group_size",
                       "the size of a group, or -1");
  }

  void fp8() {
    if (ConfigKey fmt = findKey(object, "fmt");
        !fmt || fmt.value->string != "float8_e4m3fn")
      needs(object, "fmt", text("e4m3"), "no other format of 8 bits is known");
    result.kind = "fp8_e4m3";
    result.names.scales = "weight_scale_inv";
    result.block = {128, 128};
    // null is a scale for each matrix.
    if (const Value *block = object.find("weight_block_size");
        block && block->kind == Kind::null)
      result.block = {0, 0};
    readBlock(object, "weight_block_size");
    result.ignore = {"*.input_scale", "*.activation_scale"};
  }

  void fbgemm() {
    result.kind = "fp8_e4m3";
    result.block = {1, 0};
    result.ignore = {"*.input_scale_ub"};
  }

  void mxfp4() {
    result.kind = "mxfp4";
    result.block = {1, 32};
    result.packing = "blocks";
    result.names = {"weight_blocks", "weight_scales", "", ""};
  }

  void gptq() {
    four("gptq");
    needs(object, "desc_act", flag(false),
          "inputs in another order are not known");
    needs(object, "checkpoint_format", text("gptq"), "no other is known");
    result.zeroPoints = !readFlag(object, "sym", true);
    result.ignore = {"*.g_idx", "*.bias"};
    if (!result.zeroPoints)
      result.ignore.push_back("*.qzeros");
  }

  void awq() {
    four("awq");
    needs(object, "version", text("gemm"), "no other layout is known");
    result.zeroPoints = readFlag(object, "zero_point", true);
    if (!result.zeroPoints)
      result.ignore.push_back("*.qzeros");
  }

  void four(std::string_view packing) {
    needs(object, "bits", json::numberValue(4), "no other width is known");
    result.kind = "int4";
    result.packing = packing;
    result.scalesTransposed = true;
    result.names = {"qweight", "scales", "qzeros", ""};
    readGroupSize(object);
  }

  void modelopt() {
    ConfigKey key = findKey(object, "quant_algo");
    result.ignore = {"*.input_scale", "*.k_scale", "*.v_scale"};
    if (key && key.value->string == "FP8") {
      result.kind = "fp8_e4m3";
    } else if (key && key.value->string == "NVFP4") {
      result.kind = "nvfp4";
      result.block = {1, 16};
      result.names.globalScale = "weight_scale_2";
    } else if (key) {
      filler.wrongType(*key.value, path + ".quant_algo", "'FP8' or 'NVFP4'");
    } else {
      filler.reporter.error(object.begin,
                            path + ": found no key 'quant_algo', expected "
                                   "'FP8' or 'NVFP4'");
    }
  }

  void compressed() {
    ConfigKey groups = findKey(object, "config_groups");
    if (!groups || groups.value->members.empty() ||
        groups.value->members[0].value.kind != Kind::object)
      return filler.reporter.error(groups ? groups.value->begin : object.begin,
                                   path + ": found no group in "
                                          "'config_groups', expected one");
    const Value &group = groups.value->members[0].value;
    path += ".config_groups";
    if (groups.value->members.size() > 1)
      return filler.reporter.error(
          groups.value->members[1].begin,
          path + ": found a second group, expected all weights to be "
                 "quantised in one way");
    path += "." + groups.value->members[0].key;
    ConfigKey weights = findKey(group, "weights");
    if (!weights || weights.value->kind != Kind::object)
      return filler.reporter.error(group.begin,
                                   path + ": found no object 'weights', "
                                          "expected how they are quantised");
    path += ".weights";
    readCompressed(group, *weights.value);
  }

  void readCompressed(const Value &group, const Value &weights) {
    ConfigKey type = findKey(weights, "type");
    ConfigKey bits = findKey(weights, "num_bits");
    ConfigKey format = findKey(group, "format");
    if (!format)
      format = findKey(object, "format");
    bool isFloat = type && type.value->string == "float";
    bool packed = format && format.value->string.find("pack-quantized") !=
                                std::string::npos;
    int64_t width = bits && bits.value->integer ? *bits.value->integer : 0;
    std::string_view name =
        format ? std::string_view(format.value->string) : "";
    readStrategy(weights);
    needs(weights, "actorder", text("weight"),
          "inputs in another order are not known");
    result.ignore = {"*.weight_shape", "*.input_scale", "*.input_global_scale",
                     "*.weight_g_idx"};
    if (isFloat && width == 8 && !packed) {
      result.kind = "fp8_e4m3";
    } else if (!isFloat && width == 8 && !packed) {
      result.kind = "int8";
      needs(weights, "symmetric", flag(true), "zero points are not known");
    } else if (!isFloat && width == 4 && packed) {
      result.kind = "int4";
      result.packing = "compressed";
      result.names.weight = "weight_packed";
      needs(weights, "symmetric", flag(true), "zero points are not known");
    } else if (isFloat && width == 4 && name == "mxfp4-pack-quantized") {
      result.kind = "mxfp4";
      result.block = {1, 32};
      result.names.weight = "weight_packed";
    } else {
      const Value &where = format ? *format.value : weights;
      filler.reporter.error(
          where.begin,
          path + ": found " + std::to_string(width) + " bits of type " +
              inQuotes(isFloat ? "float" : "int") + " in format " +
              inQuotes(name) +
              ", expected 8 bits that are not packed, or 'pack-quantized' "
              "int or 'mxfp4-pack-quantized' float of 4");
    }
  }

  void readStrategy(const Value &weights) {
    ConfigKey strategy = findKey(weights, "strategy");
    std::string_view name =
        strategy ? std::string_view(strategy.value->string) : "tensor";
    if (strategy)
      blockFrom("strategy", strategy);
    if (name == "channel")
      result.block = {1, 0};
    else if (name == "group" || name == "tensor_group")
      readGroupSize(weights);
    else if (name == "block")
      readBlock(weights, "block_structure");
    else if (name != "tensor")
      filler.wrongType(*strategy.value, path + ".strategy",
                       "'tensor', 'channel', 'group' or 'block'");
  }

  void readExceptions(const std::string &name) {
    ConfigKey key = findKey(object, name);
    if (!key)
      return;
    if (key.value->kind != Kind::array)
      return filler.wrongType(*key.value, path + "." + name,
                              "a list of modules");
    for (const Value &element : key.value->elements) {
      if (filler.reporter.full())
        return;
      std::optional<ModulePattern> pattern =
          element.kind == Kind::string ? ModulePattern::parse(element.string)
                                       : std::nullopt;
      if (pattern)
        result.exceptions.push_back(std::move(*pattern));
      else
        filler.wrongType(element, path + "." + name,
                         "a module's name or a simple expression for some");
    }
  }

  static Value text(const char *string) {
    Value value;
    value.kind = Kind::string;
    value.string = string;
    return value;
  }

  const Value &object;
  std::string path;
  Filler &filler;
  Quantization result;
};

} // namespace

std::optional<Quantization> moe::readQuantization(Filler &filler) {
  // The text model's own goes before that of the whole.
  for (const Value *in : {&filler.config.model, &filler.config.document})
    for (const char *name : {"quantization_config", "compression_config"})
      if (ConfigKey key = findKey(*in, name))
        return MethodReader(*key.value, name, filler).read();
  return std::nullopt;
}
