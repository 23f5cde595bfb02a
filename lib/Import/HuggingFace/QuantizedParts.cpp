//===- QuantizedParts.cpp - Parts of a quantised weight -------------------===//
//
// Part of moe-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "QuantizedParts.h"

using namespace moe;
using json::Value;
using Kind = json::Value::Kind;

/// `x.weight` becomes `x.qweight`, and a stacked `x` becomes `x_scales`.
static std::string renamed(const std::string &name, std::string_view last) {
  constexpr std::string_view plain = ".weight";
  std::string_view base = name;
  if (base.size() > plain.size() &&
      base.substr(base.size() - plain.size()) == plain)
    return std::string(base.substr(0, base.size() - plain.size() + 1)) +
           std::string(last);
  if (last == "weight")
    return name;
  constexpr std::string_view prefix = "weight_";
  if (last.substr(0, prefix.size()) == prefix)
    last.remove_prefix(prefix.size());
  return name + "_" + std::string(last);
}

const std::string &moe::sourceName(const Value &source) {
  const Value *name = source.find("name");
  return name ? name->string : source.string;
}

/// Applies `map` to each source of alternatives.
template <typename Map>
static Value mapAlternatives(const Value &source, Map map) {
  if (source.kind != Kind::array)
    return map(source);
  Value result = source;
  for (Value &element : result.elements)
    element = mapAlternatives(element, map);
  return result;
}

void QuantizedParts::addParts(Value &tensors, const std::string &base,
                              const Value &source) const {
  add(tensors, base + "weight",
      part(base + "weight", source, &QuantizedParts::data));
  addFactors(tensors, base, base, source);
}

void QuantizedParts::addDecoded(Value &tensors, const std::string &base,
                                const Value &source) const {
  add(tensors, base + "weight",
      mapAlternatives(
          source, [&](const Value &source) { return decoded(source, base); }));
}

Value QuantizedParts::decoded(const Value &source,
                              const std::string &base) const {
  Value result = part(base + "weight", source, &QuantizedParts::data);
  if (result.kind == Kind::string)
    result = named(result, "weight");
  Value decode = object();
  add(decode, "kind", text(quantization.kind));
  add(decode, "block", block());
  add(decode, "zero_points", flag(quantization.zeroPoints));
  add(result, "decode", std::move(decode));
  addFactors(result, "", base, source);
  return result;
}

/// Adds to what is read as data what it is multiplied by, and less what.
void QuantizedParts::addFactors(Value &to, const std::string &prefix,
                                const std::string &base,
                                const Value &source) const {
  auto addPart = [&](const char *name, Map map) {
    add(to, prefix + name, part(base + name, source, map));
  };
  addPart("scales", &QuantizedParts::scales);
  if (quantization.zeroPoints)
    addPart("zeros", &QuantizedParts::zeros);
  if (!quantization.names.globalScale.empty())
    addPart("global_scale", &QuantizedParts::globalScale);
}

Value QuantizedParts::part(const std::string &name, const Value &source,
                           Map map) const {
  if (const Value *value = given ? given->find(name) : nullptr)
    return *value;
  return mapAlternatives(
      source, [&](const Value &source) { return (this->*map)(source); });
}

Value QuantizedParts::data(const Value &source) const {
  Value result = named(source, quantization.names.weight);
  keep(result, source, {"part", "interleaved", "absolute"});
  if (quantization.packing.empty())
    keep(result, source, {"transposed"});
  else
    add(result, "packing", text(quantization.packing));
  return result;
}

Value QuantizedParts::scales(const Value &source) const {
  Value result = named(source, quantization.names.scales);
  keep(result, source, {"absolute"});
  // A scale of a whole matrix is not divided with it.
  if (quantization.block[0] != 0)
    keep(result, source, {"part", "interleaved"});
  if (quantization.scalesTransposed)
    add(result, "transposed", flag(true));
  else if (quantization.packing.empty() && quantization.block[0] != 0)
    keep(result, source, {"transposed"});
  return result;
}

Value QuantizedParts::zeros(const Value &source) const {
  Value result = named(source, quantization.names.zeros);
  keep(result, source, {"part", "interleaved", "absolute"});
  add(result, "packing", text(quantization.packing));
  return result;
}

Value QuantizedParts::globalScale(const Value &source) const {
  Value result = named(source, quantization.names.globalScale);
  keep(result, source, {"absolute"});
  return result;
}

Value QuantizedParts::named(const Value &source, std::string_view last) const {
  Value result = object();
  add(result, "name", text(renamed(sourceName(source), last)));
  return result;
}

void QuantizedParts::keep(Value &result, const Value &source,
                          std::initializer_list<std::string_view> keys) const {
  for (std::string_view key : keys)
    if (const Value *value = source.find(key))
      add(result, std::string(key), *value);
}

Value QuantizedParts::block() const {
  Value result = json::emptyValue(Kind::array, quantization.blockAt);
  for (int64_t size : quantization.block)
    result.elements.push_back(
        json::numberValue(static_cast<double>(size), quantization.blockAt));
  return result;
}

void QuantizedParts::add(Value &object, std::string key, Value value) const {
  object.members.push_back(
      {std::move(key), quantization.kindAt, std::move(value)});
}

Value QuantizedParts::object() const {
  return json::emptyValue(Kind::object, quantization.kindAt);
}

Value QuantizedParts::text(std::string_view text) const {
  return json::textValue(text, quantization.kindAt);
}

Value QuantizedParts::flag(bool flag) const {
  return json::flagValue(flag, quantization.kindAt);
}
